/**
 * Appends records to the journal: write, then sync; the next group begins when the last sync has ended, and
 * takes everything that came meanwhile. Each life of a server writes segments of its own. One error ends it for good: nothing is known of what it wrote. But a write
 * that finds no room is cut off and tried again each second; what is queued stays queued.
 *
 *     append ──▶ queue ──flush──▶ group: batches written ──▶ synced ──▶ onPersisted ──▶ next group
 *     rotateAfter(position): records behind it begin a new segment
 */
import type { JournalRecord } from '../../core/server/records.js';
import { checkFence, type DataDirectory, temporaryPath } from './dataDirectory.js';
import type { DiskFile } from './disk.js';
import { segmentPath } from './names.js';
import { type Batch, type NumberedRecord, RecordBatches } from './recordBatches.js';
import { isNoRoom, NoRoom } from './room.js';
import { encodeSegmentHeader, type SegmentHeader } from './segmentFormat.js';
import { completion, result, runTask, type Task } from './task.js';

/** `journalAsync`: a record counts as persisted when it is written; it is synced within a second. */
export type JournalMode = 'journal' | 'journal-async';

/** What a journal writer works with. */
export interface JournalWriterOptions extends DataDirectory {
  readonly lineage: string;
  readonly mode: JournalMode;
  /** 32 random bits for each segment. */
  readonly newSalt: () => number;
  /** Every record up to `number` is persisted. */
  readonly onPersisted: (number: number) => void;
  /** A write found no room: nothing is persisted until there is some. Not again before something was written. */
  readonly onFull: (error: unknown) => void;
  /** Nothing will be persisted any more. */
  readonly onFailed: (error: unknown) => void;
}

/** A segment that is being written. */
interface OpenSegment {
  readonly file: DiskFile;
  readonly salt: number;
  /** Number of its first record. */
  readonly first: number;
  /** Where the first record goes. */
  readonly size: number;
}

/** Zeros ahead are at least so many, and as many as there are bytes before them, as far as the disk wants any. */
const MIN_AHEAD_BYTES = 65_536;
/** In `journal-async` what is written is synced when so much time has passed. */
const SYNC_AFTER_MS = 500;
/** A write that found no room is tried again when so much time has passed. */
const RETRY_AFTER_MS = 1000;

/** The writing end of a journal. */
export class JournalWriter {
  readonly #options: JournalWriterOptions;
  #queue: NumberedRecord[] = [];
  #file: DiskFile | undefined;
  #batches: RecordBatches | undefined;
  #first = 0;
  #size = 0;
  #synced = 0;
  /** Where the zeros end that were written behind the records; less than `#size`: there are none. */
  #aheadEnd = 0;
  /** Zeros have found no room. */
  #isTight = false;
  #zeros: Uint8Array = new Uint8Array(0);
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
  #isFull = false;
  /** Whether it waits to try again, and since when. */
  #isPaused = false;
  #pausedAt = 0;
  #now = 0;
  #onIdle: (() => void)[] = [];

  constructor(options: JournalWriterOptions) {
    this.#options = options;
  }

  /** Bytes of records since the last call of `rotateAfter`. */
  get bytesSinceRotation(): number {
    return this.#writtenBytes;
  }

