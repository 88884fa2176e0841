/**
 * One message ↔ one frame. All integers of the preamble are little-endian.
 *
 *     frame   = u32 header length | u32 payload length | header | zero pad to 8 | payload
 *     header  = one msgpack map: "t" → message type, then the fields of `schema.ts`; see `header.ts`
 *     payload = tensor bytes (little-endian float32), or the catalogue in Welcome
 *
 * Tensor bytes never pass through msgpack, and start at a multiple of 8, so that a frame that is
 * received into aligned memory gives aligned views. The length of a frame is exact: a prefix or an
 * extension of a frame is not a frame.
 */
import { PsError } from '../base/errors.js';
import { smallBytes } from '../base/smallBytes.js';
import { readHeader, writeHeader } from './header.js';
import { MAX_HEADER_BYTES, PREAMBLE_BYTES } from './limits.js';
import type { Message } from './messages.js';

const NO_BYTES = new Uint8Array(0);
/** A head up to this is copied byte by byte: that costs less than a view of it. */
const SHORT_HEAD_BYTES = 128;
/** Where the head of a frame is written before the frame has its memory. */
const scratch = new Uint8Array(PREAMBLE_BYTES + MAX_HEADER_BYTES);
const NO_PIECES: readonly Uint8Array[] = [];

/** A message and the bytes that follow its header. */
export interface DecodedFrame {
  readonly message: Message;
  /** A view of the frame that was decoded; empty if the message carries none. */
  readonly payload: Uint8Array;
}

/** Bytes that stand before the payload of a frame whose header has `headerBytes`. */
export function payloadOffset(headerBytes: number): number {
  return PREAMBLE_BYTES + ((headerBytes + 7) & ~7);
}

/**
 * Writes `message` and `payload` into one frame. `allocate` may hand out reused memory; it must
 * return exactly the number of bytes asked for. Copies the payload once. `more` are further pieces of it.
 */
export function encodeFrame(
  message: Message,
  payload: Uint8Array = NO_BYTES,
  allocate: (bytes: number) => Uint8Array = smallBytes,
  more: readonly Uint8Array[] = NO_PIECES,
): Uint8Array {
  const payloadBytes = bytesOfPieces(payload, more);
  const start = encodeHead(message, payloadBytes, scratch, 0);
  const frame = allocate(start + payloadBytes);
  if (start > SHORT_HEAD_BYTES) frame.set(scratch.subarray(0, start));
  else for (let i = 0; i < start; i++) frame[i] = scratch[i] as number;
  frame.set(payload, start);
  let at = start + payload.length;
  for (const piece of more) {
    frame.set(piece, at);
    at += piece.length;
  }
  return frame;
}

/** Bytes of a payload that lies in several pieces. */
export function bytesOfPieces(payload: Uint8Array, more: readonly Uint8Array[]): number {
  let bytes = payload.length;
  for (const piece of more) bytes += piece.length;
  return bytes;
}

/**
 * Writes all of a frame but its payload, which stands or is sent behind it and has `payloadBytes`, to `target` from
 * `at` on; returns where it ends. REQUIRES: room for the preamble, a header of MAX_HEADER_BYTES and its padding.
 */
export function encodeHead(message: Message, payloadBytes: number, target: Uint8Array, at: number): number {
  const begin = at + PREAMBLE_BYTES;
  const headerEnd = writeHeader(message, target, begin);
  const end = at + payloadOffset(headerEnd - begin);
  writeUint32(target, at, headerEnd - begin);
  writeUint32(target, at + 4, payloadBytes);
  for (let i = headerEnd; i < end; i++) target[i] = 0;
  return end;
}

/**
 * Reads one frame. The payload is a view of `frame`.
 * Throws `PS_PROTOCOL` for anything that is not exactly one frame of a known type with every
 * field of its kind. Allocates no more than a small multiple of the header's length.
 */
export function decodeFrame(frame: Uint8Array): DecodedFrame {
  if (frame.length < PREAMBLE_BYTES) throw malformed('frame is shorter than its preamble');
  const headerBytes = readUint32(frame, 0);
  const payloadBytes = readUint32(frame, 4);
  if (headerBytes > MAX_HEADER_BYTES) throw malformed('header is too long');
  const start = payloadOffset(headerBytes);
  if (frame.length !== start + payloadBytes) throw malformed('frame length does not match its preamble');
  for (let i = PREAMBLE_BYTES + headerBytes; i < start; i++) {
    if (frame[i] !== 0) throw malformed('padding is not zero');
  }
  const message = readHeader(frame, payloadBytes, PREAMBLE_BYTES, PREAMBLE_BYTES + headerBytes);
  return { message, payload: payloadBytes === 0 ? NO_BYTES : frame.subarray(start) };
}

function malformed(what: string): PsError {
  return new PsError('PS_PROTOCOL', `malformed message: ${what}`);
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function readUint32(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
  return (low | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24)) >>> 0;
}
