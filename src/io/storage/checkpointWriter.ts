/**
 * Writes a checkpoint so that its name stands for a whole one or for none: into a temporary file, synced,
 * then renamed, then the directory synced. The tensors must not change meanwhile.
 */
import type { Catalogue } from '../../core/tensor/catalogue.js';
import {
  CHECKSUM_BYTES,
  type CheckpointInfo,
  type CheckpointTensor,
  checksumEntry,
  metadataOf,
} from './checkpointFormat.js';
import { checkFence, type DataDirectory, temporaryPath } from './dataDirectory.js';
import type { Disk, DiskError, DiskFile } from './disk.js';
import { encodeSafetensorsHeader } from './safetensors.js';
import { completion, result, type Task } from './task.js';

/** Bytes of one write: their checksum takes less than a millisecond. */
const BATCH_BYTES = 1_048_576;

/** Where a checkpoint goes. */
export interface CheckpointPlace extends Pick<DataDirectory, 'directory' | 'fence'> {
  /** In that directory. */
  readonly path: string;
}

/** Writes the file at `path`. Returns its bytes. Throws what the fence does, and then leaves no file. */
export function* writeCheckpoint(
  disk: Disk,
  place: CheckpointPlace,
  info: CheckpointInfo,
  content: { readonly catalogue: Catalogue; readonly tensors: readonly CheckpointTensor[] },
): Task<number> {
  const { directory, path } = place;
  const temporary = temporaryPath(place, path);
  const file = yield* createAnew(disk, temporary);
  let bytes = 0;
  try {
    bytes = yield* writeAll(disk, file, info, content);
    yield* completion((done) => file.sync(done));
    yield* checkFence(place);
  } catch (error) {
    yield* closeQuietly(file);
    yield* removeIfThere(disk, temporary);
    throw error;
  }
  yield* completion((done) => file.close(done));
  yield* completion((done) => disk.rename(temporary, path, done));
  yield* completion((done) => disk.syncDirectory(directory, done));
  return bytes;
}

function* writeAll(
  disk: Disk,
  file: DiskFile,
  info: CheckpointInfo,
  { catalogue, tensors }: { catalogue: Catalogue; tensors: readonly CheckpointTensor[] },
): Task<number> {
  const header = encodeSafetensorsHeader(metadataOf(info), [...tensors, checksumEntry(catalogue)]);
  const headerSum = disk.checksum(header, 0);
  let sum = headerSum;
  let at = 0;
  for (const parts of batchesOf([header, ...tensors.map((tensor) => tensor.bytes)])) {
    for (const part of parts) sum = part === header ? sum : disk.checksum(part, sum);
    yield* completion((done) => file.write(parts, at, done));
    for (const part of parts) at += part.length;
  }
  const sums = new Uint8Array(CHECKSUM_BYTES);
  const view = new DataView(sums.buffer);
  view.setUint32(0, headerSum, true);
  view.setUint32(4, sum, true);
  yield* completion((done) => file.write([sums], at, done));
  return at + CHECKSUM_BYTES;
}

/** `parts` in order, in batches of about `BATCH_BYTES`. The first part stays whole. */
function* batchesOf(parts: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const [i, part] of parts.entries()) {
    for (let at = 0; at < part.length; ) {
      const piece = i === 0 ? part : part.subarray(at, at + BATCH_BYTES - bytes);
      batch.push(piece);
      bytes += piece.length;
      at += piece.length;
      if (bytes < BATCH_BYTES) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield batch;
}

/** A new file, in place of what an interrupted run left. */
function* createAnew(disk: Disk, path: string): Task<DiskFile> {
  try {
    return yield* result<DiskFile>((done) => disk.open(path, 'create', done));
  } catch (error) {
    if ((error as DiskError).code !== 'EEXIST') throw error;
    yield* completion((done) => disk.remove(path, done));
    return yield* result<DiskFile>((done) => disk.open(path, 'create', done));
  }
}

/** Removes the file at `path`, if there is one. */
export function* removeIfThere(disk: Disk, path: string): Task<void> {
  try {
    yield* completion((done) => disk.remove(path, done));
  } catch {
    // It was not there, or what follows fails too.
  }
}

function* closeQuietly(file: DiskFile): Task<void> {
  try {
    yield* completion((done) => file.close(done));
  } catch {
    // The error that came first counts.
  }
}
