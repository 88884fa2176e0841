/**
 * One message ↔ one frame. All integers of the preamble are little-endian.
 *
 *     frame   = u32 header length | u32 payload length | header | zero pad to 8 | payload
 *     header  = one msgpack map: "t" → message type, then the fields of `schema.ts`
 *     payload = tensor bytes (little-endian float32), or the catalogue in Welcome
 *
 * Tensor bytes never pass through msgpack, and start at a multiple of 8, so that a frame that is
 * received into aligned memory gives aligned views. The length of a frame is exact: a prefix or an
 * extension of a frame is not a frame.
 */
import { Decoder, Encoder } from '@msgpack/msgpack';
import { PsError } from '../base/errors.js';
import { scanHeader } from './headerScan.js';
import { MAX_HEADER_ARRAY, MAX_HEADER_BYTES, MAX_HEADER_MAP, PREAMBLE_BYTES } from './limits.js';
import type { Message } from './messages.js';
import { readPlainHeader, writePlainHeader } from './plainHeader.js';
import { SCHEMAS } from './schema.js';

const encoder = new Encoder({ ignoreUndefined: true });
const decoder = new Decoder({
  maxArrayLength: MAX_HEADER_ARRAY,
  maxMapLength: MAX_HEADER_MAP,
  maxStrLength: MAX_HEADER_BYTES,
  maxBinLength: MAX_HEADER_BYTES,
  maxExtLength: 0,
});
const NO_BYTES = new Uint8Array(0);
/** Where headers of the common kind are written. */
const plain = new Uint8Array(MAX_HEADER_BYTES);

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
 * return exactly the number of bytes asked for. Copies the payload once.
 */
export function encodeFrame(
  message: Message,
  payload: Uint8Array = NO_BYTES,
  allocate: (bytes: number) => Uint8Array = newBytes,
): Uint8Array {
  const header = encodeHeader(message);
  const start = payloadOffset(header.length);
  const frame = allocate(start + payload.length);
  writeUint32(frame, 0, header.length);
  writeUint32(frame, 4, payload.length);
  frame.set(header, PREAMBLE_BYTES);
  frame.fill(0, PREAMBLE_BYTES + header.length, start);
  frame.set(payload, start);
  return frame;
}

/**
 * Writes all of a frame but its payload, which stands or is sent behind it and has `payloadBytes`, to `target` from
 * `at` on; returns where it ends. REQUIRES: room for the preamble, a header of MAX_HEADER_BYTES and its padding.
 */
export function encodeHead(message: Message, payloadBytes: number, target: Uint8Array, at: number): number {
  const begin = at + PREAMBLE_BYTES;
  let headerEnd = writePlainHeader(message, target, begin);
  if (headerEnd < 0) {
    const header = encodeHeader(message);
    target.set(header, begin);
    headerEnd = begin + header.length;
  }
  const end = at + payloadOffset(headerEnd - begin);
  writeUint32(target, at, headerEnd - begin);
  writeUint32(target, at + 4, payloadBytes);
  for (let i = headerEnd; i < end; i++) target[i] = 0;
  return end;
}

/** The msgpack header of `message`: a view that is valid until the next call. */
function encodeHeader(message: Message): Uint8Array {
  const end = writePlainHeader(message, plain, 0);
  if (end > 0) return plain.subarray(0, end);
  const fields: Record<string, unknown> = { t: message.t };
  const values = message as unknown as Record<string, unknown>;
  for (const field of SCHEMAS.get(message.t)?.fields ?? []) {
    const value = values[field.name];
    if (value === undefined || (field.isFlag && value === false)) continue;
    fields[field.name] = field.kind.encode(value as never);
  }
  return encoder.encodeSharedRef(fields);
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
  const message = decodeHeader(frame.subarray(PREAMBLE_BYTES, PREAMBLE_BYTES + headerBytes), payloadBytes);
  return { message, payload: payloadBytes === 0 ? NO_BYTES : frame.subarray(start) };
}

/** Reads a header alone; `payloadBytes` is what its frame says will follow. Throws `PS_PROTOCOL`. */
export function decodeHeader(header: Uint8Array, payloadBytes: number): Message {
  const message = readPlainHeader(header);
  if (message === undefined || (payloadBytes > 0 && SCHEMAS.get(message.t)?.hasPayload !== true)) {
    return decodeAnyHeader(header, payloadBytes);
  }
  return message;
}

function decodeAnyHeader(header: Uint8Array, payloadBytes: number): Message {
  const fault = scanHeader(header);
  if (fault !== undefined) throw malformed(fault);
  let fields: Record<string, unknown>;
  try {
    fields = decoder.decode(header) as Record<string, unknown>;
  } catch (cause) {
    throw malformed('header is not msgpack', cause);
  }
  const type = Object.hasOwn(fields, 't') ? fields.t : undefined;
  const schema = typeof type === 'number' ? SCHEMAS.get(type) : undefined;
  if (schema === undefined) throw malformed(`unknown message type ${String(type).slice(0, 20)}`);
  if (payloadBytes > 0 && !schema.hasPayload) throw malformed(`${schema.name} carries no payload`);
  const message: Record<string, unknown> = { t: type };
  for (const field of schema.fields) {
    const raw = Object.hasOwn(fields, field.name) ? fields[field.name] : undefined;
    if (raw === undefined) {
      if (!field.isOptional) throw malformed(`${schema.name} lacks ${field.name}`);
      if (field.isFlag) message[field.name] = false;
      continue;
    }
    const value = field.kind.decode(raw);
    if (value === undefined) throw malformed(`${schema.name}.${field.name} is not of its kind`);
    message[field.name] = value;
  }
  return message as unknown as Message;
}

function malformed(what: string, cause?: unknown): PsError {
  return new PsError('PS_PROTOCOL', `malformed message: ${what}`, { cause });
}

function newBytes(bytes: number): Uint8Array {
  return new Uint8Array(bytes);
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function readUint32(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}
