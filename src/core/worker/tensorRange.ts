/**
 * Several arrays, laid end to end in one range of bytes without being moved: the gradients of a push
 * as they are cut into chunks, and the destinations of a pull as chunks arrive. Each byte is copied
 * once, or sent from where it is. It knows neither names nor the catalogue.
 */
import { invariant } from '../base/invariant.js';
import { bytesOf } from '../protocol/modelStream.js';

/** Pieces that are smaller on the average are copied into one. */
const LEAST_PIECE_BYTES = 16_384;

/** A range of bytes over arrays. */
export class TensorRange {
  readonly arrays: readonly Float32Array[];
  readonly byteLength: number;
  readonly #starts: readonly number[];
  /** All bytes, where the arrays stand one behind the other in one buffer. */
  readonly #whole: Uint8Array | undefined;
  /** The array that the last access ended in; chunks come in order. */
  #cursor = 0;

  constructor(arrays: readonly Float32Array[]) {
    let byteLength = 0;
    this.arrays = arrays;
    this.#starts = arrays.map((array) => {
      const start = byteLength;
      byteLength += array.byteLength;
      return start;
    });
    this.byteLength = byteLength;
    this.#whole = wholeOf(arrays, byteLength);
  }

  /**
   * The bytes [begin, end): a view where they lie in one array, else a copy into `scratch`, valid
   * until its next use. Requires scratch().length ≥ end − begin.
   */
  read(begin: number, end: number, scratch: () => Uint8Array): Uint8Array {
    const first = this.#find(begin);
    const start = this.#starts[first] ?? 0;
    const array = this.arrays[first];
    if (array !== undefined && end <= start + array.byteLength) {
      return bytesOf(array).subarray(begin - start, end - start);
    }
    const target = scratch().subarray(0, end - begin);
    this.#forEachPiece(begin, end, (bytes, at) => target.set(bytes, at - begin));
    return target;
  }

  /**
   * The bytes [begin, end) as views of the arrays that they lie in, in order; undefined where that would be small pieces:
   * a copy costs less than so many writes.
   */
  pieces(begin: number, end: number): Uint8Array[] | undefined {
    const maxCount = (end - begin) / LEAST_PIECE_BYTES;
    const pieces: Uint8Array[] = [];
    this.#forEachPiece(begin, end, (bytes) => {
      if (pieces.length <= maxCount) pieces.push(bytes);
    });
    return pieces.length > 0 && pieces.length <= maxCount ? pieces : undefined;
  }

  /** The bytes [begin, end) as a view where they lie in one piece of memory, to be written in place. */
  view(begin: number, end: number): Uint8Array | undefined {
    if (begin < 0 || end > this.byteLength) return undefined;
    if (this.#whole !== undefined) return this.#whole.subarray(begin, end);
    const first = this.#find(begin);
    const start = this.#starts[first] ?? 0;
    const array = this.arrays[first];
    if (array === undefined || end > start + array.byteLength) return undefined;
    return bytesOf(array).subarray(begin - start, end - start);
  }

  /** Copies `bytes` to [begin, begin + bytes.length), unless they are the view of that place. */
  write(begin: number, bytes: Uint8Array): void {
    const place = this.view(begin, begin + bytes.length);
    if (place?.buffer === bytes.buffer && place.byteOffset === bytes.byteOffset) return;
    this.#forEachPiece(begin, begin + bytes.length, (target, at) => {
      target.set(bytes.subarray(at - begin, at - begin + target.length));
    });
  }

  #forEachPiece(begin: number, end: number, visit: (bytes: Uint8Array, at: number) => void): void {
    invariant(begin >= 0 && end <= this.byteLength, 'a piece lies in its range');
    let at = begin;
    for (let i = this.#find(begin); at < end; i++) {
      const array = this.arrays[i] as Float32Array;
      const start = this.#starts[i] as number;
      const until = Math.min(end, start + array.byteLength);
      if (until > at) visit(bytesOf(array).subarray(at - start, until - start), at);
      at = Math.max(at, until);
      this.#cursor = i;
    }
  }

  /** The array that holds byte `at`, or the last one. Constant time for accesses in order. */
  #find(at: number): number {
    let i = (this.#starts[this.#cursor] ?? 0) <= at ? this.#cursor : 0;
    while (i + 1 < this.#starts.length && (this.#starts[i + 1] as number) <= at) i++;
    return i;
  }
}

function wholeOf(arrays: readonly Float32Array[], byteLength: number): Uint8Array | undefined {
  const first = arrays[0];
  if (first === undefined) return undefined;
  let end = first.byteOffset;
  for (const array of arrays) {
    if (array.buffer !== first.buffer || array.byteOffset !== end) return undefined;
    end += array.byteLength;
  }
  return new Uint8Array(first.buffer, first.byteOffset, byteLength);
}
