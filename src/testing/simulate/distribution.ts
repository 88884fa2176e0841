/** How often each of the whole numbers from 0 came up: leads in clocks, delays in updates. */

/** A distribution of whole numbers from 0. */
export class Distribution {
  readonly #counts: number[] = [];
  #total = 0;
  #sum = 0;

  /** Counts one more `value`, an integer from 0. */
  add(value: number): void {
    while (this.#counts.length <= value) this.#counts.push(0);
    this.#counts[value] = (this.#counts[value] as number) + 1;
    this.#total++;
    this.#sum += value;
  }

  /** How often each value came, by value. */
  get counts(): readonly number[] {
    return this.#counts;
  }

  /** How many values came. */
  get total(): number {
    return this.#total;
  }

  /** NaN if none came. */
  get mean(): number {
    return this.#sum / this.#total;
  }

  /** The largest; 0 if none came. */
  get max(): number {
    return Math.max(0, this.#counts.length - 1);
  }

  /** The smallest value that at least `share` (0 to 1) of all do not exceed; 0 if none came. */
  quantile(share: number): number {
    let seen = 0;
    for (const [value, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= share * this.#total) return value;
    }
    return 0;
  }
}
