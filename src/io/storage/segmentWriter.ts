/**
 * The segment that is being written: where its next bytes go, how far it is durable, and the zeros ahead of it.
 * Who writes when, and what an error means, is up to `journalWriter.ts`.
 *
 *     | header | durable records | records | zeros ahead |
 *                                synced    size          aheadEnd
 */
import { checkFence, type DataDirectory, temporaryPath } from './dataDirectory.js';
import type { Disk, DiskDone, DiskFile } from './disk.js';
import { segmentPath } from './names.js';
import { type Batch, type NumberedRecord, RecordBatches } from './recordBatches.js';
import { isNoRoom, NoRoom } from './room.js';
import { encodeSegmentHeader, type SegmentHeader } from './segmentFormat.js';
import { completion, result, type Task } from './task.js';

/** Zeros ahead are at least so many, and as many as there are bytes before them, as far as the disk wants any. */
const MIN_AHEAD_BYTES = 65_536;

/** A segment in the hands of its only writer. */
export class SegmentWriter {
  /** Number of its first record. */
  readonly first: number;
  readonly #disk: Disk;
  readonly #file: DiskFile;
  readonly #batches: RecordBatches;
  /** Where the next bytes go. */
  #size: number;
  #synced: number;
  /** Where the zeros end that were written behind the records; less than `#size`: there are none. */
  #aheadEnd = 0;
  /** Zeros have found no room. */
  #isTight = false;
  #zeros: Uint8Array = new Uint8Array(0);

  private constructor(disk: Disk, file: DiskFile, { first, salt }: SegmentHeader, size: number) {
    this.#disk = disk;
    this.#file = file;
    this.first = first;
    this.#size = size;
    this.#synced = size;
    const checksum = (bytes: Uint8Array, previous: number): number => disk.checksum(bytes, previous);
    const { pageBytes, sizes } = disk.appending;
    this.#batches = new RecordBatches({ salt, checksum, pageBytes, sizes });
  }

  /** A new, durable segment without records, in place of one that has none either. Throws `NoRoom`. */
  static *create(
    place: DataDirectory,
    { lineage, first, salt }: Omit<SegmentHeader, 'version'>,
  ): Task<SegmentWriter> {
    const { disk, directory } = place;
    const { pageBytes, aheadBytes } = disk.appending;
    const header: SegmentHeader = { lineage, first, salt, version: pageBytes + aheadBytes > 0 ? 2 : 1 };
    const bytes = encodeSegmentHeader(header, (part, previous) => disk.checksum(part, previous));
    const path = segmentPath(directory, first);
    const temporary = temporaryPath(place, path);
    const file = yield* newFile(disk, temporary, bytes);
    yield* checkFence(place);
    yield* completion((done) => disk.rename(temporary, path, done));
    yield* completion((done) => disk.syncDirectory(directory, done));
    return new SegmentWriter(disk, file, header, bytes.length);
  }

  /** Bytes of its header and records. */
  get size(): number {
    return this.#size;
  }

  /** Whether zeros ahead have found no room: it does without. */
  get isTight(): boolean {
    return this.#isTight;
  }

  /** Whether everything in it is durable. */
  get isSynced(): boolean {
    return this.#synced === this.#size;
  }

  /**
   * Writes `group`, and syncs it (`isCommit`) if that takes no call of its own. Calls `meanwhile` while the disk works. After
   * an error it ends anywhere behind where it ended before, until it is cut off.
   */
  *write(group: readonly NumberedRecord[], isCommit: boolean, meanwhile: () => void): Task<void> {
    const begin = this.#size;
    this.#batches.begin(group, begin, this.#synced);
    let following = this.#batches.next();
    for (let batch = following; batch !== undefined; batch = following) {
      const { parts, bytes, isLast }: Batch = batch;
      const isSynced = isCommit && isLast && this.#size === begin;
      const zeros = isSynced ? this.#zerosBehind(begin + bytes) : undefined;
      try {
        yield* completion((done) => {
          if (isSynced) this.#file.writeSynced(zeros === undefined ? parts : [...parts, zeros], begin, done);
          else this.#file.write(parts, this.#size, done);
          try {
            meanwhile();
          } finally {
            following = this.#batches.next();
          }
        });
      } catch (error) {
        if (zeros !== undefined && isNoRoom(error)) this.#isTight = true;
        throw error;
      }
      this.#size += bytes;
      if (isSynced) this.#synced = this.#size;
      if (zeros !== undefined) this.#aheadEnd = this.#size + zeros.length;
    }
  }

  /** Cuts off what stands behind `size`. */
  *cutOff(size: number): Task<void> {
    yield* completion((done) => this.#file.truncate(size, done));
    this.#size = size;
    this.#aheadEnd = size;
  }

  /** Makes everything durable. */
  *sync(): Task<void> {
    const size = this.#size;
    yield* completion((done) => this.#file.sync(done));
    this.#synced = size;
  }

  /** Gives the file back. */
  close(done: DiskDone): void {
    this.#file.close(done);
  }

  /** Zeros to be written with records that end at `end`, so that the next ones do not make the file longer. */
  #zerosBehind(end: number): Uint8Array | undefined {
    const { aheadBytes } = this.#disk.appending;
    if (end <= this.#aheadEnd || aheadBytes === 0 || this.#isTight) return undefined;
    const length = Math.min(aheadBytes, Math.max(MIN_AHEAD_BYTES, end));
    if (this.#zeros.length < length) this.#zeros = new Uint8Array(length);
    return this.#zeros.subarray(0, length);
  }
}

/** A durable file of `bytes`. Throws `NoRoom`. */
function* newFile(disk: Disk, path: string, bytes: Uint8Array): Task<DiskFile> {
  let file: DiskFile | undefined;
  try {
    file = yield* result<DiskFile>((done) => disk.open(path, 'create', done));
    yield* completion((done) => (file as DiskFile).write([bytes], 0, done));
  } catch (error) {
    if (!isNoRoom(error)) throw error;
    const unfinished = file;
    if (unfinished !== undefined) {
      yield* completion((done) => unfinished.close(done));
      yield* completion((done) => disk.remove(path, done));
    }
    throw new NoRoom('a new segment found no room', { cause: error });
  }
  yield* completion((done) => (file as DiskFile).sync(done));
  return file;
}
