/**
 * The bytes of a journal segment. All integers are little-endian; everything starts at a multiple of 8, so
 * that gradients can be read where they lie.
 *
 *     segment = header | ( record | filler ) … | zeros
 *     header  = "pslibjnl" | u32 format version | u32 salt | u64 first record | u32 lineage bytes
 *               | u32 CRC-32 of the header with this field 0 | lineage (UTF-8) | zeros to 8
 *     record  = u32 CRC-32 of the 28 bytes behind it and the head, begun with the salt
 *               | u32 head bytes | u64 payload bytes | u64 number | u64 synced bytes
 *               | head | zeros to 8 | ( payload | u32 CRC-32 of the payload | zeros to 8 ) if there is one
 *     filler  = u32 CRC-32 of the 28 bytes behind it, begun with the salt | u32 0 | u64 bytes of zeros
 *               | u64 number of the next record | u64 synced bytes | zeros
 *
 * Version 1 has no fillers and no zeros behind its records. A filler puts the payload behind it at a place from which
 * the disk can be written without a copy.
 * "Synced bytes" are those of this segment that were known to be durable when the record was written: a
 * record proves that what is damaged before there was not torn by a loss of power. The salt is random and
 * never leaves the machine: no gradient that a worker sends can look like a record.
 */

import { PsError } from '../../core/base/errors.js';
import { invariant } from '../../core/base/invariant.js';

/** What a journal segment begins with. */
export interface SegmentHeader {
  /** The state's history. */
  readonly lineage: string;
  /** Number of the first record. */
  readonly first: number;
  /** 32 random bits. */
  readonly salt: number;
  /** Of the format. */
  readonly version: SegmentVersion;
}

/** 1: without fillers, and without zeros behind the last record. */
export type SegmentVersion = 1 | 2;

/** Where a record stands and what it announces. */
export interface RecordFront {
  readonly headBytes: number;
  readonly payloadBytes: number;
  readonly number: number;
  readonly syncedBytes: number;
}

export type Checksum = (bytes: Uint8Array, previous: number) => number;

/** Bytes of a header without its lineage. */
export const HEADER_BYTES = 32;
/** Bytes of a record before its head. */
export const FRONT_BYTES = 32;
/** Longest head; one that is longer is damaged. */
export const MAX_HEAD_BYTES = 1_048_576;
const MAX_LINEAGE_BYTES = 1024;
const MAGIC = new TextEncoder().encode('pslibjnl');

/** `bytes` rounded up to a multiple of 8. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}

/** Bytes of a whole record. */
export function recordBytes(headBytes: number, payloadBytes: number): number {
  return FRONT_BYTES + padded(headBytes) + (payloadBytes === 0 ? 0 : padded(payloadBytes + 4));
}

/** The bytes of `header`. */
export function encodeSegmentHeader(
  { lineage, first, salt, version }: SegmentHeader,
  checksum: Checksum,
): Uint8Array {
  const name = new TextEncoder().encode(lineage);
  const bytes = new Uint8Array(padded(HEADER_BYTES + name.length));
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(8, version, true);
  view.setUint32(12, salt, true);
  setUint53(view, 16, first);
  view.setUint32(24, name.length, true);
  bytes.set(name, HEADER_BYTES);
  view.setUint32(28, checksum(bytes, 0), true);
  return bytes;
}

/** Bytes of the header of a segment of `lineage`. */
export function segmentHeaderLength(lineage: string): number {
  return padded(HEADER_BYTES + new TextEncoder().encode(lineage).length);
}

/** Whether a file that begins with `bytes` means to be a segment. */
export function isSegmentStart(bytes: Uint8Array): boolean {
  return bytes.length >= MAGIC.length && MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Whether `bytes` begin with a header that is whole. */
export function isSegmentHeader(bytes: Uint8Array, checksum: Checksum): boolean {
  try {
    decodeSegmentHeader(bytes, checksum);
    return true;
  } catch {
    return false;
  }
}

/**
 * The header at the start of `bytes`, and its length. Throws `PS_CORRUPT` if it is not one or damaged,
 * `PS_VERSION` if another version of pslib wrote it.
 */
export function decodeSegmentHeader(
  bytes: Uint8Array,
  checksum: Checksum,
): { header: SegmentHeader; length: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES || !isSegmentStart(bytes)) {
    throw new PsError('PS_CORRUPT', 'it does not begin as a journal segment does');
  }
  const nameBytes = view.getUint32(24, true);
  const length = padded(HEADER_BYTES + nameBytes);
  if (nameBytes > MAX_LINEAGE_BYTES || length > bytes.length) throw damagedHeader();
  const copy = bytes.slice(0, length);
  copy.fill(0, 28, 32);
  const first = uint53At(view, 16);
  if (checksum(copy, 0) !== view.getUint32(28, true) || first === undefined) throw damagedHeader();
  const version = view.getUint32(8, true);
  if (version !== 1 && version !== 2) {
    const text = `it has version ${version} of the format; this pslib reads versions 1 and 2`;
    throw new PsError('PS_VERSION', text);
  }
  const lineage = new TextDecoder().decode(bytes.subarray(HEADER_BYTES, HEADER_BYTES + nameBytes));
  return { header: { lineage, first, salt: view.getUint32(12, true), version }, length };
}

