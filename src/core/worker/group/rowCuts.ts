/**
 * The rows that a push carries, cut by shards: by the hash of their ids. A table of which a shard gets no row is named
 * to it all the same, so that its optimizer takes the step everywhere.
 */
import { PsError } from '../../base/errors.js';
import { type RowSlice, slicesOfRows } from '../../partition/rowShards.js';
import { bytesOf, floatsOf } from '../../protocol/modelStream.js';
import type { TableShape } from '../../tensor/catalogue.js';
import type { RowCount } from '../../tensor/rowLayout.js';

/** What one shard gets of a push's rows. */
export interface RowCut {
  /** Undefined: the push has none at all. */
  readonly rows: readonly RowCount[] | undefined;
  /** For each of `rows` its ids, as the bits of two elements each, and its values. */
  readonly values: readonly Float32Array[];
}

const NONE: RowCut = { rows: undefined, values: [] };

/** Cuts the rows of one push. */
export class RowCuts {
  readonly #cuts: readonly RowCut[] | undefined;

  /**
   * `values`: ids and values of each of `rows`. O(rows · dim). Throws `PS_TABLE_FULL` if a shard would get more rows of
   * a table than it may have.
   */
  constructor(
    rows: readonly RowCount[] | undefined,
    values: readonly Float32Array[],
    tables: readonly TableShape[],
    shards: number,
  ) {
    if (rows === undefined) return;
    const cuts = Array.from({ length: shards }, () => ({
      rows: [] as RowCount[],
      values: [] as Float32Array[],
    }));
    for (const [i, { table }] of rows.entries()) {
      const shape = tables[table] as TableShape;
      const words = wordsOf(values[2 * i] as Float32Array);
      for (const [shard, slice] of slicesOfRows(words, shards).entries()) {
        const count = slice.positions.length;
        if (count > (shape.maxRows ?? Infinity)) throw tableFull(shape, count, shard);
        cuts[shard]?.rows.push({ table, count });
        cuts[shard]?.values.push(
          floatsOf(bytesOf(slice.words)),
          picked(values[2 * i + 1] as Float32Array, slice, shape.dim),
        );
      }
    }
    this.#cuts = cuts;
  }

  /** What shard `shard` gets. */
  of(shard: number): RowCut {
    return this.#cuts?.[shard] ?? NONE;
  }
}

/** The words of ids that travel as the bits of floats. */
function wordsOf(floats: Float32Array): Uint32Array {
  return new Uint32Array(floats.buffer, floats.byteOffset, floats.length);
}

function picked(values: Float32Array, { positions }: RowSlice, dim: number): Float32Array {
  const out = new Float32Array(positions.length * dim);
  for (let i = 0; i < positions.length; i++) {
    const from = (positions[i] as number) * dim;
    for (let k = 0; k < dim; k++) out[i * dim + k] = values[from + k] as number;
  }
  return out;
}

function tableFull({ name, maxRows }: TableShape, count: number, shard: number): PsError {
  const text = `${count} rows of table "${name}" in one push are of shard ${shard}, which may have ${maxRows}`;
  return new PsError('PS_TABLE_FULL', text, { details: { tensor: name } });
}
