/**
 * The checkpoints in a data directory, and which of them, and of the journal's segments, are still needed.
 * The last checkpoint that is whole and has only finite parameters is never removed.
 */
import type { ServerState } from '../../core/server/state.js';
import { arraysOf, metaOf, type StateImage } from '../../core/server/stateImage.js';
import {
  type CheckpointInfo,
  type CheckpointTensor,
  flattenScalars,
  infoOf,
  tensorsOfState,
} from './checkpointFormat.js';
import { type CheckpointFile, readData, readInfo, withCheckpoint } from './checkpointReader.js';
import { type CheckpointPlace, writeCheckpoint } from './checkpointWriter.js';
import { checkFence, type DataDirectory, ensureGone } from './dataDirectory.js';
import type { Disk } from './disk.js';
import { checkpointPath, contentOf, segmentPath } from './names.js';
import { inFile, isDamage } from './storageError.js';
import { completion, result, type Task } from './task.js';

/** A checkpoint that was written. */
export interface WrittenCheckpoint {
  readonly path: string;
  readonly bytes: number;
}

/** Writes `image` as the checkpoint at `info.position`, and reads it again to see that it is whole. */
export function* saveCheckpoint(
  place: DataDirectory,
  state: ServerState,
  info: CheckpointInfo,
  image: StateImage,
): Task<WrittenCheckpoint> {
  const { disk, directory } = place;
  const path = checkpointPath(directory, info.position);
  const bytes = yield* exportCheckpoint(disk, { ...place, path }, state, info, image);
  try {
    yield* verify(disk, path);
  } catch (error) {
    if (isDamage(error)) yield* putAside(place, path);
    throw error;
  }
  return { path, bytes };
}

/** Writes `image` as a checkpoint to any place. Returns its bytes. */
export function exportCheckpoint(
  disk: Disk,
  place: CheckpointPlace,
  state: ServerState,
  info: CheckpointInfo,
  image: StateImage,
): Task<number> {
  const { catalogue } = state.table;
  const scalars = flattenScalars(image.arrays.scalars);
  const tensors: CheckpointTensor[] = tensorsOfState(catalogue, image.meta, image.arrays, scalars);
  return writeCheckpoint(disk, place, info, { catalogue, tensors });
}

/** The image of a state in which nothing happens meanwhile: its own arrays. */
export function imageInPlace(state: ServerState): StateImage {
  const arrays = arraysOf(state);
  return {
    meta: metaOf(state),
    arrays,
    isFinite: Number.isFinite(state.table.kernels.sumSquares(arrays.values, 0)),
  };
}

/** Reads the whole file. Throws `PS_CORRUPT`. Returns what it says of itself. */
export function* verify(disk: Disk, path: string): Task<CheckpointInfo> {
  try {
    return yield* withCheckpoint(disk, path, readWhole);
  } catch (error) {
    throw inFile(error, path);
  }
}

function* readWhole(open: CheckpointFile): Task<CheckpointInfo> {
  const info = infoOf(open.header);
  yield* readData(open, new Map());
  return info;
}

/** Gives the file at `path` a name that says that it is damaged. Returns the name's path. */
export function* putAside(place: DataDirectory, path: string): Task<string> {
  const { disk, directory } = place;
  yield* checkFence(place);
  const names = yield* result<readonly string[]>((done) => disk.list(directory, done));
  let aside = `${path}.corrupt`;
  for (let i = 2; names.some((name) => aside.endsWith(`/${name}`)); i++) aside = `${path}.corrupt${i}`;
  yield* completion((done) => disk.rename(path, aside, done));
  yield* completion((done) => disk.syncDirectory(directory, done));
  return aside;
}

/** What is kept. */
export interface Retention {
  /** So many of the newest checkpoints. */
  readonly keep: number;
  /** False when no journal is written; its segments are then of no use any more. */
  readonly keepsJournal: boolean;
  /** There may be checkpoints of what has changed since others. */
  readonly hasTables: boolean;
}

/**
 * Removes checkpoints that are not kept and that nothing kept builds on, and the segments that none of those left needs.
 * The newest is whole.
 */
export function* prune(place: DataDirectory, { keep, keepsJournal, hasTables }: Retention): Task<void> {
  const { disk, directory } = place;
  yield* checkFence(place);
  const { checkpoints, segments } = contentOf(
    yield* result<readonly string[]>((done) => disk.list(directory, done)),
  );
  const kept = checkpoints.slice(0, keep);
  if (hasTables) kept.push(...(yield* neededBy(place, checkpoints, kept)));
  const others = checkpoints.filter((position) => !kept.includes(position));
  if (!(yield* hasFinite(disk, directory, kept))) {
    const spared = yield* newestFinite(disk, directory, others);
    if (spared !== undefined) others.splice(others.indexOf(spared), 1);
    if (spared !== undefined) kept.push(spared);
  }
  for (const position of others) {
    yield* ensureGone(place, checkpointPath(directory, position));
  }
  const oldest = Math.min(...kept);
  for (const [i, first] of segments.entries()) {
    const next = segments[i + 1];
    if (keepsJournal && (next === undefined || next > oldest + 1)) break;
    yield* ensureGone(place, segmentPath(directory, first));
  }
}

/**
 * The checkpoints that those of `kept` build on; and if all of them build on one, the one of all rows before it too, so
 * that damage of one file never takes everything.
 */
function* neededBy(
  { disk, directory }: DataDirectory,
  checkpoints: readonly number[],
  kept: readonly number[],
): Task<number[]> {
  const needed = new Set<number>();
  const wholes = new Set<number>();
  for (const position of checkpoints) {
    const isKept = kept.includes(position);
    if (!isKept && wholes.size > 1) break;
    const info = yield* ifWhole(readInfo(disk, checkpointPath(directory, position)));
    if (info === undefined) continue;
    const whole = info.base ?? position;
    if (!isKept && wholes.size === 1 && info.base === undefined && !wholes.has(position))
      needed.add(position);
    if (isKept) needed.add(whole);
    if (isKept || info.base === undefined) wholes.add(whole);
  }
  return [...needed].filter((position) => checkpoints.includes(position) && !kept.includes(position));
}

function* hasFinite(disk: Disk, directory: string, positions: readonly number[]): Task<boolean> {
  for (const position of positions) {
    const info = yield* ifWhole(readInfo(disk, checkpointPath(directory, position)));
    if (info?.isFinite === true) return true;
  }
  return false;
}

function* newestFinite(
  disk: Disk,
  directory: string,
  positions: readonly number[],
): Task<number | undefined> {
  for (const position of positions) {
    const info = yield* ifWhole(verify(disk, checkpointPath(directory, position)));
    if (info?.isFinite === true) return position;
  }
  return undefined;
}

/** What `task` gives; undefined if the file is damaged. */
function* ifWhole<T>(task: Task<T>): Task<T | undefined> {
  try {
    return yield* task;
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  }
}