/** Writes a front and a head into `bytes` at `at`; returns where the padded head ends. */
export function writeFront(
  bytes: Uint8Array,
  at: number,
  record: RecordFront & { readonly head: Uint8Array },
  salt: number,
  checksum: Checksum,
): number {
  const { head, payloadBytes, number, syncedBytes } = record;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRONT_BYTES);
  view.setUint32(4, head.length, true);
  setUint53(view, 8, payloadBytes);
  setUint53(view, 16, number);
  setUint53(view, 24, syncedBytes);
  bytes.set(head, at + FRONT_BYTES);
  const end = at + FRONT_BYTES + padded(head.length);
  bytes.fill(0, at + FRONT_BYTES + head.length, end);
  view.setUint32(0, checksum(bytes.subarray(at + 4, at + FRONT_BYTES + head.length), salt), true);
  return end;
}

/** Writes a filler of `length` bytes, at least a front, into `bytes` at `at`; returns where it ends. */
export function writeFiller(
  bytes: Uint8Array,
  at: number,
  { length, number, syncedBytes }: { length: number; number: number; syncedBytes: number },
  salt: number,
  checksum: Checksum,
): number {
  invariant(length % 8 === 0, 'a filler leaves what follows it at a multiple of 8');
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRONT_BYTES);
  view.setUint32(4, 0, true);
  setUint53(view, 8, length - FRONT_BYTES);
  setUint53(view, 16, number);
  setUint53(view, 24, syncedBytes);
  view.setUint32(0, checksum(bytes.subarray(at + 4, at + FRONT_BYTES), salt), true);
  bytes.fill(0, at + FRONT_BYTES, at + length);
  return at + length;
}

/** Bytes of the filler whose front is `bytes`; undefined if it is none. */
export function fillerBytes(bytes: Uint8Array, salt: number, checksum: Checksum): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < FRONT_BYTES || view.getUint32(4, true) !== 0) return undefined;
  if (checksum(bytes.subarray(4, FRONT_BYTES), salt) !== view.getUint32(0, true)) return undefined;
  const zeros = uint53At(view, 8);
  return zeros === undefined ? undefined : FRONT_BYTES + zeros;
}

/** What the front at `at` announces, unverified; undefined if it can't be one. REQUIRES: at + 32 ≤ bytes.length. */
export function readFront(bytes: Uint8Array, at: number): RecordFront | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRONT_BYTES);
  const headBytes = view.getUint32(4, true);
  if (headBytes === 0 || headBytes > MAX_HEAD_BYTES) return undefined;
  const [payloadBytes, number, syncedBytes] = [uint53At(view, 8), uint53At(view, 16), uint53At(view, 24)];
  if (payloadBytes === undefined || number === undefined || syncedBytes === undefined) return undefined;
  return payloadBytes % 4 === 0 ? { headBytes, payloadBytes, number, syncedBytes } : undefined;
}

/** Whether the front and the head at `at` are as they were written, their padding included. */
export function isFrontWhole(
  bytes: Uint8Array,
  at: number,
  headBytes: number,
  salt: number,
  checksum: Checksum,
): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, FRONT_BYTES);
  const end = at + FRONT_BYTES + headBytes;
  if (checksum(bytes.subarray(at + 4, end), salt) !== view.getUint32(0, true)) return false;
  return isZero(bytes, end, at + FRONT_BYTES + padded(headBytes));
}

/** Whether `bytes` are zeros from `begin` to `end`. */
export function isZero(bytes: Uint8Array, begin: number, end: number): boolean {
  for (let i = begin; i < end; i++) if (bytes[i] !== 0) return false;
  return true;
}

function setUint53(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function uint53At(view: DataView, at: number): number | undefined {
  const high = view.getUint32(at + 4, true);
  return high < 2 ** 21 ? view.getUint32(at, true) + high * 2 ** 32 : undefined;
}

function damagedHeader(): PsError {
  return new PsError('PS_CORRUPT', 'its header is damaged');
}
