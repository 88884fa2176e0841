/**
 * The rows of a model's tables out of its checkpoint, or a group's: those that this shard holds, whoever wrote them.
 */
import { dirname } from 'node:path';
import { PsError } from '../../core/base/errors.js';
import type { Shard } from '../../core/partition/keyRange.js';
import { shardOfRow } from '../../core/partition/rowShards.js';
import type { TableSpec } from '../../core/table/embeddingTable.js';
import { newTableArrays, type TableArrays, type TableMeta } from '../../core/table/tableImage.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import type { RowCount } from '../../core/tensor/rowLayout.js';
import { infoOf, isCheckpoint, tensorsOfRows } from './checkpointFormat.js';
import { type CheckpointFile, withCheckpoint } from './checkpointReader.js';
import type { Disk } from './disk.js';
import { filesAt } from './groupManifest.js';
import { readInto, wholeTables } from './rowFiles.js';
import { inFile } from './storageError.js';
import type { Task } from './task.js';

/** What is loaded into a server. */
export interface LoadedRows {
  /** Of every table of the model. */
  readonly rows: readonly RowCount[];
  /** For each of them its ids, as the bits of two elements each, and its values. */
  readonly parts: readonly Float32Array[];
}

/** The tables that rows are wanted of, and by whom. */
export interface WantedRows {
  readonly catalogue: Catalogue;
  readonly tables: readonly TableSpec[];
  readonly shard: Shard;
}

/** The tables in one file. */
interface FoundTables {
  readonly metas: readonly TableMeta[];
  readonly arrays: readonly TableArrays[];
}

/**
 * Reads them; undefined if no file at `path` has tables, such as one of another tool. Throws `PS_UNKNOWN_TENSOR` for a
 * table that is not there, `PS_WRONG_LENGTH` for one of another dim, `PS_NOT_FINITE`, `PS_TABLE_FULL` for one with more
 * rows than it may have, `PS_CORRUPT`.
 */
export function* readRows(disk: Disk, path: string, wanted: WantedRows): Task<LoadedRows | undefined> {
  const { tables, catalogue, shard } = wanted;
  if (tables.length === 0) return undefined;
  const kept = tables.map((): { ids: Uint32Array[]; values: Float32Array[]; count: number } => {
    return { ids: [], values: [], count: 0 };
  });
  let hasTables = false;
  for (const file of yield* filesAt(disk, path)) {
    try {
      const found = yield* tablesIn(disk, file, catalogue);
      if (found === undefined) continue;
      hasTables = true;
      for (const [i, spec] of tables.entries()) {
        const { ids, values } = rowsOf(found, spec, shard);
        const into = kept[i] as (typeof kept)[number];
        into.ids.push(ids);
        into.values.push(values);
        into.count += ids.length / 2;
        if (into.count > spec.maxRows) {
          throw unfit('PS_TABLE_FULL', spec.name, `it has more than ${spec.maxRows} rows`);
        }
      }
    } catch (error) {
      throw inFile(error, file);
    }
  }
  if (!hasTables) return undefined;
  return {
    rows: kept.map(({ count }, table) => ({ table, count })),
    parts: kept.flatMap(({ ids, values }) => [...ids.map(asFloats), ...values]),
  };
}

function* tablesIn(disk: Disk, file: string, catalogue: Catalogue): Task<FoundTables | undefined> {
  return yield* withCheckpoint(disk, file, function* (open: CheckpointFile): Task<FoundTables | undefined> {
    if (!isCheckpoint(open.header)) return undefined;
    const info = infoOf(open.header);
    const metas = info.meta.tables ?? [];
    if (metas.length === 0) return undefined;
    const held = metas.map((each) => newTableArrays(each, (length) => new Float32Array(length)));
    yield* readInto(open, tensorsOfRows(catalogue, metas, held));
    return { metas, arrays: yield* wholeTables({ disk, directory: dirname(file) }, catalogue, info, held) };
  });
}

/** The rows of one table that the shard holds. */
function rowsOf(
  { metas, arrays }: FoundTables,
  { name, dim }: TableSpec,
  { index, count }: Shard,
): { readonly ids: Uint32Array; readonly values: Float32Array } {
  const at = metas.findIndex((each) => each.name === name);
  if (at < 0) throw unfit('PS_UNKNOWN_TENSOR', name, 'it has no such table');
  const { ids, values } = arrays[at] as TableArrays;
  const found = (metas[at] as TableMeta).dim;
  if (found !== dim)
    throw unfit('PS_WRONG_LENGTH', name, `its rows have ${found} numbers, the model's ${dim}`);
  if (!values.every(Number.isFinite))
    throw unfit('PS_NOT_FINITE', name, 'it holds a value that is not finite');
  if (count === 1) return { ids, values };
  let rows = 0;
  for (let i = 0; i < ids.length / 2; i++) {
    if (shardOfRow(ids[2 * i] as number, ids[2 * i + 1] as number, count) !== index) continue;
    // What is left out is behind: the arrays are ours.
    ids.copyWithin(2 * rows, 2 * i, 2 * i + 2);
    values.copyWithin(rows * dim, i * dim, (i + 1) * dim);
    rows++;
  }
  return { ids: ids.subarray(0, 2 * rows), values: values.subarray(0, rows * dim) };
}

function asFloats(ids: Uint32Array): Float32Array {
  return new Float32Array(ids.buffer, ids.byteOffset, ids.length);
}

function unfit(
  code: 'PS_UNKNOWN_TENSOR' | 'PS_WRONG_LENGTH' | 'PS_NOT_FINITE' | 'PS_TABLE_FULL',
  tensor: string,
  what: string,
): PsError {
  return new PsError(code, `table "${tensor}": ${what}`, { details: { tensor } });
}
