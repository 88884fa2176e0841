/**
 * Appends records to the journal: write, then sync; the next group begins when the last sync has ended, and
 * takes everything that came meanwhile. One error ends it for good: nothing is known of what it wrote.
 *
 *     append ──▶ queue ──flush──▶ group: batches written ──▶ synced ──▶ onPersisted ──▶ next group
 *     rotateAfter(position): records behind it begin a new segment
 */
import type { JournalRecord } from '../../core/server/records.js';
import type { Disk, DiskFile } from './disk.js';
import { segmentPath } from './names.js';
import { type NumberedRecord, RecordBatches } from './recordBatches.js';
import { encodeSegmentHeader, type SegmentHeader } from './segmentFormat.js';
import { completion, result, runTask, type Task } from './task.js';

/** `journalAsync`: a record counts as persisted when it is written; it is synced within a second. */
export type JournalMode = 'journal' | 'journal-async';

/** What a journal writer works with. */
export interface JournalWriterOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly lineage: string;
  readonly mode: JournalMode;
  /** 32 random bits for each segment. */
  readonly newSalt: () => number;
  /** Every record up to `number` is persisted. */
  readonly onPersisted: (number: number) => void;
  /** Nothing will be persisted any more. */
  readonly onFailed: (error: unknown) => void;
}

/** A segment that is being written. */
export interface OpenSegment {
  readonly file: DiskFile;
  readonly salt: number;
  /** Number of its first record. */
  readonly first: number;
  /** Where the next record goes; everything before is durable. */
  readonly size: number;
}

/** In `journal-async` what is written is synced when so much time has passed. */
const SYNC_AFTER_MS = 500;

/** The writing end of a journal. */
export class JournalWriter {
  readonly #options: JournalWriterOptions;
  #queue: NumberedRecord[] = [];
  #file: DiskFile | undefined;
  #batches: RecordBatches | undefined;
  #first = 0;
  #size = 0;
  #synced = 0;
  /** Records behind these begin a new segment. */
  #boundaries: number[] = [];
  #writtenBytes = 0;
  /** Numbers of the last record that is persisted, and of the last that was reported so. */
  #persisted = 0;
  #reported = 0;
  #isWorking = false;
  #hasFailed = false;
  #isSyncDue = false;
  #syncedAt = 0;
  #onIdle: (() => void)[] = [];

  constructor(options: JournalWriterOptions) {
    this.#options = options;
  }

  /** Bytes of records since the last call of `rotateAfter`. */
  get bytesSinceRotation(): number {
    return this.#writtenBytes;
  }

  /** Goes on with a segment that there is. */
  resume(segment: OpenSegment): void {
    this.#file = segment.file;
    const { disk } = this.#options;
    this.#batches = new RecordBatches(segment.salt, (bytes, previous) => disk.checksum(bytes, previous));
    this.#first = segment.first;
    this.#size = segment.size;
    this.#synced = segment.size;
  }

