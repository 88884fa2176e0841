/**
 * The sparse tables that a check model may have beside its tensors. They say the same as the tensors of the same
 * version, so that whatever is done to rows alone shows:
 *
 *     cells    row (w, i) = own[w][i], twice; ids with high words too
 *     recent   three rows at most; row 0 is in every push, so it is never evicted, and is the shared cell
 *     births   four rows at most, gradients of 0: a row that is there has its first values, however often it was evicted
 */
import type { SparseTableSpecs } from '../../core/table/tableSpecs.js';
import type { RowCount } from '../../core/tensor/rowLayout.js';

/** Seed of the first values. */
const SEED = 0;
/** Distance between the ids of two workers' cells: beyond 32 bits. */
const STRIDE = 2 ** 33 + 5;
const PINNED = 0;

/** Positions of the tables. */
export const CELLS = 0;
export const RECENT = 1;
export const BIRTHS = 2;

/** The tables, for the server. */
export const CHECK_TABLES: SparseTableSpecs = {
  cells: { dim: 2 },
  recent: { dim: 1, maxRows: 3 },
  births: { dim: 2, init: 'uniform', maxRows: 4, evict: 'leastCount' },
};
export const CHECK_TABLES_SEED: number = SEED;

/** Bytes that rows add to a push at most. */
export const CHECK_ROW_BYTES: number = (2 + 2) * 4 + 2 * (2 + 1) * 4 + 2 * (2 + 2) * 4;

/** One worker's cell. */
export interface Cell {
  readonly worker: number;
  readonly cell: number;
}

/** The ids of some cells' rows, rising, as they travel; and the cells in that order. */
export function idsOfCells(cells: readonly Cell[]): { readonly words: Uint32Array; readonly cells: Cell[] } {
  const byId = new Map(cells.map((each) => [each.worker * STRIDE + each.cell, each]));
  const rising = [...byId].sort(([a], [b]) => a - b);
  return { words: wordsOf(rising.map(([id]) => id)), cells: rising.map(([, each]) => each) };
}

/** The word pair of the row that is never evicted. */
export const PINNED_WORDS: Uint32Array = wordsOf([PINNED]);

/** The rows of a push of `cell`, worth `unit`: what stands behind its tensors. */
export function rowsOfPush(
  { worker, cell }: Cell,
  unit: number,
): { readonly rows: readonly RowCount[]; readonly values: readonly Float32Array[] } {
  const parts: readonly (readonly [ids: number[], values: number[]])[] = [
    [[worker * STRIDE + cell], [-unit, -unit]],
    [
      [PINNED, 1 + cell],
      [-unit, 0],
    ],
    [
      [cell % 7, 100 + worker],
      [0, 0, 0, 0],
    ],
  ];
  return {
    rows: parts.map(([ids], table) => ({ table, count: ids.length })),
    values: parts.flatMap(([ids, values]) => [
      new Float32Array(wordsOf(ids).buffer),
      Float32Array.from(values),
    ]),
  };
}

function wordsOf(ids: readonly number[]): Uint32Array {
  return Uint32Array.from(ids.flatMap((id) => [id % 2 ** 32, Math.floor(id / 2 ** 32)]));
}
