/**
 * Reads checkpoints and other safetensors files. The header of a checkpoint is verified before anything
 * in it is believed; its data are verified while they are read, so what they were copied to counts only
 * when the whole file has been read.
 */
import { PsError } from '../../core/base/errors.js';
import { CHECKSUM_BYTES, type CheckpointInfo, infoOf, isCheckpoint } from './checkpointFormat.js';
import type { Disk, DiskFile } from './disk.js';
import {
  decodeSafetensorsHeader,
  headerLength,
  LENGTH_BYTES,
  type SafetensorsHeader,
  type TensorEntry,
} from './safetensors.js';
import { completion, result, type Task } from './task.js';

const WINDOW_BYTES = 8_388_608;

/** An open file. */
export interface CheckpointFile {
  readonly header: SafetensorsHeader;
  /** Checksums of the header and of all bytes; undefined in files of other tools. */
  readonly sums: { readonly header: number; readonly all: number } | undefined;
  readonly disk: Disk;
  readonly file: DiskFile;
}

/** Where tensors are copied to, by name. */
export type Destinations = ReadonlyMap<string, Uint8Array>;

/**
 * Opens the file at `path`, hands it to `use`, and closes it. Throws `PS_CORRUPT` if it is no safetensors
 * file, or a checkpoint whose header is damaged.
 */
export function* withCheckpoint<T>(
  disk: Disk,
  path: string,
  use: (open: CheckpointFile) => Task<T>,
): Task<T> {
  const file = yield* result<DiskFile>((done) => disk.open(path, 'read', done));
  try {
    return yield* use(yield* readHeader(disk, file));
  } finally {
    yield* completion((done) => file.close(done));
  }
}

/** What the checkpoint at `path` says of itself; its data are not verified. Throws `PS_CORRUPT`. */
export function* readInfo(disk: Disk, path: string): Task<CheckpointInfo> {
  const file = yield* result<DiskFile>((done) => disk.open(path, 'read', done));
  try {
    return infoOf((yield* readHeader(disk, file)).header);
  } finally {
    yield* completion((done) => file.close(done));
  }
}

function* readHeader(disk: Disk, file: DiskFile): Task<CheckpointFile> {
  const size = yield* result<number>((done) => file.size(done));
  const start = yield* result<Uint8Array>((done) => file.read(0, LENGTH_BYTES, done));
  const length = headerLength(start, size);
  const bytes = yield* result<Uint8Array>((done) => file.read(0, LENGTH_BYTES + length, done));
  if (bytes.length < LENGTH_BYTES + length) throw new PsError('PS_CORRUPT', 'it has become shorter');
  const header = decodeSafetensorsHeader(bytes.subarray(LENGTH_BYTES), size);
  if (!isCheckpoint(header)) return { header, sums: undefined, disk, file };
  const end = yield* result<Uint8Array>((done) => file.read(size - CHECKSUM_BYTES, CHECKSUM_BYTES, done));
  const view = new DataView(end.buffer, end.byteOffset, end.byteLength);
  const sums = { header: view.getUint32(0, true), all: view.getUint32(4, true) };
  if (disk.checksum(bytes, 0) !== sums.header) throw new PsError('PS_CORRUPT', 'its header is damaged');
  return { header, sums, disk, file };
}

/**
 * Reads all data, copies the tensors that `destinations` names, and verifies the checksum if there is one.
 * Throws `PS_CORRUPT`; then what was copied is worthless. REQUIRES: destinations have the lengths of their
 * tensors.
 */
export function* readData(open: CheckpointFile, destinations: Destinations): Task<void> {
  const { header, sums, disk, file } = open;
  const end = header.dataBytes - (sums === undefined ? 0 : CHECKSUM_BYTES);
  let sum = sums?.header ?? 0;
  const copier = new TensorCopier(header.entries, destinations);
  for (let at = 0; at < end; ) {
    const count = Math.min(WINDOW_BYTES, end - at);
    const from = header.dataAt + at;
    const bytes = yield* result<Uint8Array>((done) => file.read(from, count, done));
    if (bytes.length < count) throw new PsError('PS_CORRUPT', 'it has become shorter');
    if (sums !== undefined) sum = disk.checksum(bytes, sum);
    copier.take(bytes, at);
    at += count;
  }
  if (sums !== undefined && sum !== sums.all) throw new PsError('PS_CORRUPT', 'its data are damaged');
}

/** Hands consecutive bytes of the data on to the tensors they belong to. */
class TensorCopier {
  readonly #entries: readonly TensorEntry[];
  readonly #destinations: Destinations;
  #next = 0;

  constructor(entries: readonly TensorEntry[], destinations: Destinations) {
    this.#entries = entries;
    this.#destinations = destinations;
  }

  take(bytes: Uint8Array, at: number): void {
    const end = at + bytes.length;
    for (; this.#next < this.#entries.length; this.#next++) {
      const entry = this.#entries[this.#next] as TensorEntry;
      if (entry.begin >= end) return;
      const from = Math.max(at, entry.begin);
      const to = Math.min(end, entry.end);
      this.#destinations.get(entry.name)?.set(bytes.subarray(from - at, to - at), from - entry.begin);
      if (entry.end > end) return;
    }
  }
}
