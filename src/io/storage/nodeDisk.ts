/**
 * The disk of this machine, through Node's file system. Files are made for their owner alone: they hold
 * the secrets of sessions. Large writes are cut, so that a thread of Node's pool is not held for long.
 */
import * as fs from 'node:fs';
import { constants } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type {
  Disk,
  DiskDone,
  DiskError,
  DiskFile,
  DiskLock,
  DiskResult,
  DiskSpace,
  OpenMode,
} from './disk.js';
import { lockDirectory } from './nodeLock.js';

/** Bytes of one read or write of the system. */
const PIECE_BYTES = 4_194_304;
const PEEK_BYTES = 4096;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  modify: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

/** Node's file system. */
export class NodeDisk implements Disk {
  makeDirectory(directory: string, done: DiskDone): void {
    fs.mkdir(directory, { recursive: true, mode: DIRECTORY_MODE }, (error) => done(error));
  }

  list(directory: string, done: DiskResult<readonly string[]>): void {
    fs.readdir(directory, done);
  }

  open(path: string, mode: OpenMode, done: DiskResult<DiskFile>): void {
    fs.open(path, FLAGS[mode], FILE_MODE, (error, descriptor) => {
      if (error === null) done(null, new NodeFile(descriptor));
      else done(error);
    });
  }

  peek(path: string, done: DiskResult<Uint8Array>): void {
    // Opening asks the server of a network file system. What follows is in memory then, and not worth a thread's turn.
    fs.open(path, FLAGS.read, (error, descriptor) => {
      if (error !== null) {
        done(error);
        return;
      }
      const bytes = new Uint8Array(PEEK_BYTES);
      let length = 0;
      let failure: DiskError | null = null;
      try {
        length = fs.readSync(descriptor, bytes, 0, PEEK_BYTES, 0);
      } catch (thrown) {
        failure = thrown as DiskError;
      }
      fs.closeSync(descriptor);
      done(failure, bytes.subarray(0, length));
    });
  }

  rename(from: string, to: string, done: DiskDone): void {
    fs.rename(from, to, done);
  }

  remove(path: string, done: DiskDone): void {
    fs.unlink(path, done);
  }

  syncDirectory(directory: string, done: DiskDone): void {
    // Windows can't sync directories; its file systems keep names in a journal of their own.
    if (process.platform === 'win32') {
      setImmediate(done, null);
      return;
    }
    fs.open(directory, constants.O_RDONLY, (error, descriptor) => {
      if (error !== null) {
        done(error);
        return;
      }
      fs.fsync(descriptor, (syncError) => {
        fs.close(descriptor, (closeError) => done(syncError ?? closeError ?? null));
      });
    });
  }

  space(directory: string, done: DiskResult<DiskSpace>): void {
    fs.statfs(directory, (error, { bsize, bavail, blocks } = {} as fs.StatsFs) => {
      if (error === null) done(null, { freeBytes: bavail * bsize, totalBytes: blocks * bsize });
      else done(error);
    });
  }

  lock(directory: string, done: DiskResult<DiskLock>): void {
    lockDirectory(join(directory), done);
  }

  checksum(bytes: Uint8Array, previous: number): number {
    return crc32(bytes, previous);
  }
}

class NodeFile implements DiskFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
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
    const left = parts.flatMap(cut);
    const onWritten = (from: number, error: DiskError | null, count: number): void => {
      if (error !== null) done(error);
      else if (count === 0) done(Object.assign(new Error('the system wrote nothing'), { code: 'EIO' }));
      else writeOn(from + count, without(left, count));
    };
    const writeOn = (from: number, rest: Uint8Array[]): void => {
      if (rest.length === 0) {
        done(null);
        return;
      }
      const batch = upTo(rest, PIECE_BYTES);
      if (batch.length === 1) {
        const [only] = batch as [Uint8Array];
        fs.write(this.#descriptor, only, 0, only.length, from, (error, count) =>
          onWritten(from, error, count),
        );
      } else {
        fs.writev(this.#descriptor, batch, from, (error, count) => onWritten(from, error, count));
      }
    };
    if (left.length === 0) setImmediate(done, null);
    else writeOn(at, left);
  }

  truncate(size: number, done: DiskDone): void {
    fs.ftruncate(this.#descriptor, size, done);
  }

  sync(done: DiskDone): void {
    fs.fdatasync(this.#descriptor, done);
  }

  close(done: DiskDone): void {
    fs.close(this.#descriptor, (error) => done(error ?? null));
  }
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
