/**
 * Cuts records into batches of a few MiB to be written one behind the other. Small payloads are copied
 * beside the heads, large ones are referred to where they lie; the checksum of a large one is taken
 * batch by batch, so that no turn of the event loop is long. What is very large gets a filler before it, so
 * that its pages in memory are pages of the file: a disk can take those without a copy.
 */
import type { EncodedRecord } from '../../core/server/recordCodec.js';
import { encodeRecord } from '../../core/server/recordCodec.js';
import type { JournalRecord } from '../../core/server/records.js';
import type { AppendSizes } from './disk.js';
import { type Checksum, FRONT_BYTES, padded, writeFiller, writeFront } from './segmentFormat.js';

/** A record and its number. */
export interface NumberedRecord {
  readonly number: number;
  readonly record: JournalRecord;
}

/** What disks as they are like. */
const USUAL_SIZES: AppendSizes = { batchBytes: 4_194_304, copiedBytes: 65_536, filledBytes: 1_048_576 };
/** The area begins small and doubles: a segment of few records needs little. */
const FIRST_AREA_BYTES = 4_096;
const AREA_BYTES = 262_144;

/** Bytes to be written in one go. */
export interface Batch {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  /** Nothing comes behind it. */
  readonly isLast: boolean;
}

/** What the batches of one segment have in common. */
export interface BatchOptions {
  readonly salt: number;
  readonly checksum: Checksum;
  /** Of memory and file; 0: there are no fillers. */
  readonly pageBytes: number;
  readonly sizes?: AppendSizes | undefined;
}

/** Gives the bytes of records, batch by batch. A batch is valid until the next but one is asked for. */
export class RecordBatches {
  readonly #salt: number;
  readonly #checksum: Checksum;
  readonly #pageBytes: number;
  readonly #sizes: AppendSizes;
  #records: readonly NumberedRecord[] = [];
  #next = 0;
  #syncedBytes = 0;
  /** What is left of a large payload. */
  #payload: Uint8Array | undefined;
  #payloadSum = 0;
  #area: Uint8Array = new Uint8Array(0);
  /** That of the batch before. */
  #otherArea: Uint8Array = new Uint8Array(0);
  /** Where the batch goes in the segment. */
  #at = 0;
  /** Bytes of the area in use, and those of them that are in `#parts` already. */
  #used = 0;
  #taken = 0;
  #parts: Uint8Array[] = [];
  #batchBytes = 0;

  constructor({ salt, checksum, pageBytes, sizes = USUAL_SIZES }: BatchOptions) {
    this.#salt = salt;
    this.#checksum = checksum;
    this.#pageBytes = pageBytes;
    this.#sizes = sizes;
  }

  /** Begins with `records`, at `at` in the segment. `syncedBytes`: of the segment, as it is now. */
  begin(records: readonly NumberedRecord[], at: number, syncedBytes: number): void {
    this.#records = records;
    this.#next = 0;
    this.#at = at;
    this.#syncedBytes = syncedBytes;
    this.#payload = undefined;
  }

  /** The next bytes, or undefined when all have been given. */
  next(): Batch | undefined {
    [this.#area, this.#otherArea] = [this.#otherArea, this.#area];
    this.#parts = [];
    this.#used = 0;
    this.#taken = 0;
    this.#batchBytes = 0;
    while (this.#batchBytes + this.#used < this.#sizes.batchBytes && !this.#isAtEnd) {
      if (this.#payload !== undefined) this.#addPayload(this.#payload);
      else this.#addRecord();
    }
    this.#flushArea();
    if (this.#parts.length === 0) return undefined;
    this.#at += this.#batchBytes;
    return { parts: this.#parts, bytes: this.#batchBytes, isLast: this.#isAtEnd };
  }

  get #isAtEnd(): boolean {
    return this.#payload === undefined && this.#next === this.#records.length;
  }

  #addRecord(): void {
    const { number, record } = this.#records[this.#next++] as NumberedRecord;
    const { head, payload }: EncodedRecord = encodeRecord(record);
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    const { copiedBytes, filledBytes } = this.#sizes;
    const isCopied = bytes.length <= copiedBytes;
    const filler = bytes.length < filledBytes ? 0 : this.#fillerBefore(head.length, bytes.byteOffset);
    this.#reserve(filler + FRONT_BYTES + padded(head.length) + (isCopied ? padded(bytes.length + 4) : 0));
    if (filler > 0) {
      const what = { length: filler, number, syncedBytes: this.#syncedBytes };
      this.#used = writeFiller(this.#area, this.#used, what, this.#salt, this.#checksum);
    }
    const front = {
      head,
      headBytes: head.length,
      payloadBytes: bytes.length,
      number,
      syncedBytes: this.#syncedBytes,
    };
    this.#used = writeFront(this.#area, this.#used, front, this.#salt, this.#checksum);
    if (bytes.length === 0) return;
    if (isCopied) {
      this.#area.set(bytes, this.#used);
      this.#used += bytes.length;
      this.#addTrailer(bytes.length, this.#checksum(bytes, 0));
    } else {
      this.#payload = bytes;
      this.#payloadSum = 0;
    }
  }

  /** Bytes of a filler that puts a payload to the place in a page that it has in memory. */
  #fillerBefore(headBytes: number, place: number): number {
    const page = this.#pageBytes;
    // Records stand at multiples of 8 whatever is before them.
    if (page === 0 || place % 8 !== 0) return 0;
    const at = this.#at + this.#batchBytes + (this.#used - this.#taken) + FRONT_BYTES + padded(headBytes);
    const missing = (((place - at) % page) + page) % page;
    return missing === 0 || missing >= FRONT_BYTES ? missing : missing + page;
  }

  #addPayload(payload: Uint8Array): void {
    this.#flushArea();
    // Cut between two pages, so that no page is written in two ways.
    const page = Math.max(8, this.#pageBytes);
    const place = this.#at + this.#batchBytes;
    const { batchBytes, copiedBytes } = this.#sizes;
    // More than a page, so that something is left of it.
    const room = Math.max(copiedBytes, page + 8, batchBytes - this.#batchBytes);
    const part = payload.subarray(0, room - ((place + room) % page));
    this.#parts.push(part);
    this.#batchBytes += part.length;
    this.#payloadSum = this.#checksum(part, this.#payloadSum);
    this.#payload = part.length < payload.length ? payload.subarray(part.length) : undefined;
    if (this.#payload !== undefined) return;
    this.#reserve(8);
    this.#addTrailer(payload.length, this.#payloadSum);
  }

  #addTrailer(payloadBytes: number, sum: number): void {
    new DataView(this.#area.buffer).setUint32(this.#used, sum, true);
    const end = this.#used + (padded(payloadBytes + 4) - payloadBytes);
    this.#area.fill(0, this.#used + 4, end);
    this.#used = end;
  }

  /** Makes room in the area. What is in use may lie in parts already: a new area leaves it there. */
  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#area.length) return;
    this.#flushArea();
    const grown = Math.min(AREA_BYTES, Math.max(FIRST_AREA_BYTES, 2 * this.#area.length));
    this.#area = new Uint8Array(Math.max(grown, bytes));
    this.#used = 0;
    this.#taken = 0;
  }

  #flushArea(): void {
    if (this.#used === this.#taken) return;
    this.#parts.push(this.#area.subarray(this.#taken, this.#used));
    this.#batchBytes += this.#used - this.#taken;
    this.#taken = this.#used;
  }
}
