/**
 * A checkpoint as a safetensors file: the parameters under their names, everything else under a prefix
 * that no parameter has.
 *
 *     data = <prefix>scalars (F64) | parameters | <prefix>slot.<slot>.<parameter> | <prefix>sum.<i>.<parameter>
 *            | <prefix>sum.<i>.<table>.ids, .values | <prefix>table.<table>.ids (U64), .values, .slot.<i>, .uses, .counters (U8)
 *            | <prefix>checksum (U32 [2]: CRC-32 of the header with its length, CRC-32 of all bytes before this)
 *
 * A checkpoint of changes (`base` in the metadata) has of each table only rows that have changed since the checkpoint at
 * that position, and <prefix>table.<table>.removed (U64).
 *
 * `sum.<i>` is the i-th buffered sum of `buffers` in the state. The metadata has format, format_version,
 * lineage, position, durability unless it is 'journal', version, finite, and the rest of the state as JSON.
 */
import { PsError } from '../../core/base/errors.js';
import type { ScalarState } from '../../core/optim/optimizer.js';
import type { StateArrays, StateMeta } from '../../core/server/stateImage.js';
import type { RowSums } from '../../core/table/rowSums.js';
import type { TableArrays, TableMeta } from '../../core/table/tableImage.js';
import { type Catalogue, type CatalogueEntry, heldShape } from '../../core/tensor/catalogue.js';
import type { SafetensorsHeader, TensorEntry } from './safetensors.js';

/** A tensor of a checkpoint and the memory that it comes from, or goes to. */
export interface CheckpointTensor extends Pick<TensorEntry, 'name' | 'dtype' | 'shape'> {
  readonly bytes: Uint8Array;
}

/** What a checkpoint says of itself. */
export interface CheckpointInfo {
  readonly lineage: string;
  /** Number of the last record whose effect is in it. */
  readonly position: number;
  /** Position of the checkpoint that has the rows which this one lacks; undefined: it has all. */
  readonly base?: number | undefined;
  /**
   * How what follows is kept, if not by 'journal': a state that is recovered from it may lack records. Undefined also in
   * files of versions that did not say.
   */
  readonly durability?: string | undefined;
  /** Whether every parameter is finite. */
  readonly isFinite: boolean;
  readonly shard: { readonly index: number; readonly count: number };
  readonly meta: StateMeta;
}

/** Bytes of the last tensor's data. */
export const CHECKSUM_BYTES = 8;
const FORMAT = 'pslib';
const FORMAT_VERSION = '1';
/** Of files with sparse tables. */
const TABLES_VERSION = '2';
/** Of files with what has changed of them. */
const DELTA_VERSION = '3';
const VERSIONS = [FORMAT_VERSION, TABLES_VERSION, DELTA_VERSION];

/** The tensors of a state whose arrays are `arrays`, without the checksum, in the order of the file. */
export function tensorsOfState(
  catalogue: Catalogue,
  meta: StateMeta,
  arrays: StateArrays,
  scalars: Float64Array,
): CheckpointTensor[] {
  const prefix = prefixFor(catalogue);
  const tensors: CheckpointTensor[] = [
    { name: `${prefix}scalars`, dtype: 'F64', shape: [scalars.length], bytes: bytesOf(scalars) },
  ];
  const names = new Set<string>();
  const add = (values: Float32Array, index: number, wanted: string): void => {
    const entry = catalogue.entries[index] as CatalogueEntry;
    const { offset, length } = entry;
    const shape = heldShape(entry);
    // Names of slots and parameters may have dots of their own.
    const name = names.has(wanted) ? `${wanted}#${index}` : wanted;
    names.add(name);
    tensors.push({ name, dtype: 'F32', shape, bytes: bytesOf(values.subarray(offset, offset + length)) });
  };
  for (const { index, name } of catalogue.entries) add(arrays.values, index, name);
  for (const [i, slot] of arrays.slots.entries()) {
    for (const { index, name } of catalogue.entries) {
      const slotName = meta.optimizers[meta.groupOf[index] as number]?.slots[i];
      if (slotName !== undefined) add(slot, index, `${prefix}slot.${slotName}.${name}`);
    }
  }
  const touched = meta.buffers.flatMap(({ contributions }) => contributions.map((each) => each.touched));
  for (const [i, parts] of arrays.sums.entries()) {
    for (const [k, index] of [...(touched[i] ?? [])].sort((a, b) => a - b).entries()) {
      const entry = catalogue.entries[index] as CatalogueEntry;
      const bytes = bytesOf(parts[k] as Float32Array);
      tensors.push({ name: `${prefix}sum.${i}.${entry.name}`, dtype: 'F32', shape: heldShape(entry), bytes });
    }
  }
  return [...tensors, ...tensorsOfTables(prefix, meta, arrays)];
}

