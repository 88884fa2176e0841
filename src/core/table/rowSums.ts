/**
 * Sums of rows' gradients, before they are applied (under BSP): ids that rise and a sum for each. Adding two of them
 * is a merge, slice by slice; where both have a row, the second is added to the first in float32, elsewhere a row
 * is copied, not added to 0, so that −0 stays −0 and one worker's update keeps its bits.
 */
import type { Budget, Job } from './job.js';

/** Sums by id. */
export interface RowSums {
  /** Two words for each id, strictly rising. */
  readonly words: Uint32Array;
  readonly values: Float32Array;
}

/** Merges `b` into `a`; `done` gets the sums when the job is done. Neither is changed. */
export class RowMerge implements Job {
  readonly #a: RowSums;
  readonly #b: RowSums;
  readonly #dim: number;
  readonly #words: Uint32Array;
  readonly #values: Float32Array;
  readonly #done: (sums: RowSums) => void;
  #atA = 0;
  #atB = 0;
  #count = 0;

  constructor(a: RowSums, b: RowSums, dim: number, done: (sums: RowSums) => void) {
    this.#a = a;
    this.#b = b;
    this.#dim = dim;
    this.#words = new Uint32Array(a.words.length + b.words.length);
    this.#values = new Float32Array(a.values.length + b.values.length);
    this.#done = done;
  }

  run(budget: Budget): boolean {
    const [a, b] = [this.#a.words, this.#b.words];
    while (budget.elements > 0) {
      const hasA = 2 * this.#atA < a.length;
      const hasB = 2 * this.#atB < b.length;
      if (!hasA && !hasB) {
        const words = this.#words.subarray(0, 2 * this.#count);
        this.#done({ words, values: this.#values.subarray(0, this.#count * this.#dim) });
        return true;
      }
      const order = hasA && hasB ? compare(a, this.#atA, b, this.#atB) : hasA ? -1 : 1;
      if (order <= 0) this.#take(this.#a, this.#atA);
      else this.#take(this.#b, this.#atB);
      if (order === 0) this.#add(this.#b.values, this.#atB);
      if (order <= 0) this.#atA++;
      if (order >= 0) this.#atB++;
      this.#count++;
      budget.elements -= this.#dim + 4;
    }
    return false;
  }

  #take({ words, values }: RowSums, at: number): void {
    const dim = this.#dim;
    const to = this.#count * dim;
    this.#words[2 * this.#count] = words[2 * at] as number;
    this.#words[2 * this.#count + 1] = words[2 * at + 1] as number;
    for (let k = 0; k < dim; k++) this.#values[to + k] = values[at * dim + k] as number;
  }

  #add(values: Float32Array, at: number): void {
    const dim = this.#dim;
    const to = this.#count * dim;
    const sums = this.#values;
    for (let k = 0; k < dim; k++) sums[to + k] = (sums[to + k] as number) + (values[at * dim + k] as number);
  }
}

function compare(a: Uint32Array, atA: number, b: Uint32Array, atB: number): number {
  const high = (a[2 * atA + 1] as number) - (b[2 * atB + 1] as number);
  return high !== 0 ? high : (a[2 * atA] as number) - (b[2 * atB] as number);
}
