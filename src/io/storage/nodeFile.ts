/**
 * One open file of Node's. Large writes are cut, so that a thread of Node's pool is not held for long. On Linux
 * the file is opened again when that is of use: with O_DSYNC, for a write and its sync in one turn of the pool
 * instead of two; with O_DIRECT, for large parts that the disk can fetch from where they lie.
 */
import * as fs from 'node:fs';
import { constants } from 'node:fs';
import { type DiskDone, type DiskError, type DiskFile, type DiskResult, syncFailure } from './disk.js';
import { isNoRoom } from './room.js';

/** Bytes of one read or write of the system. */
const PIECE_BYTES = 4_194_304;
/** What O_DIRECT wants places in files and in memory to be multiples of; some disks would do with less. */
export const PAGE_BYTES = 4096;
/** Below this a copy costs less than a call of its own. */
const DIRECT_BYTES = 262_144;

/** Bytes that one call writes, or several in turn. */
interface Run {
  readonly at: number;
  readonly parts: Uint8Array[];
  readonly isDirect: boolean;
}

/** A file. */
export class NodeFile implements DiskFile {
  readonly #descriptor: number;
  readonly #syncing: Reopened;
  readonly #direct: Reopened;
  /** Memory that does not begin at a page, or whose file can't do without a copy: found out by trying. */
  readonly #unaligned = new WeakSet<ArrayBufferLike>();

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#syncing = new Reopened(descriptor, constants.O_DSYNC);
    this.#direct = new Reopened(descriptor, constants.O_DIRECT);
  }

  size(done: DiskResult<number>): void {
    fs.fstat(this.#descriptor, (error, stats) => {
      if (error === null) done(null, stats.size);
      else done(error);
    });
  }

  read(at: number, length: number, done: DiskResult<Uint8Array>): void {
    // Not zeroed, as it will be filled; not a Buffer, whose slice does not copy.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    const readOn = (filled: number): void => {
      const part = Math.min(PIECE_BYTES, length - filled);
      fs.read(this.#descriptor, bytes, filled, part, at + filled, (error, count) => {
        if (error !== null) done(error);
        else if (count === 0 || filled + count === length) done(null, bytes.subarray(0, filled + count));
        else readOn(filled + count);
      });
    };
    if (length === 0) setImmediate(done, null, bytes);
    else readOn(0);
  }

  write(parts: readonly Uint8Array[], at: number, done: DiskDone): void {
    const runs = this.#runsOf(parts, at);
    const next = (): void => {
      const run = runs.shift();
      if (run === undefined) {
        done(null);
        return;
      }
      const onDone: DiskDone = (error) => (error === null ? next() : done(error));
      if (run.isDirect) this.#writeDirect(run, onDone);
      else writeAll(this.#descriptor, run.parts, run.at, onDone);
    };
    if (runs.length === 0) setImmediate(done, null);
    else next();
  }

  writeSynced(parts: readonly Uint8Array[], at: number, done: DiskDone): void {
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    const writeThenSync = (): void =>
      this.write(parts, at, (error) => {
        if (error !== null) done(error);
        else this.sync((failure) => done(failure && syncFailure(failure)));
      });
    // In pieces each would be synced alone.
    if (bytes === 0 || bytes > PIECE_BYTES) {
      writeThenSync();
      return;
    }
    this.#syncing.use((descriptor) => {
      if (descriptor === undefined) {
        writeThenSync();
        return;
      }
      writeAll(descriptor, parts.flatMap(cut), at, (error) => {
        // Which of the two found no room shows when they are done one by one; a sync that failed fails here too.
        if (isNoRoom(error ?? {})) writeThenSync();
        else done(error);
      });
    });
  }

  truncate(size: number, done: DiskDone): void {
    fs.ftruncate(this.#descriptor, size, done);
  }

  sync(done: DiskDone): void {
    fs.fdatasync(this.#descriptor, done);
  }

  close(done: DiskDone): void {
    this.#syncing.close();
    this.#direct.close();
    fs.close(this.#descriptor, (error) => done(error ?? null));
  }

  /** `parts` by how they are written. Pages of the file that go without a copy hold nothing else. */
  #runsOf(parts: readonly Uint8Array[], begin: number): Run[] {
    const runs: Run[] = [];
    let at = begin;
    const add = (bytes: Uint8Array, isDirect: boolean): void => {
      const last = runs.at(-1);
      if (last !== undefined && !isDirect && !last.isDirect) last.parts.push(...cut(bytes));
      else if (bytes.length > 0) runs.push({ at, parts: cut(bytes), isDirect });
      at += bytes.length;
    };
    for (const part of parts) {
      if (!this.#isAligned(part, at)) {
        add(part, false);
        continue;
      }
      const lead = (PAGE_BYTES - (at % PAGE_BYTES)) % PAGE_BYTES;
      const end = part.length - ((part.length - lead) % PAGE_BYTES);
      add(part.subarray(0, lead), false);
      add(part.subarray(lead, end), true);
      add(part.subarray(end), false);
    }
    return runs;
  }

  #isAligned({ length, byteOffset, buffer }: Uint8Array, at: number): boolean {
    return length >= DIRECT_BYTES && (byteOffset - at) % PAGE_BYTES === 0 && !this.#unaligned.has(buffer);
  }

  #writeDirect({ at, parts }: Run, done: DiskDone): void {
    this.#direct.use((descriptor) => {
      if (descriptor === undefined) {
        writeAll(this.#descriptor, parts, at, done);
        return;
      }
      const [{ buffer }] = parts as [Uint8Array];
      writeAll(descriptor, parts, at, (error) => {
        if (error?.code !== 'EINVAL') {
          done(error);
          return;
        }
        this.#unaligned.add(buffer);
        writeAll(this.#descriptor, parts, at, done);
      });
    });
  }
}