/** The tensors of sparse tables, and of rows that are buffered. */
function tensorsOfTables(
  prefix: string,
  { tables = [], buffers }: Pick<StateMeta, 'tables' | 'buffers'>,
  arrays: Pick<StateArrays, 'tables' | 'rowSums'>,
): CheckpointTensor[] {
  const found: CheckpointTensor[] = [];
  const add = (name: string, dtype: string, shape: readonly number[], bytes: AnyArray): void => {
    found.push({ name: `${prefix}${name}`, dtype, shape, bytes: bytesOf(bytes) });
  };
  const contributions = buffers.flatMap((each) => each.contributions);
  for (const [i, { rows = [] }] of contributions.entries()) {
    for (const [k, [table, count]] of rows.entries()) {
      const { name, dim } = tables[table] as TableMeta;
      const { words, values } = (arrays.rowSums[i] as readonly RowSums[])[k] as RowSums;
      add(`sum.${i}.${name}.ids`, 'U64', [count], words);
      add(`sum.${i}.${name}.values`, 'F32', [count, dim], values);
    }
  }
  for (const [i, { name, dim, ...meta }] of tables.entries()) {
    const { ids, values, slots, uses, counters, removed } = arrays.tables[i] as TableArrays;
    const rows = meta.delta?.rows ?? meta.rows;
    add(`table.${name}.ids`, 'U64', [rows], ids);
    add(`table.${name}.values`, 'F32', [rows, dim], values);
    for (const [k, slot] of slots.entries()) add(`table.${name}.slot.${k}`, 'F32', [rows, dim], slot);
    if (uses.length > 0) add(`table.${name}.uses`, 'U8', [rows], uses);
    if (counters.length > 0) add(`table.${name}.counters`, 'U8', [counters.length], counters);
    if (meta.delta !== undefined) add(`table.${name}.removed`, 'U64', [meta.delta.removed], removed);
  }
  return found;
}

/** The tensors of `tables` alone, whose arrays are `arrays`. */
export function tensorsOfRows(
  catalogue: Catalogue,
  tables: readonly TableMeta[],
  arrays: readonly TableArrays[],
): CheckpointTensor[] {
  return tensorsOfTables(prefixFor(catalogue), { tables, buffers: [] }, { tables: arrays, rowSums: [] });
}

/** The entry of the checksum, which stands last. */
export function checksumEntry(catalogue: Catalogue): Pick<TensorEntry, 'name' | 'dtype' | 'shape'> {
  return { name: `${prefixFor(catalogue)}checksum`, dtype: 'U32', shape: [2] };
}

/** All scalars, one tensor's behind the other's. */
export function flattenScalars(scalars: readonly ScalarState[]): Float64Array {
  return Float64Array.from(scalars.flat());
}

/** Writes `flat` into `scalars`, which have the right lengths. Mutates `scalars`. */
export function unflattenScalars(flat: Float64Array, scalars: readonly ScalarState[]): void {
  let at = 0;
  for (const each of scalars) {
    for (let i = 0; i < each.length; i++) each[i] = flat[at++] as number;
  }
}

/** The version of the format of a file that `info` tells of. */
export function versionOf({ base, meta }: CheckpointInfo): string {
  if (meta.tables === undefined) return FORMAT_VERSION;
  return base === undefined ? TABLES_VERSION : DELTA_VERSION;
}

/** `info` as metadata of a file. */
export function metadataOf(info: CheckpointInfo): Map<string, string> {
  const { lineage, position, base, durability, isFinite: finite, shard, meta } = info;
  return new Map([
    ['format', FORMAT],
    ['format_version', versionOf(info)],
    ['lineage', lineage],
    ['position', String(position)],
    ...(base === undefined ? [] : [['base', String(base)] as const]),
    ...(durability === undefined ? [] : [['durability', durability] as const]),
    ['version', String(meta.version)],
    ['finite', String(finite)],
    ['state', JSON.stringify({ shard, meta })],
  ]);
}

/** Whether a file with this header says that it is a checkpoint of pslib. */
export function isCheckpoint({ metadata }: SafetensorsHeader): boolean {
  return metadata.get('format') === FORMAT;
}

/** What the metadata of a checkpoint say. Throws `PS_CORRUPT`; its checksum should be verified before. */
export function infoOf({ metadata }: SafetensorsHeader): CheckpointInfo {
  if (metadata.get('format') !== FORMAT) throw new PsError('PS_CORRUPT', 'it is not a checkpoint of pslib');
  const version = metadata.get('format_version');
  if (!VERSIONS.includes(String(version))) {
    const text = `it has version ${version} of the format; this pslib reads versions up to ${DELTA_VERSION}`;
    throw new PsError('PS_VERSION', text);
  }
  const position = Number(metadata.get('position'));
  const lineage = metadata.get('lineage');
  const base = version === DELTA_VERSION ? Number(metadata.get('base')) : undefined;
  try {
    const { shard, meta } = JSON.parse(metadata.get('state') ?? '') as Pick<CheckpointInfo, 'shard' | 'meta'>;
    const areNumbers = Number.isSafeInteger(position) && (base === undefined || Number.isSafeInteger(base));
    if (lineage !== undefined && areNumbers && Array.isArray(meta.sessions)) {
      const durability = metadata.get('durability');
      return {
        lineage,
        position,
        base,
        durability,
        isFinite: metadata.get('finite') === 'true',
        shard,
        meta,
      };
    }
  } catch {
    // Not JSON, or not of this form.
  }
  throw new PsError('PS_CORRUPT', 'its metadata are not those of a checkpoint');
}

type AnyArray = Float32Array | Float64Array | Uint32Array | Uint8Array;

/** What the names of everything but parameters begin with. */
export function prefixFor(catalogue: Catalogue): string {
  let prefix = 'pslib.';
  while (catalogue.entries.some(({ name }) => name.startsWith(prefix))) prefix += '.';
  return prefix;
}

function bytesOf(array: AnyArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
