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
  /** The sums of the tensors that it has gradients for, by position. */
  readonly parts: Map<number, Float32Array>;
  /** The memory that they stand in: in rising order, those of one push in one piece. */
  readonly areas: Float32Array[];
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
  /** Memory that merging took beside that of the contributions. */
  readonly #merging: Float32Array[] = [];

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

  /** The positions of the tensors that `contribution` has gradients for, rising. */
  static touched({ parts }: Contribution): number[] {
    return [...parts.keys()].sort((a, b) => a - b);
  }

  /** All memory of `allocate` that is in use. */
  get areas(): Float32Array[] {
    return [...this.#merging, ...[...this.#contributions.values()].flatMap(({ areas }) => areas)];
  }

  /** Bytes that it holds. O(contributions). */
  get bytes(): number {
    let sum = 0;
    for (const { areas, rows } of this.#contributions.values()) {
      for (const { byteLength } of areas) sum += byteLength;
      for (const { words, values } of rows.values()) sum += words.byteLength + values.byteLength;
    }
    return sum;
  }

  /** Adds `factor` · `gradients` (clipped by value) to the sums of `worker`. */
  add(worker: string, { selection, dense, rows }: Gradients, transform: Transform): Job {
    let contribution = this.#contributions.get(worker);
    if (contribution === undefined) {
      contribution = { worker, parts: new Map(), areas: [], rows: new Map() };
      this.#contributions.set(worker, contribution);
    }
    const jobs = this.#addTensors(contribution, selection, dense, transform);
    for (const part of rows) jobs.push(this.#addRows(contribution, part, transform));
    return new JobSequence(jobs);
  }

  #addTensors(
    contribution: Contribution,
    selection: Selection,
    gradient: Float32Array,
    transform: Transform,
  ): Job[] {
    const { parts } = contribution;
    const isNew = selection.entries.map(({ index }) => !parts.has(index));
    this.#takeParts(contribution, selection);
    let at = 0;
    const kernels = this.#kernels;
    return selection.entries.map((entry, i) => {
      const start = at;
      at += entry.length;
      return new RangeJob(entry.length, (begin, end) => {
        const target = (parts.get(entry.index) as Float32Array).subarray(begin, end);
        const part = this.#transformed(gradient.subarray(start + begin, start + end), transform);
        // Copied, not added to 0: −0 stays −0, and one worker's update keeps its bits.
        if (isNew[i]) kernels.copy(target, part);
        else kernels.add(target, part);
      });
    });
  }

  /** Memory for the tensors of `selection` that `contribution` has nothing of yet. */
  #takeParts({ parts, areas }: Contribution, { entries }: Selection): void {
    const missing = entries.filter(({ index }) => !parts.has(index));
    const length = missing.reduce((sum, entry) => sum + entry.length, 0);
    if (missing.length === 0) return;
    const area = this.#allocate(length);
    areas.push(area);
    let at = 0;
    for (const entry of missing) {
      parts.set(entry.index, area.subarray(at, at + entry.length));
      at += entry.length;
    }
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
   * Merges all sums into their mean, or as `robust` says (rows: always their mean), and gives it to `use` as a gradient
   * of the touched tensors and rows. REQUIRES: not empty. The sums are spent when the job is done.
   */
  merge(robust: RobustAggregation | undefined, use: (gradients: Gradients) => Job): Job {
    const all = this.contributions;
    const touched = new Set(all.flatMap(({ parts }) => [...parts.keys()]));
    const selection = this.#catalogue.select([...touched].sort((a, b) => a - b));
    // Each worker's sum over all that anybody touched, with zeros where it has nothing: the mean needs that of one.
    const jobs: Job[] = [];
    const whole = (robust === undefined ? all.slice(0, 1) : all).map((each) => {
      const area = this.#wholeOf(each, selection);
      const isNew = !each.areas.includes(area);
      if (isNew) jobs.push(...copies(each, selection, area));
      return area;
    });
    const [dense] = whole as [Float32Array];
    if (robust !== undefined) jobs.push(robustMerge(whole, robust));
    else jobs.push(...this.#mean(dense, all, selection));
    const rows: RowPart[] = [];
    const mergeRows = this.#mergeRows(all, rows);
    const sequence = function* (): Generator<Job> {
      yield* jobs;
      yield* mergeRows;
      yield use({ selection, dense, rows });
    };
    return new JobSequence(sequence());
  }

  /** The one area of a contribution if it has just the tensors of `selection`, or a new one of zeros. */
  #wholeOf({ areas, parts }: Contribution, selection: Selection): Float32Array {
    const [first] = areas;
    if (first !== undefined && areas.length === 1 && parts.size === selection.entries.length) return first;
    const area = this.#allocate(selection.length);
    this.#merging.push(area);
    return area;
  }

  /** Adds the sums of all but the first to `dense`, which has that of the first, and divides. */
  #mean(dense: Float32Array, all: readonly Contribution[], selection: Selection): Job[] {
    const kernels = this.#kernels;
    const jobs = all.slice(1).flatMap((each) =>
      placesOf(each, selection).map(
        ({ at, values }) =>
          new RangeJob(values.length, (begin, end) => {
            kernels.add(dense.subarray(at + begin, at + end), values.subarray(begin, end));
          }),
      ),
    );
    if (all.length === 1) return jobs;
    const divide = (begin: number, end: number): void =>
      kernels.divide(dense.subarray(begin, end), all.length);
    return [...jobs, new RangeJob(dense.length, divide)];
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
    return this.contributions.map((each) => {
      const selection = this.#catalogue.select(ClockBuffer.touched(each));
      const rows = [...each.rows].sort(([a], [b]) => a - b).map(([table, sums]) => ({ table, ...sums }));
      const dense = this.#wholeOf(each, selection);
      if (!each.areas.includes(dense)) {
        for (const { at, values } of placesOf(each, selection)) dense.set(values, at);
      }
      return { worker: each.worker, gradients: { selection, dense, rows } };
    });
  }

  /** Takes back saved contributions. REQUIRES: it is empty. */
  restore(contributions: readonly Contribution[]): void {
    for (const each of contributions) this.#contributions.set(each.worker, each);
  }
}

interface Place {
  readonly at: number;
  readonly values: Float32Array;
}

/** Where the parts of a contribution stand among the elements of `selection`; one that has all, in one piece, as one. */
function placesOf({ parts, areas }: Contribution, { entries }: Selection): Place[] {
  if (areas.length === 1 && parts.size === entries.length)
    return [{ at: 0, values: areas[0] as Float32Array }];
  const places: Place[] = [];
  let at = 0;
  for (const { index, length } of entries) {
    const values = parts.get(index);
    if (values !== undefined) places.push({ at, values });
    at += length;
  }
  return places;
}

/** Jobs that copy a contribution to its places in `area`. */
function copies(contribution: Contribution, selection: Selection, area: Float32Array): Job[] {
  return placesOf(contribution, selection).map(
    ({ at, values }) =>
      new RangeJob(values.length, (begin, end) => area.set(values.subarray(begin, end), at + begin)),
  );
}
