/**
 * A disk in memory that a test can hurt: any call may fail, before, half-way or after its effect; a loss of
 * power forgets or tears what was not synced; a killed process leaves what was written. Callbacks run in
 * order when the test says so.
 */

import { crc32 } from '../../../src/io/storage/crc32.js';
import {
  type AppendHints,
  type Disk,
  type DiskDone,
  type DiskError,
  type DiskFile,
  type DiskLock,
  type DiskResult,
  type DiskSpace,
  type OpenMode,
  syncFailure,
} from '../../../src/io/storage/disk.js';

/** How a call fails: with nothing done, half of it done, or all of it. */
export interface Failure {
  readonly code: string;
  readonly effect: 'none' | 'half' | 'whole';
}

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly size: number };

class Inode {
  bytes: Uint8Array = new Uint8Array(0);
  durable: Uint8Array = new Uint8Array(0);
  /** Changes since the last sync. */
  pending: Change[] = [];
}

type NameChange = (names: Map<string, Inode>) => void;

/** Random numbers in [0, 1). */
export type Random = () => number;

/** A disk in memory. */
export class MemoryDisk implements Disk {
  appending: AppendHints;
  /** Calls so far. */
  calls = 0;
  /** Called with the number (from 1) and the name of each call: what is to go wrong with it. */
  failure: (call: number, name: string) => Failure | undefined = () => undefined;
  /** Whether a call has its effect only when its answer is given: as from a machine that stands still meanwhile. */
  isLate: (call: number, name: string) => boolean = () => false;
  capacityBytes = 2 ** 40;
  /** Whether a process has a directory. */
  readonly locked = new Set<string>();
  #names: Map<string, Inode> = new Map();
  #durableNames = new Map<string, Inode>();
  #nameChanges: NameChange[] = [];
  #directories = new Set<string>();
  readonly #callbacks: (() => void)[] = [];

  /** `aheadBytes`: zeros that it wants ahead of a journal. */
  constructor(aheadBytes: number = 0) {
    this.appending = { pageBytes: 0, aheadBytes };
  }

