/**
 * The disk of this machine, through Node's file system. Files are made for their owner alone: they hold
 * the secrets of sessions. What is in an open file is read and written by `nodeFile.ts`.
 */
import * as fs from 'node:fs';
import { constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import type {
  AppendHints,
  Disk,
  DiskDone,
  DiskError,
  DiskFile,
  DiskLock,
  DiskResult,
  DiskSpace,
  OpenMode,
} from './disk.js';
import { NodeFile, PAGE_BYTES } from './nodeFile.js';
import { lockDirectory } from './nodeLock.js';

const PEEK_BYTES = 4096;
const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const FLAGS: Readonly<Record<OpenMode, number>> = {
  read: constants.O_RDONLY,
  modify: constants.O_RDWR,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL,
};

/** Zeros ahead of a journal: half of the time of a sync is saved until they are used up. */
const AHEAD_BYTES = 1_048_576;
/**
 * File systems of Linux that no other machine can write to: what is known of their names is in memory. By `statfs`:
 * ext2 to ext4, XFS, Btrfs, F2FS, ZFS, bcachefs, tmpfs, overlay.
 */
const LOCAL_TYPES: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0xca451a4e, 0x01021994, 0x794c7630,
]);

/** Node's file system. */
export class NodeDisk implements Disk {
  readonly appending: AppendHints =
    process.platform === 'linux'
      ? { pageBytes: PAGE_BYTES, aheadBytes: AHEAD_BYTES }
      : { pageBytes: 0, aheadBytes: 0 };
  /** By directory, whether its file system is one of this machine's own. */
  readonly #isLocal = new Map<string, boolean>();

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
    const directory = dirname(path);
    const isLocal = this.#isLocal.get(directory);
    if (isLocal === true) {
      // Nothing of it waits: a turn of the thread pool would take twenty times as long.
      const found = lookAt(() => openToLook(path));
      process.nextTick(() => done(found.error, found.bytes));
      return;
    }
    if (isLocal === undefined) {
      fs.statfs(directory, (error, { type } = {} as fs.StatsFs) => {
        // One that is not there yet says nothing of the next.
        if (error === null)
          this.#isLocal.set(directory, process.platform === 'linux' && LOCAL_TYPES.has(type));
        peekThere(path, done);
      });
    } else {
      peekThere(path, done);
    }
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

/** Opens without a note of when it was read, which might wait for others who write. */
function openToLook(path: string): number {
  try {
    return fs.openSync(path, FLAGS.read | (constants.O_NOATIME ?? 0));
  } catch (error) {
    // Only the owner of a file may.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return fs.openSync(path, FLAGS.read);
  }
}

/** Opening asks the server of a network file system. What follows is in memory then, and not worth a thread's turn. */
function peekThere(path: string, done: DiskResult<Uint8Array>): void {
  fs.open(path, FLAGS.read, (error, descriptor) => {
    if (error !== null) {
      done(error);
      return;
    }
    const found = lookAt(() => descriptor);
    done(found.error, found.bytes);
  });
}

/** The first bytes of the file that `open` gives. */
function lookAt(open: () => number): { error: DiskError | null; bytes?: Uint8Array } {
  try {
    const descriptor = open();
    try {
      const bytes = new Uint8Array(PEEK_BYTES);
      return { error: null, bytes: bytes.subarray(0, fs.readSync(descriptor, bytes, 0, PEEK_BYTES, 0)) };
    } finally {
      fs.closeSync(descriptor);
    }
  } catch (thrown) {
    return { error: thrown as DiskError };
  }
}