  /** Takes the next record. Its arrays must not change before it is persisted. It is written after `flush`. */
  append(number: number, record: JournalRecord): void {
    if (!this.#hasFailed) this.#queue.push({ number, record });
  }

  /** The records of this turn have come: writes them, unless a group is under way. */
  flush(): void {
    if (this.#isWorking || this.#hasFailed) return;
    if (this.#queue.length === 0 && !this.#isSyncDue) {
      for (const done of this.#onIdle.splice(0)) done();
      return;
    }
    this.#isWorking = true;
    runTask(this.#work(), (error) => {
      this.#isWorking = false;
      if (error !== null) this.#fail(error);
      else this.flush();
    });
  }

  /** Records behind number `position` begin a new segment. */
  rotateAfter(position: number): void {
    this.#boundaries.push(position);
    this.#writtenBytes = 0;
  }

  /** Time has passed. */
  onTick(now: number): void {
    if (this.#synced === this.#size) {
      this.#syncedAt = now;
    } else if (now - this.#syncedAt >= SYNC_AFTER_MS && !this.#isWorking) {
      this.#syncedAt = now;
      this.#isSyncDue = true;
      this.flush();
    }
  }

  /** Calls `done` when everything that was appended is durable, or will never be. */
  settle(done: () => void): void {
    if (this.#hasFailed) {
      done();
      return;
    }
    this.#isSyncDue ||= this.#synced < this.#size || this.#queue.length > 0;
    this.#onIdle.push(done);
    this.flush();
  }

  /** Writes what is left, makes it durable, and closes the file. */
  close(done: () => void): void {
    this.settle(() => {
      const file = this.#file;
      this.#file = undefined;
      this.#hasFailed = true;
      if (file === undefined) done();
      else file.close(() => done());
    });
  }

  *#work(): Task<void> {
    while (this.#queue.length > 0) {
      yield* this.#rotateIfDue();
      const group = this.#takeGroup();
      yield* this.#write(group);
      if (this.#options.mode === 'journal') yield* this.#sync();
      this.#persisted = (group.at(-1) as NumberedRecord).number;
      if (this.#isSyncDue) break;
    }
    this.#report();
    if (!this.#isSyncDue) return;
    this.#isSyncDue = false;
    if (this.#synced < this.#size) yield* this.#sync();
  }

  /** Says what has been persisted. */
  #report(): void {
    if (this.#persisted === this.#reported) return;
    this.#reported = this.#persisted;
    this.#options.onPersisted(this.#reported);
  }

  /** Everything in the queue that belongs into this segment. */
  #takeGroup(): NumberedRecord[] {
    const boundary = this.#boundaries[0] ?? Number.POSITIVE_INFINITY;
    const end = this.#queue.findIndex(({ number }) => number > boundary);
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end);
  }

  *#write(group: readonly NumberedRecord[]): Task<void> {
    const [file, batches] = [this.#file as DiskFile, this.#batches as RecordBatches];
    batches.begin(group, this.#synced);
    for (let batch = batches.next(); batch !== undefined; batch = batches.next()) {
      const { parts, bytes } = batch;
      yield* completion((done) => {
        file.write(parts, this.#size, done);
        // The answers to the group before are worked out while the disk works on this one.
        this.#report();
      });
      this.#size += bytes;
      this.#writtenBytes += bytes;
    }
  }

  *#sync(): Task<void> {
    const size = this.#size;
    yield* completion((done) => (this.#file as DiskFile).sync(done));
    this.#synced = size;
  }

  *#rotateIfDue(): Task<void> {
    const { number } = this.#queue[0] as NumberedRecord;
    let isDue = this.#file === undefined;
    for (; number > (this.#boundaries[0] ?? number); this.#boundaries.shift()) isDue = true;
    // A segment without records is as good as a new one.
    if (!isDue || (this.#file !== undefined && this.#first === number)) return;
    this.#report();
    const old = this.#file;
    if (old !== undefined) {
      if (this.#synced < this.#size) yield* this.#sync();
      this.#file = undefined;
      yield* completion((done) => old.close(done));
    }
    const { disk, directory, lineage, newSalt } = this.#options;
    this.resume(yield* createSegment(disk, directory, { lineage, first: number, salt: newSalt() }));
  }

  #fail(error: unknown): void {
    this.#hasFailed = true;
    this.#queue = [];
    this.#file?.close(() => {});
    this.#file = undefined;
    this.#options.onFailed(error);
    for (const done of this.#onIdle.splice(0)) done();
  }
}

/** A new, durable segment without records. */
function* createSegment(disk: Disk, directory: string, header: SegmentHeader): Task<OpenSegment> {
  const path = segmentPath(directory, header.first);
  const file = yield* result<DiskFile>((done) => disk.open(path, 'create', done));
  const bytes = encodeSegmentHeader(header, (part, previous) => disk.checksum(part, previous));
  yield* completion((done) => file.write([bytes], 0, done));
  yield* completion((done) => file.sync(done));
  yield* completion((done) => disk.syncDirectory(directory, done));
  return { file, salt: header.salt, first: header.first, size: bytes.length };
}
