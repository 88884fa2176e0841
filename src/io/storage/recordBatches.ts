/**
 * Cuts records into batches of a few MiB to be written one behind the other. Small payloads are copied
 * beside the heads, large ones are referred to where they lie; the checksum of a large one is taken
 * batch by batch, so that no turn of the event loop is long.
 */
import type { EncodedRecord } from '../../core/server/recordCodec.js';
import { encodeRecord } from '../../core/server/recordCodec.js';
import type { JournalRecord } from '../../core/server/records.js';
import { type Checksum, FRONT_BYTES, padded, writeFront } from './segmentFormat.js';

/** A record and its number. */
export interface NumberedRecord {
  readonly number: number;
  readonly record: JournalRecord;
}

const BATCH_BYTES = 4_194_304;
/** Payloads up to this are copied. */
const COPIED_BYTES = 65_536;
/** The area begins small and doubles: a segment of few records needs little. */
const FIRST_AREA_BYTES = 4_096;
const AREA_BYTES = 262_144;

/** Gives the bytes of records, batch by batch. A batch is valid until the next is asked for. */
export class RecordBatches {
  readonly #salt: number;
  readonly #checksum: Checksum;
  #records: readonly NumberedRecord[] = [];
  #next = 0;
  #syncedBytes = 0;
  /** What is left of a large payload. */
  #payload: Uint8Array | undefined;
  #payloadSum = 0;
  #area: Uint8Array = new Uint8Array(0);
  /** Bytes of the area in use, and those of them that are in `#parts` already. */
  #used = 0;
  #taken = 0;
  #parts: Uint8Array[] = [];
  #batchBytes = 0;

  constructor(salt: number, checksum: Checksum) {
    this.#salt = salt;
    this.#checksum = checksum;
  }

  /** Begins with `records`. `syncedBytes`: of the segment, as it is now. */
  begin(records: readonly NumberedRecord[], syncedBytes: number): void {
    this.#records = records;
    this.#next = 0;
    this.#syncedBytes = syncedBytes;
  }

  /** The next bytes, or undefined when all have been given. */
  next(): { readonly parts: readonly Uint8Array[]; readonly bytes: number } | undefined {
    this.#parts = [];
    this.#used = 0;
    this.#taken = 0;
    this.#batchBytes = 0;
    while (this.#batchBytes + this.#used < BATCH_BYTES) {
      if (this.#payload !== undefined) this.#addPayload(this.#payload);
      else if (this.#next < this.#records.length) this.#addRecord();
      else break;
    }
    this.#flushArea();
    return this.#parts.length === 0 ? undefined : { parts: this.#parts, bytes: this.#batchBytes };
  }

  #addRecord(): void {
    const { number, record } = this.#records[this.#next++] as NumberedRecord;
    const { head, payload }: EncodedRecord = encodeRecord(record);
    const bytes = new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
    const isCopied = bytes.length <= COPIED_BYTES;
    this.#reserve(FRONT_BYTES + padded(head.length) + (isCopied ? padded(bytes.length + 4) : 0));
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

  #addPayload(payload: Uint8Array): void {
    this.#flushArea();
    const part = payload.subarray(0, Math.max(COPIED_BYTES, BATCH_BYTES - this.#batchBytes));
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
