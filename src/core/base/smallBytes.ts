/**
 * Memory for things of a few bytes that come and go, such as the frames of small messages: cut one behind the other
 * from common pieces, since a piece of memory of its own costs more than what is written to it. A piece is never used
 * twice; it goes when the last that was cut from it is gone.
 */

/** What is larger gets memory of its own. */
const MAX_BYTES = 1_024;
const PIECE_BYTES = 16_384;

let piece = new Uint8Array(0);
let used = 0;

/** `count` zeros, at a multiple of 8. Not for what is kept for long, or whose buffer is given away. */
export function smallBytes(count: number): Uint8Array<ArrayBuffer> {
  if (count > MAX_BYTES) return new Uint8Array(count);
  if (used + count > PIECE_BYTES || piece.length === 0) {
    piece = new Uint8Array(PIECE_BYTES);
    used = 0;
  }
  const cut = piece.subarray(used, used + count);
  used += (count + 7) & ~7;
  return cut;
}

/** `pieces`, of `bytes` bytes together, one behind the other in such memory. */
export function smallJoin(pieces: readonly Uint8Array[], bytes: number): Uint8Array<ArrayBuffer> {
  const whole = smallBytes(bytes);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A copy of `bytes` in such memory. */
export function smallCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = smallBytes(bytes.length);
  copy.set(bytes);
  return copy;
}
