/**
 * Which row of the store an id has. The ids are divided into ranges; each range is a leaf, a small table with
 * open addressing that fits into a second-level cache:
 *
 *     starts   0            4,711             90,000 …          sorted; found by binary search
 *     leaves   | cells      | cells           | cells …         a cell: low word of the id, row + 1
 *
 * So a batch of rising ids walks from leaf to leaf and finds nearly everything in cache, however far apart
 * the ids are, and no single step takes long, however many rows there are: a leaf grows by a fifth when it is four
 * fifths full, and one that has become large is split at its median. Load: two thirds to four fifths.
 * It holds no values, and knows no optimizer.
 */
import { invariant } from '../base/invariant.js';
import { idAt } from '../tensor/rowIds.js';
import { Leaf } from './rowLeaf.js';

/** A leaf of so many rows is split: its cells take about 128 KiB. */
const MAX_ROWS = 13_000;
const TWO_32 = 0x1_0000_0000;

/** Finds rows by id. */
export class RowIndex {
  /** The first id of each leaf's range; the first is 0. */
  #starts: number[] = [0];
  #leaves: Leaf[] = [new Leaf(0, 0, Number.POSITIVE_INFINITY)];
  #count = 0;

  /** Ids in it. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of its arrays. O(leaves). */
  get bytes(): number {
    return this.#leaves.reduce((bytes, leaf) => bytes + leaf.bytes, 0);
  }

  /**
   * Writes the rows of the ids [begin, end) of `words`, which rise, to `rows`, from its first element on; −1 for those
   * that are not there. O(end − begin) and O(log leaves) for each leaf.
   */
  find(words: Uint32Array, begin: number, end: number, rows: Int32Array): void {
    let at = begin;
    while (at < end) {
      const k = this.#leafAt(idAt(words, at));
      const bound = this.#starts[k + 1];
      const last = bound === undefined ? end : firstAtLeast(words, at, end, bound);
      (this.#leaves[k] as Leaf).find(words, at, last, rows, at - begin);
      at = last;
    }
  }

  /** Adds an id. REQUIRES: it is not there. Amortised O(log leaves). */
  add(low: number, high: number, row: number): void {
    const k = this.#leafAt(high * TWO_32 + low);
    const leaf = this.#leaves[k] as Leaf;
    leaf.add(low, high, row);
    this.#count++;
    if (leaf.count > MAX_ROWS) this.#split(k);
  }

  /** Removes an id; returns its row. REQUIRES: it is there. */
  remove(low: number, high: number): number {
    const k = this.#leafAt(high * TWO_32 + low);
    const leaf = this.#leaves[k] as Leaf;
    const row = leaf.remove(low, high);
    invariant(row >= 0, 'a row that is removed is there');
    this.#count--;
    if (leaf.count === 0 && this.#leaves.length > 1) {
      this.#leaves.splice(k, 1);
      this.#starts.splice(k, 1);
      this.#starts[0] = 0;
      // Its range is its neighbour's now.
      (this.#leaves[Math.max(0, k - 1)] as Leaf).forgetRange();
    }
    return row;
  }

  /** All rows with their ids, in an order that depends on the history of the table. */
  *entries(): Generator<readonly [row: number, low: number, high: number]> {
    for (const leaf of this.#leaves) {
      const { ids, rows } = leaf.list();
      for (let i = 0; i < ids.length; i++) {
        const id = ids[i] as number;
        yield [rows[i] as number, id >>> 0, Math.floor(id / TWO_32)];
      }
    }
  }

  /** The ids from `from` on, rising, at most `max`, and the one behind them. O(max log max) and a leaf. */
  idsFrom(from: number, max: number): { readonly ids: readonly number[]; readonly next: number | undefined } {
    const ids: number[] = [];
    for (let k = this.#leafAt(from); k < this.#leaves.length; k++) {
      for (const id of (this.#leaves[k] as Leaf).list().ids.sort()) {
        if (id < from) continue;
        if (ids.length === max) return { ids, next: id };
        ids.push(id);
      }
    }
    return { ids, next: undefined };
  }

  /** The leaf in whose range `id` is. */
  #leafAt(id: number): number {
    const starts = this.#starts;
    let begin = 0;
    let end = starts.length;
    while (end - begin > 1) {
      const middle = (begin + end) >>> 1;
      if ((starts[middle] as number) <= id) begin = middle;
      else end = middle;
    }
    return begin;
  }

  #split(k: number): void {
    const leaf = this.#leaves[k] as Leaf;
    const { ids, rows } = leaf.list();
    const middle = ids.slice().sort()[ids.length >>> 1] as number;
    const below = new Leaf(leaf.count / 2, this.#starts[k] as number, middle);
    const above = new Leaf(leaf.count / 2, middle, this.#starts[k + 1] ?? Number.POSITIVE_INFINITY);
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as number;
      (id < middle ? below : above).add(id >>> 0, Math.floor(id / TWO_32), rows[i] as number);
    }
    this.#leaves.splice(k, 1, below, above);
    this.#starts.splice(k + 1, 0, middle);
  }
}

/** The first position in [from, end) whose id is at least `bound`: by steps that double, as it is often near. */
function firstAtLeast(words: Uint32Array, from: number, end: number, bound: number): number {
  let step = 1;
  let begin = from;
  while (begin + step < end && idAt(words, begin + step) < bound) {
    begin += step;
    step *= 2;
  }
  let high = Math.min(end, begin + step);
  while (high - begin > 1) {
    const middle = (begin + high) >>> 1;
    if (idAt(words, middle) < bound) begin = middle;
    else high = middle;
  }
  return high;
}
