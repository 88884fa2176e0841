/**
 * `gatherRows` and `scatterRows` in plain JavaScript. Rows lie anywhere in memory, and a loop that copies them waits for
 * one after the other; so they are touched before, in a loop so short that many are on their way at once.
 */
import type { Kernels, RowStore } from './kernels.js';

/** Longer rows are copied by the engine, shorter ones element by element. */
const LONG_ROW = 64;
/** Rows that are touched before they are copied: they must fit into a second-level cache. */
const TOUCHED_ROWS = 1_024;
/** What touching gave. Nobody needs it, but what nobody could see would not be done. */
const TOUCHED = new Float32Array(1);

/** Kernels that move rows. */
export const referenceRows: Pick<Kernels, 'gatherRows' | 'scatterRows'> = {
  gatherRows(out, store, rows, count) {
    const { dim, blocks, shift } = store;
    if (dim === 1) {
      gatherNumbers(out, store, rows, count);
      return;
    }
    const mask = (1 << shift) - 1;
    for (let begin = 0; begin < count; begin += TOUCHED_ROWS) {
      const end = Math.min(count, begin + TOUCHED_ROWS);
      touch(store, rows, begin, end);
      for (let i = begin; i < end; i++) {
        const row = rows[i] as number;
        const block = blocks[row >>> shift] as Float32Array;
        const from = (row & mask) * dim;
        const to = i * dim;
        if (dim < LONG_ROW) for (let k = 0; k < dim; k++) out[to + k] = block[from + k] as number;
        else out.set(block.subarray(from, from + dim), to);
      }
    }
  },

  scatterRows({ dim, blocks, shift }, rows, count, from) {
    const mask = (1 << shift) - 1;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      const block = blocks[row >>> shift] as Float32Array;
      const to = (row & mask) * dim;
      if (dim === 1) block[to] = from[i] as number;
      else if (dim < LONG_ROW) {
        const at = i * dim;
        for (let k = 0; k < dim; k++) block[to + k] = from[at + k] as number;
      } else block.set(from.subarray(i * dim, (i + 1) * dim), to);
    }
  },
};

function gatherNumbers(
  out: Float32Array,
  { blocks, shift }: RowStore,
  rows: Int32Array,
  count: number,
): void {
  const mask = (1 << shift) - 1;
  for (let i = 0; i < count; i++) {
    const row = rows[i] as number;
    out[i] = (blocks[row >>> shift] as Float32Array)[row & mask] as number;
  }
}

/** Reads one number of each row. */
function touch({ dim, blocks, shift }: RowStore, rows: Int32Array, begin: number, end: number): void {
  const mask = (1 << shift) - 1;
  let sum = 0;
  for (let i = begin; i < end; i++) {
    const row = rows[i] as number;
    sum += (blocks[row >>> shift] as Float32Array)[(row & mask) * dim] as number;
  }
  TOUCHED[0] = sum;
}
