/**
 * The updates of the open clock under BSP: one sum per worker, in order of arrival within a worker,
 * and their mean over workers, added in the order of worker ids by code units, so that timing changes
 * no bit. A tensor that a worker pushed no gradient for counts as zeros; one that nobody pushed is
 * not updated.
 */
import type { RobustAggregation } from '../consistency/aggregate.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Catalogue, Selection } from '../tensor/catalogue.js';
import { robustMerge } from './aggregation.js';
import { type Job, JobSequence, RangeJob } from './job.js';

/** One worker's sum. */
export interface Contribution {
  readonly worker: string;
  /** The whole model, flat. */
  readonly sum: Float32Array;
  /** Positions of the tensors that it has gradients for. */
  readonly touched: Set<number>;
}

/** Buffered updates of one clock. */
export class ClockBuffer {
  readonly #catalogue: Catalogue;
  readonly #kernels: Kernels;
  readonly #allocate: (length: number) => Float32Array;
  readonly #contributions = new Map<string, Contribution>();
  readonly #free: Float32Array[] = [];

  constructor(catalogue: Catalogue, kernels: Kernels, allocate: (length: number) => Float32Array) {
    this.#catalogue = catalogue;
    this.#kernels = kernels;
    this.#allocate = allocate;
  }

  get isEmpty(): boolean {
    return this.#contributions.size === 0;
  }

  /** The contributions in the order of worker ids. */
  get contributions(): Contribution[] {
    return [...this.#contributions.values()].sort((a, b) => (a.worker < b.worker ? -1 : 1));
  }

  /** Adds `factor` · `gradient` (clipped by value) of the tensors of `selection` to the sum of `worker`. */
  add(
    worker: string,
    selection: Selection,
    gradient: Float32Array,
    transform: { factor: number; clipValue: number },
  ): Job {
    let contribution = this.#contributions.get(worker);
    if (contribution === undefined) {
      contribution = { worker, sum: this.#takeZeroed(), touched: new Set() };
      this.#contributions.set(worker, contribution);
    }
    const { sum, touched } = contribution;
    const isNew = selection.entries.map((entry) => !touched.has(entry.index));
    for (const entry of selection.entries) touched.add(entry.index);
    let at = 0;
    const kernels = this.#kernels;
    const pieces = selection.entries.map((entry, i) => {
      const start = at;
      at += entry.length;
      return new RangeJob(entry.length, (begin, end) => {
        const target = sum.subarray(entry.offset + begin, entry.offset + end);
        let part = gradient.subarray(start + begin, start + end);
        if (transform.factor !== 1 || transform.clipValue !== Number.POSITIVE_INFINITY) {
          part = part.slice();
          if (transform.factor !== 1) kernels.scale(part, transform.factor);
          if (transform.clipValue !== Number.POSITIVE_INFINITY) kernels.clipValue(part, transform.clipValue);
        }
        // Copied, not added to 0: −0 stays −0, and one worker's update keeps its bits.
        if (isNew[i]) kernels.copy(target, part);
        else kernels.add(target, part);
      });
    });
    return new JobSequence(pieces);
  }

  /**
   * Merges all sums into their mean, or as `robust` says, in the memory of the first, and gives it to `use` as a
   * gradient of the touched tensors. REQUIRES: not empty. The buffer is empty when the job is done.
   */
  merge(
    robust: RobustAggregation | undefined,
    use: (selection: Selection, gradient: Float32Array, workers: number) => Job,
  ): Job {
    const all = this.contributions;
    const first = all[0] as Contribution;
    const touched = new Set<number>();
    for (const each of all) for (const index of each.touched) touched.add(index);
    const selection = this.#catalogue.select([...touched].sort((a, b) => a - b));
    const sums = all.map(({ sum }) => sum);
    const merge = robust === undefined ? this.#mean(sums) : robustMerge(sums, robust);
    const jobs = function* (): Generator<Job> {
      yield merge;
      yield use(selection, compact(first.sum, selection), all.length);
    };
    return new JobSequence(jobs());
  }

  #mean(sums: readonly Float32Array[]): Job {
    const first = sums[0] as Float32Array;
    const kernels = this.#kernels;
    const jobs = function* (): Generator<Job> {
      for (const other of sums.slice(1)) {
        yield new RangeJob(first.length, (begin, end) => {
          kernels.add(first.subarray(begin, end), other.subarray(begin, end));
        });
      }
      if (sums.length > 1) {
        yield new RangeJob(first.length, (begin, end) =>
          kernels.divide(first.subarray(begin, end), sums.length),
        );
      }
    };
    return new JobSequence(jobs());
  }

  /** Forgets everything and keeps the memory for the next clock. */
  clear(): void {
    for (const each of this.#contributions.values()) this.#free.push(each.sum);
    this.#contributions.clear();
  }

  /** Takes back saved contributions. */
  restore(contributions: readonly Contribution[]): void {
    this.clear();
    for (const each of contributions) this.#contributions.set(each.worker, each);
  }

  #takeZeroed(): Float32Array {
    const area = this.#free.pop();
    if (area === undefined) return this.#allocate(this.#catalogue.length);
    area.fill(0);
    return area;
  }
}

/** The elements of `selection`, moved together in place: a gradient of just those tensors. */
function compact(values: Float32Array, selection: Selection): Float32Array {
  for (const run of selection.runs) values.copyWithin(run.at, run.offset, run.offset + run.length);
  return values.subarray(0, selection.length);
}
