/**
 * In which order the rows of a bounded table would be evicted: by last use, or by how often they were used and then
 * by last use. Rows of an equal count are a doubly linked list, oldest first; the counts stop at 255. All steps are
 * O(1) and depend only on the order of uses, so that a replay evicts the same rows. A use is an update: reading
 * changes nothing.
 */

/** What is evicted first: the row that was not used for the longest time, or the one used least often. */
export const EVICTION_ORDERS = ['lastUse', 'leastCount'] as const;
export type EvictionOrder = (typeof EVICTION_ORDERS)[number];

const MAX_COUNT = 255;
const NONE = -1;

/** The order of all rows of a table. */
export class RowOrder {
  readonly #isByCount: boolean;
  #next = new Int32Array(0);
  #previous = new Int32Array(0);
  #counts = new Uint8Array(0);
  #lows = new Uint32Array(0);
  #highs = new Uint32Array(0);
  readonly #first = new Int32Array(MAX_COUNT + 1).fill(NONE);
  readonly #last = new Int32Array(MAX_COUNT + 1).fill(NONE);

  constructor(order: EvictionOrder) {
    this.#isByCount = order === 'leastCount';
  }

  /** Bytes of its arrays. */
  get bytes(): number {
    const arrays = [this.#next, this.#previous, this.#lows, this.#highs, this.#counts];
    return arrays.reduce((bytes, array) => bytes + array.byteLength, 0);
  }

  /** Row `row` now belongs to the id (`low`, `high`), and is in use for the first time. */
  open(row: number, low: number, high: number): void {
    this.#reach(row);
    this.#lows[row] = low;
    this.#highs[row] = high;
    this.#counts[row] = 0;
  }

  /** Row `row` is in use: it can't be evicted until `putBack`, which follows. */
  take(row: number): void {
    this.#unlink(row);
  }

  /**
   * Row `row`, opened or taken before, has been used once more; or `count` times in all, where it is put back from a
   * checkpoint, in the order of `entries`.
   */
  putBack(row: number, count: number = this.countOf(row) + 1): void {
    this.#append(row, Math.min(MAX_COUNT, count));
  }

  /** Removes the row that is to be evicted next, and returns it. Undefined: there is none, or all are in use. */
  evict(): number | undefined {
    for (const first of this.#first) {
      if (first === NONE) continue;
      this.#unlink(first);
      return first;
    }
    return undefined;
  }

  /** The id of a row, as two words. */
  idOf(row: number): readonly [low: number, high: number] {
    return [this.#lows[row] as number, this.#highs[row] as number];
  }

  /** How often row `row` was used; at most 255. */
  countOf(row: number): number {
    return this.#counts[row] as number;
  }

  /** All rows, with their ids, in the order in which they would be evicted. */
  *entries(): Generator<readonly [row: number, low: number, high: number]> {
    for (const first of this.#first) {
      for (let row = first; row !== NONE; row = this.#next[row] as number) yield [row, ...this.idOf(row)];
    }
  }

  #append(row: number, count: number): void {
    this.#counts[row] = count;
    const list = this.#listOf(row);
    const last = this.#last[list] as number;
    this.#previous[row] = last;
    this.#next[row] = NONE;
    if (last === NONE) this.#first[list] = row;
    else this.#next[last] = row;
    this.#last[list] = row;
  }

  #unlink(row: number): void {
    const list = this.#listOf(row);
    const previous = this.#previous[row] as number;
    const next = this.#next[row] as number;
    if (previous === NONE) this.#first[list] = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#last[list] = previous;
    else this.#previous[next] = previous;
  }

  #listOf(row: number): number {
    return this.#isByCount ? (this.#counts[row] as number) : 0;
  }

  #reach(row: number): void {
    if (row < this.#next.length) return;
    const length = Math.max(row + 1, Math.ceil(this.#next.length * 1.25), 256);
    this.#next = enlarged(this.#next, new Int32Array(length));
    this.#previous = enlarged(this.#previous, new Int32Array(length));
    this.#lows = enlarged(this.#lows, new Uint32Array(length));
    this.#highs = enlarged(this.#highs, new Uint32Array(length));
    this.#counts = enlarged(this.#counts, new Uint8Array(length));
  }
}

function enlarged<T extends Int32Array | Uint32Array | Uint8Array>(array: T, larger: T): T {
  larger.set(array);
  return larger;
}
