/**
 * A set of numbers from 0 as sorted ranges: small while the numbers come roughly in order, as data shards
 * are finished. O(log ranges) to ask, O(ranges) to add.
 */

/** [begin, end), `end` excluded. */
export type IndexRange = readonly [begin: number, end: number];

/** Numbers from 0. */
export class IndexSet {
  readonly #begins: number[] = [];
  readonly #ends: number[] = [];
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The ranges, in order. */
  get ranges(): IndexRange[] {
    return this.#begins.map((begin, i) => [begin, this.#ends[i] as number]);
  }

  has(index: number): boolean {
    const at = this.#after(index) - 1;
    return at >= 0 && index < (this.#ends[at] as number);
  }

  /** Adds `index`; false if it was there. */
  add(index: number): boolean {
    if (this.has(index)) return false;
    const at = this.#after(index);
    const joinsBefore = at > 0 && this.#ends[at - 1] === index;
    const joinsAfter = this.#begins[at] === index + 1;
    if (joinsBefore && joinsAfter) {
      this.#ends[at - 1] = this.#ends[at] as number;
      this.#begins.splice(at, 1);
      this.#ends.splice(at, 1);
    } else if (joinsBefore) this.#ends[at - 1] = index + 1;
    else if (joinsAfter) this.#begins[at] = index;
    else {
      this.#begins.splice(at, 0, index);
      this.#ends.splice(at, 0, index + 1);
    }
    this.#size++;
    return true;
  }

  clear(): void {
    this.restore([]);
  }

  /** Becomes the set with these ranges, which are sorted and don't touch. */
  restore(ranges: readonly IndexRange[]): void {
    this.#begins.length = 0;
    this.#ends.length = 0;
    this.#size = 0;
    for (const [begin, end] of ranges) {
      this.#begins.push(begin);
      this.#ends.push(end);
      this.#size += end - begin;
    }
  }

  /** How many ranges begin at or before `index`. */
  #after(index: number): number {
    let low = 0;
    let high = this.#begins.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#begins[middle] as number) <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
