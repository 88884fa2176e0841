/**
 * A checkpoint of a group: a directory with one checkpoint file of each shard, and a manifest that says which belong
 * together. The manifest is written last and replaces the one before in one step, so the directory always holds a
 * whole set; files that no manifest names are left-overs.
 *
 *     manifest.json = { format: "pslib-group", version: 1, count, clock, shards: [{ file, bytes, version }] }
 */
import { PsError } from '../../core/base/errors.js';
import { type KeyRange, keyRangeOf, type Shard } from '../../core/partition/keyRange.js';
import type { StateMeta } from '../../core/server/stateImage.js';
import { Catalogue } from '../../core/tensor/catalogue.js';
import { readInfo } from './checkpointReader.js';
import { removeIfThere } from './checkpointWriter.js';
import type { Disk, DiskError, DiskFile } from './disk.js';
import { inFile } from './storageError.js';
import { completion, result, type Task } from './task.js';
import { type HeldState, readState, readTensors } from './tensorFile.js';

/** Name of the file that makes a directory a checkpoint of a group. */
const MANIFEST = 'manifest.json';
const FORMAT = 'pslib-group';
const FORMAT_VERSION = 1;
/** A manifest is a few numbers for each shard. */
const MAX_BYTES = 1_048_576;

/** One shard's part. */
export interface ManifestPart {
  /** Name within the directory. */
  readonly file: string;
  readonly bytes: number;
  /** Of the shard, when it was taken. */
  readonly version: number;
}

/** What belongs together. */
export interface Manifest {
  /** minClock of every shard, at least: it has all updates of earlier clocks. */
  readonly clock: number;
  /** In the order of shards. */
  readonly shards: readonly ManifestPart[];
}

/**
 * Writes `manifest` into `directory`, in place of the one that is there; removes the files that only that one named.
 * Returns its path. `writer`: several may write the same one at the same time, to a directory that they share.
 */
export function* writeManifest(disk: Disk, directory: string, manifest: Manifest, writer = 0): Task<string> {
  const before = yield* readIfThere(disk, directory);
  const { clock, shards } = manifest;
  const image = { format: FORMAT, version: FORMAT_VERSION, count: shards.length, clock, shards };
  const path = `${directory}/${MANIFEST}`;
  const temporary = `${path}.${writer}.tmp`;
  yield* removeIfThere(disk, temporary);
  const file = yield* result<DiskFile>((done) => disk.open(temporary, 'create', done));
  try {
    const bytes = new TextEncoder().encode(`${JSON.stringify(image, null, 2)}\n`);
    yield* completion((done) => file.write([bytes], 0, done));
    yield* completion((done) => file.sync(done));
  } finally {
    yield* completion((done) => file.close(done));
  }
  yield* completion((done) => disk.rename(temporary, path, done));
  yield* completion((done) => disk.syncDirectory(directory, done));
  const named = new Set(shards.map((part) => part.file));
  for (const part of before?.shards ?? []) {
    if (!named.has(part.file)) yield* removeIfThere(disk, `${directory}/${part.file}`);
  }
  return path;
}

