/**
 * What the journal, the checkpoints and the recovery need of a disk. They run the same on Node's files
 * and on the simulator's disk that forgets, tears and fails, so this has callbacks and no promises, and
 * keeps no time. Paths are strings whose parts are joined with `/`.
 *
 * Durability is as POSIX has it: bytes are durable after `sync` of their file, names (created, renamed,
 * removed) after `syncDirectory` of their directory; before that, power loss may keep or forget any of
 * them, and may tear a write. After an error nothing is known of what the call has done.
 */

/** What a disk says when it can't. `code` is that of the system: `ENOENT`, `EEXIST`, `ENOSPC`, `EIO`, `EROFS`, … */
export interface DiskError extends Error {
  readonly code?: string | undefined;
}

/** What `writeSynced` fails with when its sync has, whatever the system calls it. */
export function syncFailure(cause: DiskError): DiskError {
  return Object.assign(new Error(`the sync failed: ${cause.message}`, { cause }), { code: 'EIO' });
}

/** Called once, never before the call that it was given to has returned. */
export type DiskDone = (error: DiskError | null) => void;
/** The same, with a result when `error` is null. */
export type DiskResult<T> = (error: DiskError | null, value?: T) => void;

/**
 * How a file is opened: `read`; `modify` (it exists, to be read and written in place); `create` (it must
 * not exist: `EEXIST`, to be read and written).
 */
export type OpenMode = 'read' | 'modify' | 'create';

/** One open file. Calls that overlap may be carried out in any order, but `sync` covers completed writes only. */
export interface DiskFile {
  /** Bytes in the file. */
  size(done: DiskResult<number>): void;
  /** Reads [at, at + length): fewer bytes only where the file ends. */
  read(at: number, length: number, done: DiskResult<Uint8Array>): void;
  /**
   * Writes `parts` one behind the other at `at`, all or an error. What lies between the end of the file and
   * `at` reads as zeros. REQUIRES: the parts do not change before `done`.
   */
  write(parts: readonly Uint8Array[], at: number, done: DiskDone): void;
  /**
   * `write`, and makes these bytes durable: cheaper than `sync` behind it if they are few. Codes that say that there is no
   * room are of the write; a sync that fails says so by `syncFailure`.
   */
  writeSynced(parts: readonly Uint8Array[], at: number, done: DiskDone): void;
  /** Cuts the file off at `size`. */
  truncate(size: number, done: DiskDone): void;
  /** Makes completed writes and truncations durable. */
  sync(done: DiskDone): void;
  /** No other call is under way, and none follows. */
  close(done: DiskDone): void;
}

/** Room on the file system of a directory. */
export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** How a file that is appended to is written best. */
export interface AppendHints {
  /** Large parts that begin at the same byte of a page in memory as in the file cost no copy; 0: it makes no difference. */
  readonly pageBytes: number;
  /**
   * So many zeros at most, written behind the end, make syncs cheaper: what takes their place does not change the file's
   * length. 0: it makes no difference.
   */
  readonly aheadBytes: number;
  /** Default: for disks as they are. The simulator has small ones, so that its gradients meet them. */
  readonly sizes?: AppendSizes | undefined;
}

/** From which sizes on records are written in another way, in bytes. */
export interface AppendSizes {
  /** One write takes about so many. */
  readonly batchBytes: number;
  /** Payloads up to this are copied beside the heads. */
  readonly copiedBytes: number;
  /** From here on a payload is worth a filler, of half a page on average. */
  readonly filledBytes: number;
}

/** A directory that this process alone uses. */
export interface DiskLock {
  release(done: DiskDone): void;
}

/** A disk. */
export interface Disk {
  readonly appending: AppendHints;
  /** Makes `directory` and those above it; one that exists is left as it is. */
  makeDirectory(directory: string, done: DiskDone): void;
  /** Names of the files in `directory`, without order. */
  list(directory: string, done: DiskResult<readonly string[]>): void;
  open(path: string, mode: OpenMode, done: DiskResult<DiskFile>): void;
  /** The first 4,096 bytes of a file as it is now, whoever changed it last, also on a file system of the network. */
  peek(path: string, done: DiskResult<Uint8Array>): void;
  /** Gives a file another name, in place of a file that has it. All or nothing, also when power is lost. */
  rename(from: string, to: string, done: DiskDone): void;
  remove(path: string, done: DiskDone): void;
  /** Makes the names in `directory` durable. */
  syncDirectory(directory: string, done: DiskDone): void;
  /** How much room there is for files in `directory`. */
  space(directory: string, done: DiskResult<DiskSpace>): void;
  /**
   * Takes `directory` for this process, until it is released or the process ends, however that may be.
   * Error `EBUSY` when another process, or this one, has it.
   */
  lock(directory: string, done: DiskResult<DiskLock>): void;
  /** CRC-32 (ISO-HDLC, as zlib's) of `bytes` behind bytes whose CRC is `previous`; `previous` 0: from the start. */
  checksum(bytes: Uint8Array, previous: number): number;
}
