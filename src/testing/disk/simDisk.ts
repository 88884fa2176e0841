/**
 * A disk in virtual time, for one machine: calls take time, may stall, fail, or find no room. A process
 * that dies leaves what was written, and half of what was being written; a machine that loses power keeps
 * what was synced, and of the rest whatever happened to be there.
 */
import type { Random } from '../../core/base/random.js';
import { smallJoin } from '../../core/base/smallBytes.js';
import { crc32 } from '../../io/storage/crc32.js';
import {
  type AppendHints,
  type AppendSizes,
  type Disk,
  type DiskDone,
  type DiskError,
  type DiskFile,
  type DiskLock,
  type DiskResult,
  type DiskSpace,
  type OpenMode,
  syncFailure,
} from '../../io/storage/disk.js';
import type { SimProcess } from '../network/simProcess.js';
import type { Timeline } from '../network/timeline.js';
import { FileBody } from './fileBody.js';

/** How long calls take, in milliseconds; each draws its own. */
export interface DiskTimes {
  readonly syncMs: () => number;
  readonly callMs: () => number;
}

/** A call under way. */
interface Call {
  /** Does it; throws a `DiskError`. */
  readonly effect: () => unknown;
  /** Does as much as may be done when the process dies meanwhile. */
  readonly half: (() => void) | undefined;
}

/** The disk of a machine, over the lives of its processes. */
export class SimDisk {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #times: DiskTimes;
  #names = new Map<string, FileBody>();
  #durableNames = new Map<string, FileBody>();
  #nameChanges: ((names: Map<string, FileBody>) => void)[] = [];
  readonly #directories = new Set<string>();
  readonly #locked = new Set<string>();
  readonly #underWay = new Set<Call>();
  #stalledUntil = 0;
  #failing = 0;
  capacityBytes: number = 2 ** 40;
  /** How a journal on it is written. */
  readonly appending: AppendHints;

  /** `sizes`: how records are written; default: as on disks as they are. */
  constructor(timeline: Timeline, random: Random, times: DiskTimes, sizes?: AppendSizes) {
    this.appending = { pageBytes: 512, aheadBytes: 1024, sizes };
    this.#timeline = timeline;
    this.#random = random;
    this.#times = times;
  }

  /** Calls under way. */
  get pending(): number {
    return this.#underWay.size;
  }

  get isEmpty(): boolean {
    return this.#names.size === 0;
  }

  /** The disk as `process` sees it. */
  mount(process: SimProcess): Disk {
    return new MountedDisk(this, process);
  }

  /** No call ends before `until`. */
  stall(until: number): void {
    this.#stalledUntil = Math.max(this.#stalledUntil, until);
  }

  /** The next `count` writes and syncs fail. */
  fail(count: number): void {
    this.#failing += count;
  }

  /** The process that used it has died. `losesPower`: the machine with it. */
  abandon(losesPower: boolean): void {
    for (const { effect, half } of this.#underWay) {
      const fate = this.#random.nextInt(3);
      if (fate === 0) half?.();
      else if (fate === 1) attempt(effect);
    }
    this.#underWay.clear();
    this.#locked.clear();
    this.#failing = 0;
    if (losesPower) this.#losePower();
  }