/** The same file under another flag, if the system has that: opened when it is first asked for. */
class Reopened {
  readonly #original: number;
  readonly #flag: number | undefined;
  #descriptor: number | undefined;
  #isOpen = false;
  #isClosed = false;

  constructor(original: number, flag: number | undefined) {
    this.#original = original;
    this.#flag = process.platform === 'linux' ? flag : undefined;
  }

  /** Calls `action` with the descriptor, or with undefined where there is none. */
  use(action: (descriptor: number | undefined) => void): void {
    if (this.#isOpen || this.#flag === undefined) {
      action(this.#descriptor);
      return;
    }
    // By this name it is the same file, whatever it has been renamed to.
    fs.open(`/proc/self/fd/${this.#original}`, constants.O_RDWR | this.#flag, (error, descriptor) => {
      this.#isOpen = true;
      if (error === null) this.#descriptor = descriptor;
      if (this.#isClosed) this.close();
      action(this.#descriptor);
    });
  }

  close(): void {
    this.#isClosed = true;
    if (this.#descriptor !== undefined) fs.close(this.#descriptor, () => {});
    this.#descriptor = undefined;
  }
}

/** Writes `parts`, none longer than a piece, one behind the other at `at`. */
function writeAll(descriptor: number, parts: readonly Uint8Array[], at: number, done: DiskDone): void {
  const onWritten = (rest: Uint8Array[], from: number, error: DiskError | null, count: number): void => {
    if (error !== null) done(error);
    else if (count === 0) done(Object.assign(new Error('the system wrote nothing'), { code: 'EIO' }));
    else writeOn(from + count, without(rest, count));
  };
  const writeOn = (from: number, rest: Uint8Array[]): void => {
    if (rest.length === 0) {
      done(null);
      return;
    }
    const batch = upTo(rest, PIECE_BYTES);
    if (batch.length === 1) {
      const [only] = batch as [Uint8Array];
      fs.write(descriptor, only, 0, only.length, from, (error, count) => onWritten(rest, from, error, count));
    } else {
      fs.writev(descriptor, batch, from, (error, count) => onWritten(rest, from, error, count));
    }
  };
  writeOn(at, parts.slice());
}

/** `bytes` as pieces of at most `PIECE_BYTES`; nothing for no bytes. */
function cut(bytes: Uint8Array): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) pieces.push(bytes.subarray(at, at + PIECE_BYTES));
  return pieces;
}

/** The first of `parts`, at least one, together at most `bytes`, and no more than one call takes. */
function upTo(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let count = 1;
  let sum = (parts[0] as Uint8Array).length;
  while (count < Math.min(parts.length, 512) && sum + (parts[count] as Uint8Array).length <= bytes) {
    sum += (parts[count] as Uint8Array).length;
    count++;
  }
  return parts.slice(0, count);
}

/** Takes `count` bytes off the front of `parts`. Mutates and returns it. */
function without(parts: Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  let whole = 0;
  while (whole < parts.length && (parts[whole] as Uint8Array).length <= left) {
    left -= (parts[whole] as Uint8Array).length;
    whole++;
  }
  parts.splice(0, whole);
  if (left > 0) parts[0] = (parts[0] as Uint8Array).subarray(left);
  return parts;
}
