/** A histogram with fixed bounds: counting a value costs a few comparisons, and memory is bounded. */

import type { HistogramReport } from '../../io/serverReport.js';

/** Counts values by size. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  /** `bounds` ascend. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  /** Counts `value`, `times` times. O(bounds). */
  add(value: number, times = 1): void {
    let at = 0;
    while (at < this.#bounds.length && value > (this.#bounds[at] as number)) at++;
    this.#counts[at] = (this.#counts[at] as number) + times;
    this.#sum += value * times;
  }

  /** A copy of the counts. */
  report(): HistogramReport {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum };
  }
}
