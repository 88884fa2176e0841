/**
 * Appends records to the journal: write, then sync; the next group begins when the last sync has ended, and
 * takes everything that came meanwhile. Each life of a server writes segments of its own. One error ends it for good: nothing is known of what it wrote. But a write
 * that finds no room is cut off and tried again each second; what is queued stays queued.
 *
 *     append ──▶ queue ──flush──▶ group: batches written ──▶ synced ──▶ onPersisted ──▶ next group
 *     rotateAfter(position): records behind it begin a new segment
 */
import type { JournalRecord } from '../../core/server/records.js';
import { checkFence, type DataDirectory } from './dataDirectory.js';
import type { NumberedRecord } from './recordBatches.js';
import { isNoRoom, NoRoom } from './room.js';
import { SegmentWriter } from './segmentWriter.js';
import { completion, runTask, type Task } from './task.js';

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

/** In `journal-async` what is written is synced when so much time has passed. */
const SYNC_AFTER_MS = 500;
/** A write that found no room is tried again when so much time has passed. */
const RETRY_AFTER_MS = 1000;

/** The writing end of a journal. */
export class JournalWriter {
  readonly #options: JournalWriterOptions;
  #queue: NumberedRecord[] = [];
  #segment: SegmentWriter | undefined;
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
    // A boundary may have come between the sync that was asked for and the last records.
    const isEndAwaited = this.#queue.length === 0 && this.#onIdle.length > 0;
    if (isEndAwaited && this.#segment?.isSynced === false) this.#isSyncDue = true;
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
    if (this.#segment?.isSynced !== false) {
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
    this.#isSyncDue ||= this.#segment?.isSynced === false || this.#queue.length > 0;
    this.#onIdle.push(done);
    this.#resumeWork();
  }

  /** Writes what is left, makes it durable, and closes the file. */
  close(done: () => void): void {
    this.settle(() => {
      const segment = this.#segment;
      this.#segment = undefined;
      this.#hasFailed = true;
      if (segment === undefined) done();
      else segment.close(() => done());
    });
  }

  *#work(): Task<void> {
    while (this.#queue.length > 0) {
      const segment = yield* this.#segmentOfNext();
      const group = this.#takeGroup();
      if (!(yield* this.#write(segment, group))) continue;
      if (this.#options.mode === 'journal' && !segment.isSynced) yield* segment.sync();
      yield* checkFence(this.#options);
      this.#persisted = (group.at(-1) as NumberedRecord).number;
      if (this.#isSyncDue) break;
    }
    this.#report();
    if (!this.#isSyncDue) return;
    this.#isSyncDue = false;
    if (this.#segment?.isSynced === false) yield* this.#segment.sync();
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
  *#write(segment: SegmentWriter, group: readonly NumberedRecord[]): Task<boolean> {
    const { size, isTight } = segment;
    try {
      // The answers to the group before are worked out while the disk works on this one.
      yield* segment.write(group, this.#options.mode === 'journal', () => this.#report());
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      yield* this.#takeBack(segment, group, size);
      if (segment.isTight !== isTight) return false;
      throw new NoRoom('the group found no room', { cause: error });
    }
    this.#writtenBytes += segment.size - size;
    this.#isFull = false;
    return true;
  }

  /** The group that begins at `begin` found no room: it stands in the queue again. */
  *#takeBack(segment: SegmentWriter, group: readonly NumberedRecord[], begin: number): Task<void> {
    // Another life may have read it, and counts on it.
    yield* checkFence(this.#options);
    yield* segment.cutOff(begin);
    this.#queue = [...group, ...this.#queue];
    // What was written before is not to wait for room too.
    if (!segment.isSynced) yield* segment.sync();
  }

  /** The segment that the next record in the queue belongs to. */
  *#segmentOfNext(): Task<SegmentWriter> {
    const { number } = this.#queue[0] as NumberedRecord;
    const old = this.#segment;
    let isOver = false;
    for (; number > (this.#boundaries[0] ?? number); this.#boundaries.shift()) isOver = true;
    // A segment without records is as good as a new one.
    if (old !== undefined && (!isOver || old.first === number)) return old;
    this.#report();
    if (old !== undefined) {
      if (!old.isSynced) yield* old.sync();
      this.#segment = undefined;
      yield* completion((done) => old.close(done));
    }
    const { lineage, newSalt } = this.#options;
    const segment = yield* SegmentWriter.create(this.#options, { lineage, first: number, salt: newSalt() });
    this.#segment = segment;
    return segment;
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
    this.#segment?.close(() => {});
    this.#segment = undefined;
    this.#options.onFailed(error);
    for (const done of this.#onIdle.splice(0)) done();
  }
}
