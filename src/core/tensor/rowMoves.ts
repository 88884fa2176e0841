/**
 * Rows between the caller's order of ids and the rising order in which they travel: gradients are summed on their way
 * out, values spread on their way in. Either way writes go in one direction and reads jump; so the rows of a block are
 * touched first, in a loop so short that many of them are on their way from memory at once.
 */
import type { GroupedIds } from './idGroups.js';
import type { SortedIds } from './rowIds.js';

/** Rows that are touched before they are moved: they must fit into a first-level cache, or nearly. */
const TOUCHED_ROWS = 64;
/** What touching gave. Nobody needs it, but what nobody could see would not be done. */
const TOUCHED = new Float32Array(1);

/**
 * The gradients of the different ids: `values` (`dim` of them for each id that the caller gave) summed over ids
 * that are there twice, in float32, in the caller's order. Returns `values` itself if the ids were strictly
 * rising, else memory that `allocate` gives. O(length).
 */
export function sumByRow(
  { grouped, count }: SortedIds,
  values: Float32Array,
  dim: number,
  allocate: (length: number) => Float32Array = (length) => new Float32Array(length),
): Float32Array {
  if (grouped === undefined) return values;
  const { positions, starts } = grouped;
  const sums = allocate(count * dim);
  for (let block = 0; block < count; block += TOUCHED_ROWS) {
    const blockEnd = Math.min(count, block + TOUCHED_ROWS);
    touch(values, positions, starts[block] as number, starts[blockEnd] as number, dim);
    for (let row = block; row < blockEnd; row++) {
      const begin = starts[row] as number;
      const end = starts[row + 1] as number;
      const to = row * dim;
      const first = (positions[begin] as number) * dim;
      // The first is copied, not added to 0, so that −0 stays −0.
      for (let k = 0; k < dim; k++) sums[to + k] = values[first + k] as number;
      for (let i = begin + 1; i < end; i++) {
        const from = (positions[i] as number) * dim;
        for (let k = 0; k < dim; k++) sums[to + k] = (sums[to + k] as number) + (values[from + k] as number);
      }
    }
  }
  return sums;
}

/** The rows of the different ids, laid out for each id that the caller gave. O(length). */
export function spreadRows(ids: SortedIds, rows: Float32Array, dim: number, out: Float32Array): void {
  const { grouped, given } = ids;
  if (grouped === undefined) {
    out.set(rows);
    return;
  }
  const rowOf = rowsByPosition(grouped, given);
  for (let block = 0; block < given; block += TOUCHED_ROWS) {
    const blockEnd = Math.min(given, block + TOUCHED_ROWS);
    touch(rows, rowOf, block, blockEnd, dim);
    for (let i = block; i < blockEnd; i++) {
      const from = (rowOf[i] as number) * dim;
      const to = i * dim;
      for (let k = 0; k < dim; k++) out[to + k] = rows[from + k] as number;
    }
  }
}

/** For each id of the caller, which of the different ids it is. */
function rowsByPosition({ positions, starts }: GroupedIds, given: number): Uint32Array {
  const rowOf = new Uint32Array(given);
  for (let row = 0; row + 1 < starts.length; row++) {
    const end = starts[row + 1] as number;
    for (let i = starts[row] as number; i < end; i++) rowOf[positions[i] as number] = row;
  }
  return rowOf;
}

/** Reads the first and the last number of the rows numbers[begin] to numbers[end − 1]. */
function touch(rows: Float32Array, numbers: Uint32Array, begin: number, end: number, dim: number): void {
  let sum = 0;
  for (let i = begin; i < end; i++) {
    const from = (numbers[i] as number) * dim;
    sum += (rows[from] as number) + (rows[from + dim - 1] as number);
  }
  TOUCHED[0] = sum;
}
