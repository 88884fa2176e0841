/**
 * The durable side of one server: recovers its state when it opens, takes its records, takes checkpoints
 * when they are due, and says what has become durable. It runs on any `Disk` and in any shell that can
 * run the core; it keeps no time of its own.
 *
 *     open ──▶ lock, own, recover (or a first checkpoint), the options' changes ──▶ ready
 *     persist effects ──▶ append … flush ──▶ journal ──▶ `persisted` to the core
 *     tick ──▶ sync, room, checkpoint ──▶ capture between two updates ──▶ write, verify, prune
 */
import { PsError } from '../../core/base/errors.js';
import type { CoreContext } from '../../core/server/context.js';
import type { JournalRecord } from '../../core/server/records.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import { recording, settingsChange } from '../../core/server/settings.js';
import type { ServerState } from '../../core/server/state.js';
import { captureJob, type StateImage } from '../../core/server/stateImage.js';
import type { Job } from '../../core/table/job.js';
import { areWorthADelta } from '../../core/table/tableDelta.js';
import type { CheckpointInfo } from './checkpointFormat.js';
import { imageInPlace, prune, type Retention, saveCheckpoint } from './checkpointStore.js';
import { type CheckpointDone, CheckpointTurns } from './checkpointTurns.js';
import { type DataDirectory, ensureGone } from './dataDirectory.js';
import type { DiskLock, DiskSpace } from './disk.js';
import { JournalWriter } from './journalWriter.js';
import { contentOf } from './names.js';
import { Ownership } from './ownership.js';
import { isFresh, recover } from './recovery.js';
import { roomIn } from './room.js';
import { asStorageError } from './storageError.js';
import type { StorageHost, StorageOptions } from './storageParts.js';
import { completion, result, runTask, type Task } from './task.js';

type Done<T> = (error: PsError | null, value?: T) => void;

/** How often the room on the disk is looked at. */
const ROOM_EVERY_MS = 1000;

/** Keeps one server's state in a directory. */
export class Storage {
  readonly #options: StorageOptions;
  readonly #host: StorageHost;
  #place: DataDirectory;
  #ownership: Ownership | undefined;
  #core: ServerCore | undefined;
  #lock: DiskLock | undefined;
  #journal: JournalWriter | undefined;
  #lineage: string;
  #failure: PsError | undefined;
  readonly #closed = new PsError('PS_CLOSED', 'the server is closed');
  /** Position of the last checkpoint, and when it was asked for. */
  #checkpointed = 0;
  /** The last checkpoint of all rows that this life has written: those of changes build on it. */
  #base: number | undefined;
  #checkpointAt = 0;
  #roomAt = Number.NEGATIVE_INFINITY;
  #isLookingForRoom = false;
  readonly #checkpoints = new CheckpointTurns((answer) => this.#takeCheckpoint(answer));
  #isWithoutCore = false;

  constructor(options: StorageOptions, host: StorageHost) {
    this.#options = options;
    this.#host = host;
    this.#place = { disk: options.disk, directory: options.directory };
    this.#lineage = options.lineage;
  }

  /** Locks the directory and brings `core`, in which nothing has happened yet, to the state in it. */
  open(core: ServerCore, done: Done<void>): void {
    runTask(this.#open(core), (error) => {
      if (error === null) {
        done(null);
        return;
      }
      const failure = asStorageError(error, `"${this.#options.directory}" can't be used`);
      this.#failure = failure;
      const end = (): void => this.#unlock(() => done(failure));
      if (this.#journal === undefined) end();
      else this.#journal.close(end);
    });
  }

  /** Takes a record, for `flush` to write. */
  append(number: number, record: JournalRecord): void {
    this.#journal?.append(number, record);
  }

  /** The effects of a turn have been carried out. */
  flush(): void {
    this.#journal?.flush();
  }

