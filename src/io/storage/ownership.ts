/**
 * Whose a data directory is, also between machines, where no lock of the system reaches. Each life of a server
 * puts a file `owner` in the place of the one before; who finds another's there has lost the directory.
 *
 *     take:   wait while an owner elsewhere may live ──▶ rename over `owner` ──▶ only now remove temporaries, and read
 *     write:  write and sync, or a temporary and sync ──▶ check: still ours? ──▶ acknowledge, or give the name
 *
 * So what was acknowledged was on the disk before the next life looked; and what a life writes after it has lost
 * the directory gets no answer and no name. That holds whatever pauses come in between: nothing here relies on
 * time but the courtesy of not taking the directory from a server that lives.
 */
import { PsError } from '../../core/base/errors.js';
import type { Disk, DiskError, DiskFile } from './disk.js';
import { OWNER_NAME } from './names.js';
import { decodeOwner, encodeBeat, encodeOwner, type Owner, type OwnerText, type Self } from './ownerFile.js';
import { completion, result, runTask, type Task } from './task.js';

/** What keeps a life that has lost its directory from doing harm there. */
export interface Fence {
  /** Names the temporaries of this life: nobody else's are called so. */
  readonly token: string;
  /** Throws `PS_DATA_DIR_IN_USE` if the directory is another's. What was written before is seen by that one. */
  check(): Task<void>;
}

/** What an ownership needs of its surroundings. */
export interface OwnershipHost {
  /** Calls `action` after `ms`. */
  after(ms: number, action: () => void): void;
  onWarning(message: string): void;
  /** The directory is another's: once. */
  onLost(error: PsError): void;
}

/** An owner says so often that it lives. */
const BEAT_MS = 2_000;
/** An owner that could live, elsewhere, and says nothing for so long is taken for dead. */
const PATIENCE_MS = 10_000;
const LOOK_MS = 500;
/** Without a free file descriptor nothing can be checked: it is tried again after this. */
const RETRY_MS = 100;

type Place = { readonly disk: Disk; readonly directory: string };

/** The ownership of one directory by one life. */
export class Ownership implements Fence {
  readonly token: string;
  /** The life before did not close the directory and ran under another system: it may still write to its files. */
  readonly mayOverlap: boolean;
  readonly #place: Place;
  readonly #host: OwnershipHost;
  readonly #file: DiskFile;
  readonly #front: Uint8Array;
  #beat = 0;
  #beatAt = 0;
  #isBeating = false;
  #onBeaten: (() => void) | undefined;
  #isLost = false;

  private constructor(place: Place, host: OwnershipHost, self: Owner, file: DiskFile, mayOverlap: boolean) {
    this.#place = place;
    this.#host = host;
    this.token = self.token;
    this.#front = encodeOwner(self);
    this.#file = file;
    this.mayOverlap = mayOverlap;
  }

  /**
   * Takes the directory for `self`, at once if nobody else can have it, or when its owner has been silent for
   * 10 s. REQUIRES: the lock of this machine. Throws `PS_DATA_DIR_IN_USE` if an owner elsewhere lives.
   */
  static *take(place: Place, self: Self, host: OwnershipHost): Task<Ownership> {
    const before = yield* readOwner(place, host);
    const mayOverlap = before !== undefined && !before.isClosed && before.owner?.boot !== self.boot;
    if (mayOverlap) yield* awaitSilence(place, before, host);
    const owner = { ...self, life: (before?.owner?.life ?? 0) + 1 };
    return new Ownership(place, host, owner, yield* putOwner(place, owner), mayOverlap);
  }

