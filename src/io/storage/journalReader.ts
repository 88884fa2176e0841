/**
 * Reads one journal segment, record by record, and says how it ends: whole, or damaged, and then whether
 * the damage can be what a loss of power does to bytes that were not synced. A record behind the damage
 * that was written when those bytes were durable proves that it can't.
 */
import { floatsOf } from '../../core/protocol/modelStream.js';
import type { Disk, DiskFile } from './disk.js';
import { FileWindow } from './fileWindow.js';
import {
  decodeSegmentHeader,
  FRONT_BYTES,
  fillerBytes,
  HEADER_BYTES,
  isFrontWhole,
  isZero,
  MAX_HEAD_BYTES,
  padded,
  readFront,
  recordBytes,
  type SegmentHeader,
} from './segmentFormat.js';
import { completion, result, type Task } from './task.js';

/** A record as it stands in the file. */
export interface StoredRecord {
  readonly number: number;
  readonly head: Uint8Array;
  readonly payload: Float32Array;
}

/** What a segment holds, read to its end or to its first damage. */
export interface SegmentReport {
  readonly header: SegmentHeader;
  /** Bytes of the file. */
  readonly size: number;
  /** Bytes up to the end of the last good record. */
  readonly goodBytes: number;
  /** Number of the last good record; `header.first − 1` if there is none. */
  readonly last: number;
  readonly damage?: { readonly reason: string; readonly isTorn: boolean };
}

/** Longest header: with the longest lineage. */
const MAX_HEADER_BYTES = HEADER_BYTES + 1024;
/** Bytes that are searched at a time. */
const SEARCH_BYTES = 1_048_576;

/**
 * Reads the segment at `path` to its end, or to record `upTo`; `visit` gets each good record, whose arrays are valid
 * within the call.
 * Throws `PS_CORRUPT` if its header is not one. Memory: the window, or the largest record.
 */
export function* readSegment(
  disk: Disk,
  path: string,
  visit: (record: StoredRecord) => void,
  upTo: number = Number.POSITIVE_INFINITY,
): Task<SegmentReport> {
  const file = yield* result<DiskFile>((done) => disk.open(path, 'read', done));
  try {
    const size = yield* result<number>((done) => file.size(done));
    return yield* new SegmentReader(disk, new FileWindow(file, size), size).read(visit, upTo);
  } finally {
    yield* completion((done) => file.close(done));
  }
}

class SegmentReader {
  readonly #disk: Disk;
  readonly #window: FileWindow;
  readonly #size: number;
  #salt = 0;
  #hasFillers = false;

  constructor(disk: Disk, window: FileWindow, size: number) {
    this.#disk = disk;
    this.#window = window;
    this.#size = size;
  }

  *read(visit: (record: StoredRecord) => void, upTo: number): Task<SegmentReport> {
    const start = yield* this.#window.read(0, MAX_HEADER_BYTES);
    const { header, length } = decodeSegmentHeader(start, this.#checksum);
    this.#salt = header.salt;
    this.#hasFillers = header.version > 1;
    let at = length;
    let last = header.first - 1;
    let reason: string | undefined;
    while (at < this.#size && last < upTo && reason === undefined) {
      const gap = this.#hasFillers ? yield* this.#gap(at) : 0;
      if (gap > 0) {
        if (at + gap === this.#size) break;
        at += gap;
        continue;
      }
      const record = yield* this.#record(at, last + 1);
      if (typeof record === 'string') {
        reason = record;
      } else {
        visit(record);
        last = record.number;
        at += recordBytes(record.head.length, record.payload.byteLength);
      }
    }
    const report = { header, size: this.#size, goodBytes: at, last };
    if (reason === undefined) return report;
    const isTorn = !(yield* this.#wasSynced(at, last + 1));
    return { ...report, damage: { reason: `at byte ${at}: ${reason}`, isTorn } };
  }

  /** Bytes of the filler at `at`, or of the zeros from there to the end; 0: there is something else. */
  *#gap(at: number): Task<number> {
    const start = yield* this.#window.read(at, FRONT_BYTES);
    const filler = fillerBytes(start, this.#salt, this.#checksum);
    if (filler === undefined && !isZero(start, 0, start.length)) return 0;
    const end = filler === undefined ? this.#size : at + filler;
    if (end > this.#size) return 0;
    for (let from = filler === undefined ? at : at + FRONT_BYTES; from < end; from += SEARCH_BYTES) {
      const bytes = yield* this.#window.read(from, Math.min(SEARCH_BYTES, end - from));
      if (!isZero(bytes, 0, bytes.length)) return 0;
    }
    return end - at;
  }

  readonly #checksum = (bytes: Uint8Array, previous: number): number => this.#disk.checksum(bytes, previous);

  /** The record at `at`, which must be number `expected`, or what is wrong with it. */
  *#record(at: number, expected: number): Task<StoredRecord | string> {
    const start = yield* this.#window.read(at, FRONT_BYTES);
    const front = start.length < FRONT_BYTES ? undefined : readFront(start, 0);
    if (front === undefined)
      return start.length < FRONT_BYTES ? 'a record is cut off' : 'no record begins here';
    const { headBytes, payloadBytes, number } = front;
    const end = at + recordBytes(headBytes, payloadBytes);
    const withHead = yield* this.#window.read(at, FRONT_BYTES + padded(headBytes));
    if (withHead.length < FRONT_BYTES + padded(headBytes)) return 'a record is cut off';
    if (!isFrontWhole(withHead, 0, headBytes, this.#salt, this.#checksum))
      return 'the head of a record is damaged';
    if (number !== expected) return `record ${number} stands where ${expected} is expected`;
    if (end > this.#size) return 'a record is cut off';
    const whole = yield* this.#window.read(at, end - at);
    const head = whole.subarray(FRONT_BYTES, FRONT_BYTES + headBytes);
    if (payloadBytes === 0) return { number, head, payload: new Float32Array(0) };
    const from = FRONT_BYTES + padded(headBytes);
    const payload = whole.subarray(from, from + payloadBytes);
    const sumAt = from + payloadBytes;
    const sum = new DataView(whole.buffer, whole.byteOffset + sumAt, 4).getUint32(0, true);
    if (this.#checksum(payload, 0) !== sum || !isZero(whole, sumAt + 4, whole.length)) {
      return 'the values of a record are damaged';
    }
    return { number, head, payload: floatsOf(payload) };
  }

  /** Whether a record behind `at`, which would be number `expected`, proves that the bytes at `at` were durable. */
  *#wasSynced(at: number, expected: number): Task<boolean> {
    for (let from = at + 8; from + FRONT_BYTES <= this.#size; from += SEARCH_BYTES) {
      const bytes = yield* this.#window.read(from, SEARCH_BYTES + FRONT_BYTES + MAX_HEAD_BYTES);
      const limit = Math.min(SEARCH_BYTES, bytes.length - FRONT_BYTES + 1);
      for (let offset = 0; offset < limit; offset += 8) {
        const front = readFront(bytes, offset);
        if (front === undefined || front.number < expected || front.syncedBytes > from + offset) continue;
        if (front.syncedBytes <= at || offset + FRONT_BYTES + padded(front.headBytes) > bytes.length)
          continue;
        if (isFrontWhole(bytes, offset, front.headBytes, this.#salt, this.#checksum)) return true;
      }
    }
    return false;
  }
}