/** The manifest in `directory`; undefined if it has none. Throws `PS_CORRUPT`, `PS_VERSION`. */
function* readManifest(disk: Disk, directory: string): Task<Manifest | undefined> {
  const path = `${directory}/${MANIFEST}`;
  let file: DiskFile;
  try {
    file = yield* result<DiskFile>((done) => disk.open(path, 'read', done));
  } catch (error) {
    const { code } = error as DiskError;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
  try {
    const size = yield* result<number>((done) => file.size(done));
    const bytes = yield* result<Uint8Array>((done) => file.read(0, Math.min(size, MAX_BYTES), done));
    return decodeManifest(new TextDecoder().decode(bytes));
  } catch (error) {
    throw inFile(error, path);
  } finally {
    yield* completion((done) => file.close(done));
  }
}

/** What `text` says. Throws `PS_CORRUPT`, `PS_VERSION`. */
function decodeManifest(text: string): Manifest {
  let image: { readonly [field: string]: unknown };
  try {
    image = JSON.parse(text) as typeof image;
  } catch (cause) {
    throw new PsError('PS_CORRUPT', 'it is not JSON', { cause });
  }
  if (image?.format !== FORMAT) throw new PsError('PS_CORRUPT', 'it is not the manifest of a group');
  if (image.version !== FORMAT_VERSION) {
    throw new PsError(
      'PS_VERSION',
      `it has version ${String(image.version)} of the format; this pslib reads ${FORMAT_VERSION}`,
    );
  }
  const { clock, count, shards } = image;
  if (!isCount(clock) || !Array.isArray(shards) || shards.length === 0 || !shards.every(isPart)) {
    throw new PsError('PS_CORRUPT', 'it lacks something, or has something wrong');
  }
  if (count !== shards.length) {
    throw new PsError('PS_CORRUPT', `it is of ${String(count)} shards and names ${shards.length}`);
  }
  return { clock, shards };
}

/** What was read, and whether out of a group's checkpoint. */
export interface LoadedState extends HeldState {
  readonly isGroup: boolean;
}

/** Whether optimizers can go on with what `meta` tells of, and how much of it there is; undefined: they start anew. */
export type GoesOnWith = (
  meta: StateMeta,
) => { readonly slots: number; readonly scalars: readonly number[] } | undefined;

/**
 * What `shard`, whose catalogue is `held`, has of the parameters at `path`: in the checkpoint of a group, of whatever
 * number of shards, or in a file of the whole model or of this part of it. Of a group's, the optimizers' state too, if
 * `goesOn`. Throws as `readTensors` does, `PS_CORRUPT` for a part that is missing, damaged or another shard's, `PS_VERSION`.
 */
export function* readHeld(
  disk: Disk,
  path: string,
  held: Catalogue,
  shard: Shard,
  goesOn: GoesOnWith,
): Task<LoadedState> {
  const whole = new Catalogue(held.entries);
  const range = keyRangeOf(whole.length, shard);
  const found = yield* readGroup(disk, path, whole, range, goesOn);
  if (found !== undefined) return { ...found, isGroup: true };
  try {
    return { values: yield* readTensors(disk, path, held), isGroup: false };
  } catch (error) {
    const mayBeWhole = shard.count > 1 && error instanceof PsError && error.code === 'PS_WRONG_LENGTH';
    if (!mayBeWhole) throw error;
    const values = (yield* readTensors(disk, path, whole)).slice(range.begin, range.end);
    return { values, isGroup: false };
  }
}

/**
 * The elements `range` of the model `whole` out of the parts that the manifest in `directory` names; undefined if there
 * is no manifest. Throws `PS_CORRUPT` for a part that is missing, damaged or another shard's, and as `readTensors`.
 */
function* readGroup(
  disk: Disk,
  directory: string,
  whole: Catalogue,
  range: KeyRange,
  goesOn: GoesOnWith,
): Task<HeldState | undefined> {
  const manifest = yield* readManifest(disk, directory);
  if (manifest === undefined) return undefined;
  const count = manifest.shards.length;
  const metas: StateMeta[] = [];
  for (const [index, part] of manifest.shards.entries()) {
    metas.push(yield* checkPart(disk, `${directory}/${part.file}`, index, count));
  }
  const [sizes] = metas.map(goesOn);
  const slots = sizes !== undefined && metas.every((meta) => goesOn(meta) !== undefined) ? sizes.slots : 0;
  const length = range.end - range.begin;
  const values = new Float32Array(length * (1 + slots));
  const scalars: number[][] = [];
  for (const [index, part] of manifest.shards.entries()) {
    const held = keyRangeOf(whole.length, { index, count });
    const [from, to] = [Math.max(held.begin, range.begin), Math.min(held.end, range.end)];
    if (from >= to) continue;
    const path = `${directory}/${part.file}`;
    const catalogue = whole.part(held);
    const found =
      sizes === undefined
        ? { values: yield* readTensors(disk, path, catalogue), state: { scalars: [] } }
        : yield* readState(disk, path, catalogue, metas[index] as StateMeta, sizes);
    for (let i = 0; i <= slots; i++) {
      const begin = i * catalogue.length + from - held.begin;
      values.set(found.values.subarray(begin, begin + to - from), i * length + from - range.begin);
    }
    // Of a tensor on several shards each counts for itself; they are those of its first part.
    for (const { index: tensor, length: elements } of catalogue.entries) {
      const known = found.state.scalars[tensor];
      if (known !== undefined && (elements > 0 || scalars[tensor] === undefined)) scalars[tensor] ??= known;
    }
  }
  if (sizes === undefined || !scalars.flat().every(Number.isFinite))
    return { values: values.subarray(0, length) };
  return { values, state: { slots, scalars: sizes.scalars.map((_, i) => scalars[i] ?? []) } };
}

/** The files of the model at `path`: those that a manifest there names, or `path` itself. Throws as `readHeld` does. */
export function* filesAt(disk: Disk, path: string): Task<readonly string[]> {
  const manifest = yield* readManifest(disk, path);
  return manifest === undefined ? [path] : manifest.shards.map(({ file }) => `${path}/${file}`);
}

/** The state's plain data in the file at `path`. Throws `PS_CORRUPT` unless it is there, and of shard `index` of `count`. */
function* checkPart(disk: Disk, path: string, index: number, count: number): Task<StateMeta> {
  const place = `shard ${index} of ${count}`;
  try {
    const { shard, meta } = yield* readInfo(disk, path);
    if (shard.index === index && shard.count === count) return meta;
    throw new PsError('PS_CORRUPT', `it is of shard ${shard.index} of ${shard.count}, not of ${place}`);
  } catch (error) {
    const isMissing = (error as DiskError).code === 'ENOENT';
    const found = isMissing
      ? new PsError('PS_CORRUPT', `the part of ${place} is missing`, { cause: error })
      : error;
    throw inFile(found, path);
  }
}

function* readIfThere(disk: Disk, directory: string): Task<Manifest | undefined> {
  try {
    return yield* readManifest(disk, directory);
  } catch (error) {
    if (error instanceof PsError) return undefined;
    throw error;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Whether `value` names a part. */
export function isPart(value: unknown): value is ManifestPart {
  const { file, bytes, version } = (value ?? {}) as Partial<Record<keyof ManifestPart, unknown>>;
  // A name within the directory: never a way out of it.
  return typeof file === 'string' && /^[\w-][\w.-]*$/.test(file) && isCount(bytes) && isCount(version);
}