  *check(): Task<void> {
    const { directory } = this.#place;
    const bytes = yield* readBytes(this.#place, this.#host);
    if (bytes !== undefined && this.#front.every((byte, i) => bytes[i] === byte)) return;
    const owner = bytes && decodeOwner(bytes).owner;
    const by = owner === undefined ? 'the file "owner" is gone' : `${nameOf(owner)} has taken it over`;
    const error = new PsError('PS_DATA_DIR_IN_USE', `"${directory}" is not this server's any more: ${by}`);
    if (!this.#isLost) {
      this.#isLost = true;
      this.#host.onLost(error);
    }
    throw error;
  }

  /** Time has passed: looks, and says that it lives, if that is due. */
  onTick(now: number): void {
    if (this.#isBeating || this.#isLost || now - this.#beatAt < BEAT_MS) return;
    this.#beatAt = now;
    this.#isBeating = true;
    // Errors of the disk are for those that must write to it: at worst another takes this server for dead.
    runTask(this.#say(++this.#beat), () => {
      this.#isBeating = false;
      this.#onBeaten?.();
    });
  }

  /** Nothing is written any more: the next life need not wait. */
  release(done: () => void): void {
    if (this.#isBeating) {
      this.#onBeaten = () => this.release(done);
      return;
    }
    this.#isBeating = true;
    runTask(this.#say('closed'), () => this.#file.close(() => done()));
  }

  /** Writes to this life's own file, whichever has the name now. */
  *#say(beat: number | 'closed'): Task<void> {
    yield* this.check();
    yield* completion((done) => this.#file.write([encodeBeat(beat)], this.#front.length, done));
    yield* completion((done) => this.#file.sync(done));
  }
}

/** Returns when the owner has shown no life for `PATIENCE_MS`. */
function* awaitSilence(place: Place, before: OwnerText, host: OwnershipHost): Task<void> {
  const who = nameOf(before.owner);
  host.onWarning(
    `"${place.directory}" was not closed by ${who}: waiting ${PATIENCE_MS / 1000} s to see whether it lives`,
  );
  for (let waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
    yield* pause(host, LOOK_MS);
    const found = yield* readOwner(place, host);
    if (found?.isClosed === true) return;
    if (found?.beat === before.beat && found.owner?.token === before.owner?.token) continue;
    throw new PsError('PS_DATA_DIR_IN_USE', `"${place.directory}" is used by ${nameOf(found?.owner)}`);
  }
}

/** Puts the file of `owner` in the place of the one that is there. */
function* putOwner({ disk, directory }: Place, owner: Owner): Task<DiskFile> {
  const temporary = `${directory}/${OWNER_NAME}.${owner.token}.tmp`;
  const file = yield* result<DiskFile>((done) => disk.open(temporary, 'create', done));
  try {
    yield* completion((done) => file.write([encodeOwner(owner), encodeBeat(0)], 0, done));
    yield* completion((done) => file.sync(done));
    yield* completion((done) => disk.rename(temporary, `${directory}/${OWNER_NAME}`, done));
    yield* completion((done) => disk.syncDirectory(directory, done));
  } catch (error) {
    file.close(() => {});
    throw error;
  }
  return file;
}

function* readOwner(place: Place, host: OwnershipHost): Task<OwnerText | undefined> {
  const bytes = yield* readBytes(place, host);
  return bytes && decodeOwner(bytes);
}

/** The file's bytes; undefined if there is none. */
function* readBytes({ disk, directory }: Place, host: OwnershipHost): Task<Uint8Array | undefined> {
  for (;;) {
    try {
      return yield* result<Uint8Array>((done) => disk.peek(`${directory}/${OWNER_NAME}`, done));
    } catch (error) {
      const { code } = error as DiskError;
      if (code === 'ENOENT') return undefined;
      if (code !== 'EMFILE' && code !== 'ENFILE') throw error;
      yield* pause(host, RETRY_MS);
    }
  }
}

function* pause({ after }: OwnershipHost, ms: number): Task<void> {
  yield* completion((done) => after(ms, () => done(null)));
}

function nameOf(owner: Owner | undefined): string {
  return owner === undefined ? 'another server' : `the server on ${owner.host} (process ${owner.pid})`;
}