  /** Runs callbacks until none is left. */
  run(): void {
    for (let next = this.#callbacks.shift(); next !== undefined; next = this.#callbacks.shift()) next();
  }

  /** Runs one callback; false if there is none. */
  step(): boolean {
    const next = this.#callbacks.shift();
    next?.();
    return next !== undefined;
  }

  /** Runs `action` among the callbacks. */
  later(action: () => void): void {
    this.#callbacks.push(action);
  }

  /** The files of the state, by path: all but `owner`, which each life replaces. */
  files(): Map<string, Uint8Array> {
    const files = [...this.#names].filter(([path]) => !path.endsWith('/owner'));
    return new Map(files.map(([path, { bytes }]) => [path, bytes]));
  }

  /** The bytes of a file. */
  read(path: string): Uint8Array {
    return (this.#names.get(path) as Inode).bytes;
  }

  /** Puts a durable file there, or takes it away. */
  put(path: string, bytes: Uint8Array | undefined): void {
    const inode = new Inode();
    inode.bytes = bytes?.slice() ?? inode.bytes;
    inode.durable = inode.bytes.slice();
    for (const names of [this.#names, this.#durableNames]) {
      if (bytes === undefined) names.delete(path);
      else names.set(path, inode);
    }
    this.#directories.add(parentOf(path));
  }

  /** The same files as another machine sees them, which does not see this one's locks, and works in its own time. */
  otherHost(): MemoryDisk {
    const other = new MemoryDisk();
    other.appending = this.appending;
    other.#names = this.#names;
    other.#directories = this.#directories;
    return other;
  }

  /** The disk as the next process finds it after the one that used this was killed: nothing is lost, or synced. */
  afterKill(): MemoryDisk {
    const copy = this.#copy(({ bytes }) => bytes, new Map());
    const inodes = new Map<Inode, Inode>();
    const copyOf = (inode: Inode): Inode => {
      const known = inodes.get(inode) ?? Object.assign(new Inode(), inode, { pending: [...inode.pending] });
      inodes.set(inode, known);
      return known;
    };
    for (const [path, inode] of this.#names) copy.#names.set(path, copyOf(inode));
    for (const [path, inode] of this.#durableNames) copy.#durableNames.set(path, copyOf(inode));
    // Which of the unsynced names a loss of power leaves is no matter here: all or none.
    if (this.#nameChanges.length > 0) {
      const names = new Map(copy.#names);
      copy.#nameChanges.push((durable) => {
        durable.clear();
        for (const [path, inode] of names) durable.set(path, inode);
      });
    }
    return copy;
  }

  /** The disk as it may be after a loss of power: of what was not synced some is there, whole or torn. */
  afterPowerLoss(random: Random): MemoryDisk {
    const names = new Map(this.#durableNames);
    const kept = Math.floor(random() * (this.#nameChanges.length + 1));
    for (const change of this.#nameChanges.slice(0, kept)) change(names);
    const contents = new Map<Inode, Uint8Array>();
    const contentOf = (inode: Inode): Uint8Array => {
      const known = contents.get(inode) ?? afterLoss(inode, random);
      contents.set(inode, known);
      return known;
    };
    return this.#copy(contentOf, names);
  }

  makeDirectory(directory: string, done: DiskDone): void {
    this.#call('makeDirectory', done, () => void this.#directories.add(directory));
  }

  list(directory: string, done: DiskResult<readonly string[]>): void {
    this.#call('list', done, () => {
      if (!this.#directories.has(directory)) throw fault('ENOENT');
      return [...this.#names.keys()]
        .filter((path) => parentOf(path) === directory)
        .map((path) => path.slice(directory.length + 1));
    });
  }

  open(path: string, mode: OpenMode, done: DiskResult<DiskFile>): void {
    this.#call('open', done, () => {
      const known = this.#names.get(path);
      if (mode !== 'create') {
        if (known === undefined) throw fault('ENOENT');
        return new MemoryFile(this, known);
      }
      if (known !== undefined) throw fault('EEXIST');
      const inode = new Inode();
      this.#changeNames((names) => names.set(path, inode));
      return new MemoryFile(this, inode);
    });
  }

  peek(path: string, done: DiskResult<Uint8Array>): void {
    this.#call('peek', done, () => {
      const known = this.#names.get(path);
      if (known === undefined) throw fault('ENOENT');
      return known.bytes.slice(0, 4096);
    });
  }

  rename(from: string, to: string, done: DiskDone): void {
    this.#call('rename', done, () => {
      const inode = this.#names.get(from);
      if (inode === undefined) throw fault('ENOENT');
      this.#changeNames((names) => {
        names.delete(from);
        names.set(to, inode);
      });
    });
  }

  remove(path: string, done: DiskDone): void {
    this.#call('remove', done, () => {
      if (!this.#names.has(path)) throw fault('ENOENT');
      this.#changeNames((names) => names.delete(path));
    });
  }

  syncDirectory(_directory: string, done: DiskDone): void {
    this.#call('syncDirectory', done, () => {
      this.#durableNames = new Map(this.#names);
      this.#nameChanges = [];
    });
  }

  space(_directory: string, done: DiskResult<DiskSpace>): void {
    this.#call('space', done, () => ({
      freeBytes: this.capacityBytes - this.usedBytes(),
      totalBytes: this.capacityBytes,
    }));
  }

  lock(directory: string, done: DiskResult<DiskLock>): void {
    this.#call('lock', done, () => {
      if (this.locked.has(directory)) throw fault('EBUSY');
      this.locked.add(directory);
      return {
        release: (released: DiskDone) =>
          this.#call('release', released, () => void this.locked.delete(directory)),
      };
    });
  }

  checksum(bytes: Uint8Array, previous: number): number {
    return crc32(bytes, previous);
  }

  /** Bytes of all files. */
  usedBytes(): number {
    let sum = 0;
    for (const { bytes } of this.#names.values()) sum += bytes.length;
    return sum;
  }

  /** Carries a call out, or lets it fail, and answers later. `half`: half of its effect. */
  call<T>(name: string, done: DiskResult<T>, effect: () => T, half: () => void = () => {}): void {
    this.#call(name, done, effect, half);
  }

  #call<T>(name: string, done: DiskResult<T> | DiskDone, effect: () => T, half: () => void = () => {}): void {
    this.calls++;
    const failure = this.failure(this.calls, name);
    const answer = done as DiskResult<T>;
    if (this.isLate(this.calls, name)) {
      this.#callbacks.push(() => this.#carryOut(effect, answer, (say) => say()));
      return;
    }
    this.#carryOut(
      () => {
        if (failure?.effect === 'half') half();
        if (failure?.effect === 'whole') effect();
        if (failure !== undefined) throw fault(failure.code);
        return effect();
      },
      answer,
      (say) => this.#callbacks.push(say),
    );
  }

  #carryOut<T>(effect: () => T, answer: DiskResult<T>, give: (say: () => void) => void): void {
    let value: T;
    try {
      value = effect();
    } catch (error) {
      if ((error as DiskError).code === undefined) throw error;
      give(() => answer(error as DiskError));
      return;
    }
    give(() => answer(null, value));
  }

  #changeNames(change: NameChange): void {
    change(this.#names);
    this.#nameChanges.push(change);
  }

  #copy(contentOf: (inode: Inode) => Uint8Array, names: ReadonlyMap<string, Inode>): MemoryDisk {
    const copy = new MemoryDisk();
    copy.appending = this.appending;
    copy.capacityBytes = this.capacityBytes;
    for (const directory of this.#directories) copy.#directories.add(directory);
    for (const [path, inode] of names) copy.put(path, contentOf(inode));
    return copy;
  }
}

