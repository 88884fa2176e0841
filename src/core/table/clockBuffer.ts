/**
 * The updates of the open clock under BSP: one sum per worker, in order of arrival within a worker,
 * and their mean over workers, added in the order of worker ids by code units, so that timing changes
 * no bit. A tensor or row that a worker pushed no gradient for counts as zeros; one that nobody pushed is
 * not updated.
 */
import type { RobustAggregation } from '../consistency/aggregate.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Catalogue, Selection } from '../tensor/catalogue.js';
import type { RowPart } from '../tensor/rowLayout.js';
import { robustMerge } from './aggregation.js';
import { type Job, JobSequence, RangeJob } from './job.js';
import type { Gradients } from './parameterStore.js';
import { RowMerge, type RowSums } from './rowSums.js';

/** One worker's sum. */
export interface Contribution {
  readonly worker: string;
  /** The whole model, flat. */
  readonly sum: Float32Array;
  /** Positions of the tensors that it has gradients for. */
  readonly touched: Set<number>;
  /** Sums of rows, by position of their table. */
  readonly rows: Map<number, RowSums>;
}

/** What is done to a gradient before it is added. */
interface Transform {
  readonly factor: number;
  readonly clipValue: number;
}

/** Buffered updates of one clock. */
export class ClockBuffer {
  readonly #catalogue: Catalogue;
  /** Numbers per row of each table. */
  readonly #dims: readonly number[];
  readonly #kernels: Kernels;
  readonly #allocate: (length: number) => Float32Array;
  readonly #contributions = new Map<string, Contribution>();
  readonly #free: Float32Array[] = [];

  constructor(
    catalogue: Catalogue,
    dims: readonly number[],
    kernels: Kernels,
    allocate: (length: number) => Float32Array,
  ) {
    this.#catalogue = catalogue;
    this.#dims = dims;
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

  /** Adds `factor` · `gradients` (clipped by value) to the sums of `worker`. */
  add(worker: string, { selection, dense, rows }: Gradients, transform: Transform): Job {
    let contribution = this.#contributions.get(worker);
    if (contribution === undefined) {
      contribution = { worker, sum: this.#takeZeroed(), touched: new Set(), rows: new Map() };
      this.#contributions.set(worker, contribution);
    }
    const jobs = this.#addTensors(contribution, selection, dense, transform);
    for (const part of rows) jobs.push(this.#addRows(contribution, part, transform));
    return new JobSequence(jobs);
  }

  #addTensors(
    { sum, touched }: Contribution,
    selection: Selection,
    gradient: Float32Array,
    transform: Transform,
  ): Job[] {
    const isNew = selection.entries.map((entry) => !touched.has(entry.index));
    for (const entry of selection.entries) touched.add(entry.index);
    let at = 0;
    const kernels = this.#kernels;
    return selection.entries.map((entry, i) => {
      const start = at;
      at += entry.length;
      return new RangeJob(entry.length, (begin, end) => {
        const target = sum.subarray(entry.offset + begin, entry.offset + end);
        const part = this.#transformed(gradient.subarray(start + begin, start + end), transform);
        // Copied, not added to 0: −0 stays −0, and one worker's update keeps its bits.
        if (isNew[i]) kernels.copy(target, part);
        else kernels.add(target, part);
      });
    });
  }

  /** Adds the rows when those before them are added: a worker's pushes of one clock come one after the other. */
  #addRows({ rows }: Contribution, { table, words, values }: RowPart, transform: Transform): Job {
    const keep = (sums: RowSums): void => {
      rows.set(table, sums);
    };
    const added = { words, values: this.#transformed(values, transform) };
    const before = rows.get(table) ?? { words: new Uint32Array(0), values: new Float32Array(0) };
    return new RowMerge(before, added, this.#dims[table] as number, keep);
  }

  /** `part`, or a copy of it that is scaled and clipped. */
  #transformed(part: Float32Array, { factor, clipValue }: Transform): Float32Array {
    if (factor === 1 && clipValue === Number.POSITIVE_INFINITY) return part;
    const copy = part.slice();
    if (factor !== 1) this.#kernels.scale(copy, factor);
    if (clipValue !== Number.POSITIVE_INFINITY) this.#kernels.clipValue(copy, clipValue);
    return copy;
  }

  /**
   * Merges all sums into their mean, or as `robust` says (rows: always their mean), in the memory of the first, and
   * gives it to `use` as a gradient of the touched tensors and rows. REQUIRES: not empty. The buffer is empty when the
   * job is done.
   */
  merge(robust: RobustAggregation | undefined, use: (gradients: Gradients) => Job): Job {
    const all = this.contributions;
    const first = all[0] as Contribution;
    const touched = new Set<number>();
    for (const each of all) for (const index of each.touched) touched.add(index);
    const selection = this.#catalogue.select([...touched].sort((a, b) => a - b));
    const sums = all.map(({ sum }) => sum);
    const merge = robust === undefined ? this.#mean(sums) : robustMerge(sums, robust);
    const rows: RowPart[] = [];
    const mergeRows = this.#mergeRows(all, rows);
    const jobs = function* (): Generator<Job> {
      yield merge;
      yield* mergeRows;
      yield use({ selection, dense: compact(first.sum, selection), rows });
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

  /** Jobs that put the means of all rows that somebody has gradients for into `means`. */
  *#mergeRows(all: readonly Contribution[], means: RowPart[]): Generator<Job> {
    for (const [table, dim] of this.#dims.entries()) {
      let sums: RowSums | undefined;
      for (const { rows } of all) {
        const own = rows.get(table);
        if (own === undefined || sums === undefined) {
          sums ??= own;
          continue;
        }
        yield new RowMerge(sums, own, dim, (merged) => {
          sums = merged;
        });
      }
      if (sums === undefined) continue;
      const { words, values } = sums as RowSums;
      if (all.length > 1) {
        yield new RangeJob(values.length, (begin, end) =>
          this.#kernels.divide(values.subarray(begin, end), all.length),
        );
      }
      means.push({ table, words, values });
    }
  }

  /** The sum of each worker by itself, in the order of worker ids. The buffer's memory is theirs: it must be cleared. */
  takeSums(): { readonly worker: string; readonly gradients: Gradients }[] {
    return this.contributions.map(({ worker, sum, touched, rows }) => {
      const selection = this.#catalogue.select([...touched].sort((a, b) => a - b));
      const parts = [...rows].sort(([a], [b]) => a - b).map(([table, sums]) => ({ table, ...sums }));
      return { worker, gradients: { selection, dense: compact(sum, selection), rows: parts } };
    });
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