  #losePower(): void {
    const names = new Map(this.#durableNames);
    const kept = this.#random.nextInt(this.#nameChanges.length + 1);
    for (const change of this.#nameChanges.slice(0, kept)) change(names);
    for (const body of new Set([...names.values(), ...this.#names.values()])) body.losePower(this.#random);
    this.#names = names;
    this.#durableNames = new Map(names);
    this.#nameChanges = [];
  }

  /** Carries a call of `process` out in its time. */
  call<T>(process: SimProcess, kind: 'sync' | 'write' | 'other', done: DiskResult<T>, call: Call): void {
    this.#underWay.add(call);
    const { syncMs, callMs } = this.#times;
    const doneAt = Math.max(this.#timeline.now, this.#stalledUntil) + (kind === 'sync' ? syncMs() : callMs());
    this.#timeline.at(doneAt, () => {
      // It was settled when its process died.
      if (!this.#underWay.delete(call)) return;
      let value: T | undefined;
      let error: DiskError | null = null;
      try {
        if (kind !== 'other' && this.#failing > 0) {
          this.#failing--;
          call.half?.();
          throw fault('EIO');
        }
        value = call.effect() as T;
      } catch (thrown) {
        if ((thrown as DiskError).code === undefined) throw thrown;
        error = thrown as DiskError;
      }
      process.run(() => done(error, value));
    });
  }

  makeDirectory(directory: string): void {
    this.#directories.add(directory);
  }

  list(directory: string): readonly string[] {
    if (!this.#directories.has(directory)) throw fault('ENOENT');
    const start = `${directory}/`;
    return [...this.#names.keys()]
      .filter((path) => path.startsWith(start))
      .map((path) => path.slice(start.length));
  }

  open(path: string, mode: OpenMode): FileBody {
    const known = this.#names.get(path);
    if (mode !== 'create') {
      if (known === undefined) throw fault('ENOENT');
      return known;
    }
    if (known !== undefined) throw fault('EEXIST');
    const body = new FileBody();
    this.#changeNames((names) => names.set(path, body));
    return body;
  }

  rename(from: string, to: string): void {
    const body = this.#names.get(from);
    if (body === undefined) throw fault('ENOENT');
    this.#changeNames((names) => {
      names.delete(from);
      names.set(to, body);
    });
  }

  remove(path: string): void {
    if (!this.#names.has(path)) throw fault('ENOENT');
    this.#changeNames((names) => names.delete(path));
  }

  syncDirectory(): void {
    this.#durableNames = new Map(this.#names);
    this.#nameChanges = [];
  }

  space(): DiskSpace {
    return { freeBytes: this.capacityBytes - this.#usedBytes(), totalBytes: this.capacityBytes };
  }

  lock(directory: string): void {
    if (this.#locked.has(directory)) throw fault('EBUSY');
    this.#locked.add(directory);
  }

  unlock(directory: string): void {
    this.#locked.delete(directory);
  }

  /** Throws `ENOSPC` if `bytes` more have no room. */
  checkRoom(bytes: number): void {
    if (bytes > 0 && this.#usedBytes() + bytes > this.capacityBytes) throw fault('ENOSPC');
  }

  #usedBytes(): number {
    let sum = 0;
    for (const { size } of this.#names.values()) sum += size;
    return sum;
  }

  #changeNames(change: (names: Map<string, FileBody>) => void): void {
    change(this.#names);
    this.#nameChanges.push(change);
  }
}

/** The disk in the hands of one process. */
class MountedDisk implements Disk {
  readonly appending: AppendHints;
  readonly #disk: SimDisk;
  readonly #process: SimProcess;

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk;
    this.#process = process;
    this.appending = disk.appending;
  }

  makeDirectory(directory: string, done: DiskDone): void {
    this.#do(done, () => this.#disk.makeDirectory(directory));
  }

  list(directory: string, done: DiskResult<readonly string[]>): void {
    this.#do(done, () => this.#disk.list(directory));
  }

  open(path: string, mode: OpenMode, done: DiskResult<DiskFile>): void {
    this.#do(done, () => new MountedFile(this.#disk, this.#process, this.#disk.open(path, mode)));
  }

  peek(path: string, done: DiskResult<Uint8Array>): void {
    this.#do(done, () => this.#disk.open(path, 'read').read(0, 4096));
  }

  rename(from: string, to: string, done: DiskDone): void {
    this.#do(done, () => this.#disk.rename(from, to));
  }

  remove(path: string, done: DiskDone): void {
    this.#do(done, () => this.#disk.remove(path));
  }

  syncDirectory(_directory: string, done: DiskDone): void {
    this.#do(done, () => this.#disk.syncDirectory(), 'sync');
  }

  space(_directory: string, done: DiskResult<DiskSpace>): void {
    this.#do(done, () => this.#disk.space());
  }

  lock(directory: string, done: DiskResult<DiskLock>): void {
    this.#do(done, () => {
      this.#disk.lock(directory);
      return { release: (released: DiskDone) => this.#do(released, () => this.#disk.unlock(directory)) };
    });
  }

  checksum(bytes: Uint8Array, previous: number): number {
    return crc32(bytes, previous);
  }

  #do<T>(done: DiskDone | DiskResult<T>, effect: () => T, kind: 'sync' | 'other' = 'other'): void {
    this.#disk.call(this.#process, kind, done as DiskResult<T>, { effect, half: undefined });
  }
}

class MountedFile implements DiskFile {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  readonly #body: FileBody;

  constructor(disk: SimDisk, process: SimProcess, body: FileBody) {
    this.#disk = disk;
    this.#process = process;
    this.#body = body;
  }

  size(done: DiskResult<number>): void {
    this.#do('other', done, () => this.#body.size);
  }

  read(at: number, length: number, done: DiskResult<Uint8Array>): void {
    this.#do('other', done, () => this.#body.read(at, length));
  }

  write(parts: readonly Uint8Array[], at: number, done: DiskDone): void {
    this.#do(
      'write',
      done,
      () => this.#put(parts, at, 1),
      () => this.#put(parts, at, 0.5),
    );
  }

  writeSynced(parts: readonly Uint8Array[], at: number, done: DiskDone): void {
    this.write(parts, at, (error) => {
      if (error !== null) done(error);
      else this.sync((failure) => done(failure && syncFailure(failure)));
    });
  }

  /** Read when it is carried out: memory that changes too early shows. */
  #put(parts: readonly Uint8Array[], at: number, share: number): void {
    const bytes = smallJoin(
      parts,
      parts.reduce((sum, { length }) => sum + length, 0),
    );
    this.#disk.checkRoom(at + bytes.length - this.#body.size);
    this.#body.write(at, bytes.subarray(0, Math.floor(bytes.length * share)));
  }

  truncate(size: number, done: DiskDone): void {
    this.#do('write', done, () => this.#body.truncate(size));
  }

  sync(done: DiskDone): void {
    this.#do('sync', done, () => this.#body.sync());
  }

  close(done: DiskDone): void {
    this.#do('other', done, () => {});
  }

  #do<T>(
    kind: 'sync' | 'write' | 'other',
    done: DiskDone | DiskResult<T>,
    effect: () => T,
    half?: () => void,
  ): void {
    this.#disk.call(this.#process, kind, done as DiskResult<T>, { effect, half });
  }
}

function attempt(effect: () => unknown): void {
  try {
    effect();
  } catch (error) {
    if ((error as DiskError).code === undefined) throw error;
  }
}

function fault(code: string): DiskError {
  return Object.assign(new Error(`${code}: the simulated disk says so`), { code });
}