  /** Time has passed. */
  onTick(now: number): void {
    if (this.#failure !== undefined || this.#core === undefined || this.#isWithoutCore) return;
    this.#ownership?.onTick(now);
    this.#journal?.onTick(now);
    if (this.#journal !== undefined && now - this.#roomAt >= ROOM_EVERY_MS) this.#lookForRoom(now);
    const { intervalMs, journalBytes } = this.#options.checkpoint;
    const isDue =
      now - this.#checkpointAt >= intervalMs || (this.#journal?.bytesSinceRotation ?? 0) >= journalBytes;
    if (!isDue || this.#checkpoints.isTaking || this.#core.position === this.#checkpointed) return;
    this.checkpoint((error) => {
      if (error !== null && this.#failure === undefined) this.#host.onError(error);
    });
  }

  /** Takes a checkpoint of the state as it is when all updates before are done. */
  checkpoint(done: CheckpointDone): void {
    this.#checkpoints.ask(done);
  }

  /** The core has stopped for good, by a fault of its own: no state can be had of it. What was recorded is written. */
  coreFailed(error: PsError): void {
    this.#isWithoutCore = true;
    this.#checkpoints.stop(error);
  }

  /** Calls `done` when everything that was appended is durable, or will never be. */
  settle(done: () => void): void {
    if (this.#journal === undefined) done();
    else this.#journal.settle(done);
  }

  /** Writes what is left (without a journal: a last checkpoint) and gives the directory back. */
  close(done: Done<void>): void {
    this.#checkpoints.whenIdle(() => this.#close(done));
  }

  #close(done: Done<void>): void {
    const end = (error: PsError | null): void => {
      this.#failure ??= this.#closed;
      // The journal may fail at what it still has to write.
      const finish = () =>
        this.#unlock(() => done(this.#failure === this.#closed ? error : (this.#failure ?? null)));
      if (this.#journal === undefined) finish();
      else this.#journal.close(finish);
    };
    const isOpen = this.#core !== undefined && this.#failure === undefined;
    const isWritten = this.#journal !== undefined || this.#core?.position === this.#checkpointed;
    if (isOpen && !isWritten) this.checkpoint(end);
    else end(null);
  }

  *#open(core: ServerCore): Task<void> {
    const { settings, shard, durability } = this.#options;
    const onWarning = (message: string): void => this.#host.onWarning(message);
    const { mayOverlap } = yield* this.#take(onWarning);
    const now = this.#host.now();
    const known = settings.optimizers;
    const { state } = core;
    const found = yield* recover(this.#place, { state, known, shard, now, onWarning });
    const position = found?.position ?? 0;
    this.#lineage = found?.lineage ?? this.#lineage;
    this.#checkpointAt = now;
    const hasJournal = durability !== 'checkpoint';
    if (durability !== 'checkpoint') this.#journal = this.#openJournal(durability);
    const { records, warnings } = settingsChange(state, settings);
    // The last checkpoint says how what follows is kept. And nothing may be left that only the old journal holds, if there
    // is no new one, or one who writes to the old one still.
    const isAsBefore = found !== undefined && found.durability === this.#unlessJournal;
    if (!isAsBefore || ((!hasJournal || mayOverlap) && found.position > found.checkpoint)) {
      const image = imageInPlace(state);
      yield* saveCheckpoint(this.#place, state, this.#info(position, image), image);
      this.#checkpointed = position;
    } else {
      this.#checkpointed = found.checkpoint;
    }
    yield* prune(this.#place, this.#retention(hasJournal, state));
    warnings.forEach(onWarning);
    const mayLackRecords = (found?.durability ?? this.#unlessJournal) !== undefined;
    this.#host.run((each) => each.recovered(this.#lineage, position, now, mayLackRecords));
    for (const record of records) this.#host.run((each) => each.change(recording(record), now));
    this.#core = core;
  }

  /** Takes the directory, and only then removes what an interrupted run left: the life before can't finish it now. */
  *#take(onWarning: (message: string) => void): Task<Ownership> {
    const { disk, directory, self } = this.#options;
    yield* completion((done) => disk.makeDirectory(directory, done));
    this.#lock = yield* result<DiskLock>((done) => disk.lock(directory, done));
    const list = (): Task<readonly string[]> => result((done) => disk.list(directory, done));
    isFresh(contentOf(yield* list()), directory);
    const after: StorageHost['after'] = (ms, action) => this.#host.after(ms, action);
    // Once everything is written it is no failure any more.
    const onLost = (error: PsError): void => void (this.#ownership !== undefined && this.#fail(error));
    const ownership = yield* Ownership.take(this.#place, self, { after, onWarning, onLost });
    this.#ownership = ownership;
    this.#place = { ...this.#place, fence: ownership };
    for (const name of contentOf(yield* list()).leftOver) {
      yield* ownership.check();
      yield* ensureGone(this.#place, `${directory}/${name}`);
    }
    return ownership;
  }

  #openJournal(mode: 'journal' | 'journal-async'): JournalWriter {
    const { newSalt } = this.#options;
    return new JournalWriter({
      ...this.#place,
      ...{ lineage: this.#lineage, mode, newSalt },
      onPersisted: (upTo) => {
        this.#host.run((core) => core.step({ kind: 'persisted', upTo, now: this.#host.now() }));
      },
      onFull: (cause) => {
        this.#setRoom(0);
        this.#host.onWarning(`the journal waits for room on the disk: ${(cause as Error).message}`);
      },
      onFailed: (cause) => this.#fail(asStorageError(cause, 'the journal can no longer be written')),
    });
  }

  /** Nothing is written any more. */
  #fail(error: PsError): void {
    if (this.#failure !== undefined && this.#failure !== this.#closed) return;
    this.#failure = error;
    this.#host.run((core) => core.step({ kind: 'storageFailed', error, now: this.#host.now() }));
    this.#host.onError(error);
  }

  #takeCheckpoint(answer: CheckpointDone): void {
    const now = this.#host.now();
    this.#checkpointAt = now;
    this.#host.run((core) => core.change((context) => this.#capture(context, answer), now));
  }

  #capture({ state, commits }: CoreContext, answer: CheckpointDone): Job | undefined {
    if (this.#failure !== undefined) {
      answer(this.#failure);
      return undefined;
    }
    const position = commits.last;
    const { version } = state;
    const { tables } = state.tables;
    this.#journal?.rotateAfter(position);
    // At the same position it would take the place of what it builds on.
    const isDelta = this.#base !== undefined && this.#base < position && areWorthADelta(tables);
    const base = isDelta ? this.#base : undefined;
    const onImage = (image: StateImage): void => {
      this.#checkpoints.captured();
      runTask(this.#save(state, position, image, base), (error, saved) => {
        if (saved === undefined) {
          answer(asStorageError(error, 'a checkpoint could not be written'));
          return;
        }
        this.#checkpointed = position;
        if (!isDelta && tables.length > 0) this.#base = position;
        const report = { path: saved.path, bytes: saved.bytes, version };
        this.#host.onCheckpoint(report);
        answer(null, report);
      });
    };
    const capture = captureJob(state, (length) => new Float32Array(length), onImage, isDelta);
    if (!isDelta) {
      // Until it is written there is nothing to build on.
      this.#base = undefined;
      for (const table of tables) table.trackChanges();
    }
    return capture;
  }

  *#save(
    state: ServerState,
    position: number,
    image: StateImage,
    base: number | undefined,
  ): Task<{ path: string; bytes: number }> {
    const saved = yield* saveCheckpoint(this.#place, state, { ...this.#info(position, image), base }, image);
    try {
      yield* prune(this.#place, this.#retention(this.#journal !== undefined, state));
    } catch (error) {
      this.#host.onWarning(`old files could not be removed: ${String(error)}`);
    }
    return saved;
  }

  #retention(keepsJournal: boolean, { tables }: ServerState): Retention {
    return { keep: this.#options.checkpoint.keep, keepsJournal, hasTables: tables.tables.length > 0 };
  }

  #info(position: number, { meta, isFinite: finite }: StateImage): CheckpointInfo {
    const { shard } = this.#options;
    const durability = this.#unlessJournal;
    return { lineage: this.#lineage, position, durability, shard, meta, isFinite: finite };
  }

  /** The durability, as checkpoints say it. */
  get #unlessJournal(): string | undefined {
    const { durability } = this.#options;
    return durability === 'journal' ? undefined : durability;
  }

  #lookForRoom(now: number): void {
    if (this.#isLookingForRoom) return;
    this.#isLookingForRoom = true;
    this.#roomAt = now;
    this.#options.disk.space(this.#options.directory, (error, space) => {
      this.#isLookingForRoom = false;
      if (error !== null || this.#failure !== undefined) return;
      // With a quota the disk may have room that this process has not.
      this.#setRoom(this.#journal?.isFull === true ? 0 : roomIn(space as DiskSpace));
    });
  }

  #setRoom(bytes: number): void {
    this.#host.run((core) => core.step({ kind: 'storageRoom', bytes, now: this.#host.now() }));
  }

  #unlock(done: () => void): void {
    const [ownership, lock] = [this.#ownership, this.#lock];
    this.#ownership = undefined;
    this.#lock = undefined;
    if (ownership !== undefined) ownership.release(() => (lock as DiskLock).release(() => done()));
    else if (lock !== undefined) lock.release(() => done());
    else done();
  }
}