  /** Whether the last write found no room. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Takes the next record. Its arrays must not change before it is persisted. It is written after `flush`. */
  append(number: number, record: JournalRecord): void {
    if (!this.#hasFailed) this.#queue.push({ number, record });
  }

  /** The records of this turn have come: writes them, unless a group is under way. */
  flush(): void {
    if (this.#isWorking || this.#isPaused || this.#hasFailed) return;
    if (this.#queue.length === 0 && !this.#isSyncDue) {
      for (const done of this.#onIdle.splice(0)) done();
      return;
    }
    this.#isWorking = true;
    runTask(this.#work(), (error) => {
      this.#isWorking = false;
      if (error === null) this.flush();
      else if (error instanceof NoRoom) this.#pause(error.cause);
      else this.#fail(error);
    });
  }

  /** Records behind number `position` begin a new segment. */
  rotateAfter(position: number): void {
    this.#boundaries.push(position);
    this.#writtenBytes = 0;
  }

  /** Time has passed. */
  onTick(now: number): void {
    this.#now = now;
    if (this.#isPaused) {
      if (now - this.#pausedAt >= RETRY_AFTER_MS) this.#resumeWork();
      return;
    }
    if (this.#synced === this.#size) {
      this.#syncedAt = now;
    } else if (now - this.#syncedAt >= SYNC_AFTER_MS && !this.#isWorking) {
      this.#syncedAt = now;
      this.#isSyncDue = true;
      this.flush();
    }
  }

  /** Calls `done` when everything that was appended is durable, or will never be: there is no waiting for room. */
  settle(done: () => void): void {
    if (this.#hasFailed) {
      done();
      return;
    }
    this.#isSyncDue ||= this.#synced < this.#size || this.#queue.length > 0;
    this.#onIdle.push(done);
    this.#resumeWork();
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
      if (!(yield* this.#write(group))) continue;
      if (this.#options.mode === 'journal' && this.#synced < this.#size) yield* this.#sync();
      yield* checkFence(this.#options);
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

  /** Writes a group, and syncs it if that takes no call of its own. False: it is to be tried again at once. */
  *#write(group: readonly NumberedRecord[]): Task<boolean> {
    const [file, batches] = [this.#file as DiskFile, this.#batches as RecordBatches];
    const begin = this.#size;
    batches.begin(group, begin, this.#synced);
    let following = batches.next();
    for (let batch = following; batch !== undefined; batch = following) {
      const { parts, bytes, isLast }: Batch = batch;
      const isSynced = this.#options.mode === 'journal' && isLast && this.#size === begin;
      const zeros = isSynced ? this.#zerosBehind(this.#size + bytes) : undefined;
      try {
        yield* completion((done) => {
          if (isSynced) file.writeSynced(zeros === undefined ? parts : [...parts, zeros], this.#size, done);
          else file.write(parts, this.#size, done);
          // The answers to the group before are worked out while the disk works on this one, and what comes behind it.
          this.#report();
          following = batches.next();
        });
      } catch (error) {
        if (!isNoRoom(error)) throw error;
        yield* this.#takeBack(group, begin);
        if (zeros === undefined) throw new NoRoom('the group found no room', { cause: error });
        this.#isTight = true;
        return false;
      }
      this.#size += bytes;
      this.#writtenBytes += bytes;
      if (isSynced) this.#synced = this.#size;
      if (zeros !== undefined) this.#aheadEnd = this.#size + zeros.length;
    }
    this.#isFull = false;
    return true;
  }

  /** Zeros to be written with records that end at `end`, so that the next ones do not make the file longer. */
  #zerosBehind(end: number): Uint8Array | undefined {
    const { aheadBytes } = this.#options.disk.appending;
    if (end <= this.#aheadEnd || aheadBytes === 0 || this.#isTight) return undefined;
    const length = Math.min(aheadBytes, Math.max(MIN_AHEAD_BYTES, end));
    if (this.#zeros.length < length) this.#zeros = new Uint8Array(length);
    return this.#zeros.subarray(0, length);
  }

  /** The group that begins at `begin` found no room: it stands in the queue again. */
  *#takeBack(group: readonly NumberedRecord[], begin: number): Task<void> {
    const file = this.#file as DiskFile;
    // Another life may have read it, and counts on it.
    yield* checkFence(this.#options);
    yield* completion((done) => file.truncate(begin, done));
    this.#writtenBytes -= this.#size - begin;
    this.#size = begin;
    this.#aheadEnd = begin;
    this.#queue = [...group, ...this.#queue];
    // What was written before is not to wait for room too.
    if (this.#synced < begin) yield* this.#sync();
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
    const { disk, lineage, newSalt } = this.#options;
    const { pageBytes, aheadBytes } = disk.appending;
    const version = pageBytes > 0 || aheadBytes > 0 ? 2 : 1;
    const header: SegmentHeader = { lineage, first: number, salt: newSalt(), version };
    const segment = yield* createSegment(this.#options, header);
    const checksum = (bytes: Uint8Array, previous: number): number => disk.checksum(bytes, previous);
    this.#file = segment.file;
    this.#batches = new RecordBatches({ salt: segment.salt, checksum, pageBytes });
    this.#first = segment.first;
    this.#size = segment.size;
    this.#synced = segment.size;
    this.#aheadEnd = 0;
    this.#isTight = false;
  }

  /** There is no room. Whoever waits for the end is not kept waiting for it. */
  #pause(error: unknown): void {
    if (this.#onIdle.length > 0) {
      this.#fail(error);
      return;
    }
    this.#report();
    this.#isPaused = true;
    this.#pausedAt = this.#now;
    if (this.#isFull) return;
    this.#isFull = true;
    this.#options.onFull(error);
  }

  #resumeWork(): void {
    this.#isPaused = false;
    this.flush();
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

/** A new, durable segment without records, in place of one that has none either. */
function* createSegment(place: DataDirectory, header: SegmentHeader): Task<OpenSegment> {
  const { disk, directory } = place;
  const path = segmentPath(directory, header.first);
  const temporary = temporaryPath(place, path);
  const bytes = encodeSegmentHeader(header, (part, previous) => disk.checksum(part, previous));
  let file: DiskFile | undefined;
  try {
    file = yield* result<DiskFile>((done) => disk.open(temporary, 'create', done));
    yield* completion((done) => (file as DiskFile).write([bytes], 0, done));
  } catch (error) {
    if (!isNoRoom(error)) throw error;
    const unfinished = file;
    if (unfinished !== undefined) {
      yield* completion((done) => unfinished.close(done));
      yield* completion((done) => disk.remove(temporary, done));
    }
    throw new NoRoom('a new segment found no room', { cause: error });
  }
  yield* completion((done) => (file as DiskFile).sync(done));
  yield* checkFence(place);
  yield* completion((done) => disk.rename(temporary, path, done));
  yield* completion((done) => disk.syncDirectory(directory, done));
  return { file, salt: header.salt, first: header.first, size: bytes.length };
}
