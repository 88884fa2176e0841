/**
 * The rows of sparse tables out of checkpoints: a file that has all of them, or one of what has changed together with
 * the one that it builds on, which lies beside it.
 */
import { PsError } from '../../core/base/errors.js';
import { joinDelta } from '../../core/table/tableDelta.js';
import { newTableArrays, type TableArrays, type TableMeta } from '../../core/table/tableImage.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import { type CheckpointInfo, type CheckpointTensor, infoOf, tensorsOfRows } from './checkpointFormat.js';
import { type CheckpointFile, readData, withCheckpoint } from './checkpointReader.js';
import type { DataDirectory } from './dataDirectory.js';
import type { DiskError } from './disk.js';
import { checkpointPath } from './names.js';
import { inFile } from './storageError.js';
import type { Task } from './task.js';

/** Reads `tensors` out of `open`, and verifies all of it. Throws `PS_CORRUPT`, also if one is not there as it must be. */
export function* readInto(open: CheckpointFile, tensors: readonly CheckpointTensor[]): Task<void> {
  const entries = new Map(open.header.entries.map((entry) => [entry.name, entry]));
  for (const { name, bytes } of tensors) {
    const entry = entries.get(name);
    if (entry === undefined || entry.end - entry.begin !== bytes.length) {
      throw new PsError('PS_CORRUPT', `it lacks "${name}"`);
    }
  }
  yield* readData(open, new Map(tensors.map(({ name, bytes }) => [name, bytes])));
}

/**
 * The arrays of all rows, where the checkpoint that `info` tells of has `arrays`. Throws `PS_CORRUPT` if the checkpoint
 * that it builds on is not there, damaged, or another's.
 */
export function* wholeTables(
  { disk, directory }: DataDirectory,
  catalogue: Catalogue,
  { base, lineage, meta }: CheckpointInfo,
  arrays: readonly TableArrays[],
): Task<readonly TableArrays[]> {
  if (base === undefined) return arrays;
  const path = checkpointPath(directory, base);
  const metas = meta.tables ?? [];
  try {
    const found = yield* withCheckpoint(disk, path, (open) => readBase(open, catalogue, lineage, metas));
    return metas.map((each, i) => joinDelta(found[i] as TableArrays, arrays[i] as TableArrays, each));
  } catch (error) {
    if ((error as DiskError).code !== 'ENOENT') throw inFile(error, path);
    throw new PsError('PS_CORRUPT', `${path}, which it builds on, is missing`, { cause: error });
  }
}

function* readBase(
  open: CheckpointFile,
  catalogue: Catalogue,
  lineage: string,
  metas: readonly TableMeta[],
): Task<readonly TableArrays[]> {
  const info = infoOf(open.header);
  const tables = info.meta.tables ?? [];
  const isSame =
    info.lineage === lineage &&
    info.base === undefined &&
    tables.length === metas.length &&
    tables.every(({ name, dim, slots }, i) => {
      const wanted = metas[i] as TableMeta;
      return name === wanted.name && dim === wanted.dim && slots === wanted.slots;
    });
  if (!isSame) throw new PsError('PS_CORRUPT', 'it is not the checkpoint that a later one builds on');
  const arrays = tables.map((each) => newTableArrays(each, (length) => new Float32Array(length)));
  yield* readInto(open, tensorsOfRows(catalogue, tables, arrays));
  return arrays;
}