class MemoryFile implements DiskFile {
  readonly #disk: MemoryDisk;
  readonly #inode: Inode;

  constructor(disk: MemoryDisk, inode: Inode) {
    this.#disk = disk;
    this.#inode = inode;
  }

  size(done: DiskResult<number>): void {
    this.#disk.call('size', done, () => this.#inode.bytes.length);
  }

  read(at: number, length: number, done: DiskResult<Uint8Array>): void {
    this.#disk.call('read', done, () => this.#inode.bytes.slice(at, at + length));
  }

  write(parts: readonly Uint8Array[], at: number, done: DiskDone): void {
    const bytes = joined(parts);
    const put = (part: Uint8Array): void => {
      this.#change({ at, bytes: part });
    };
    this.#disk.call(
      'write',
      done as DiskResult<void>,
      () => {
        const grown = Math.max(0, at + bytes.length - this.#inode.bytes.length);
        const room = this.#disk.capacityBytes - this.#disk.usedBytes();
        if (grown > room) {
          put(bytes.subarray(0, Math.max(0, bytes.length - (grown - room))));
          throw fault('ENOSPC');
        }
        put(bytes);
      },
      () => put(bytes.subarray(0, bytes.length >> 1)),
    );
  }

  writeSynced(parts: readonly Uint8Array[], at: number, done: DiskDone): void {
    this.write(parts, at, (error) => {
      if (error !== null) done(error);
      else this.sync((failure) => done(failure && syncFailure(failure)));
    });
  }

  truncate(size: number, done: DiskDone): void {
    this.#disk.call('truncate', done as DiskResult<void>, () => this.#change({ size }));
  }

  sync(done: DiskDone): void {
    this.#disk.call('sync', done as DiskResult<void>, () => {
      this.#inode.durable = this.#inode.bytes.slice();
      this.#inode.pending = [];
    });
  }

  close(done: DiskDone): void {
    this.#disk.call('close', done as DiskResult<void>, () => {});
  }

  #change(change: Change): void {
    this.#inode.pending.push(change);
    this.#inode.bytes = changed(this.#inode.bytes, change);
  }
}

/** What is left of a file: each change since the last sync is there, is not, or only its sectors here and there. */
function afterLoss({ durable, pending }: Inode, random: Random): Uint8Array {
  let bytes = durable;
  for (const change of pending) {
    const fate = random();
    if (fate < 0.3) continue;
    if (fate < 0.6 || 'size' in change) {
      bytes = changed(bytes, change);
      continue;
    }
    for (let from = 0; from < change.bytes.length; from += 512) {
      if (random() < 0.3) continue;
      bytes = changed(bytes, { at: change.at + from, bytes: change.bytes.subarray(from, from + 512) });
    }
  }
  return bytes;
}

function changed(bytes: Uint8Array, change: Change): Uint8Array {
  const size = 'size' in change ? change.size : Math.max(bytes.length, change.at + change.bytes.length);
  const result = new Uint8Array(size);
  result.set(bytes.subarray(0, size));
  if ('bytes' in change) result.set(change.bytes, change.at);
  return result;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

function fault(code: string): DiskError {
  return Object.assign(new Error(`${code}: the disk says so`), { code });
}
