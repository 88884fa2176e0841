/**
 * The model that checked simulations train, made so that every value tells which pushes are in it. Each
 * push of worker w adds one unit to one cell of w's own tensor, to the shared cell, and to every element of
 * the uniform tensor. Units are chosen so that all sums and means are integers that float32 holds exactly:
 *
 *     own[w][i]  = 0, or the unit of the one push that has this cell
 *     shared     = uniform[k] = the sum of all own cells
 *
 * The noise tensor holds values whose every other order of adding shows in the bits; it is compared only
 * between runs.
 */
import type { ParameterSpecs } from '../../core/table/model.js';
import type { SparseTableSpecs } from '../../core/table/tableSpecs.js';
import type { PushContent } from '../programs/trainingProgram.js';
import { CHECK_ROW_BYTES, CHECK_TABLES, rowsOfPush } from './checkRows.js';

/** Sizes of a check model. */
export interface CheckModelSizes {
  readonly workers: number;
  /** Pushes of one worker that can be told apart. */
  readonly cells: number;
  readonly uniform: number;
  /** 0: no noise. */
  readonly noise: number;
  /** Sparse tables too (`checkRows.ts`). */
  readonly hasRows?: boolean;
}

/** Layout and contents of a check model. */
export class CheckModel {
  readonly sizes: CheckModelSizes;
  readonly parameters: ParameterSpecs;
  /** What one whole push adds; divisible by every number of workers, and by 2. */
  readonly unit: number;
  /** Elements of all tensors. */
  readonly length: number;
  readonly tables: SparseTableSpecs;
  /** Bytes of the largest push. */
  readonly pushBytes: number;
  /** First element of the shared cell, the uniform tensor and the noise. */
  readonly sharedAt: number;
  readonly uniformAt: number;
  readonly noiseAt: number;
  /** What pushes have in common, and nobody changes: zeros for a worker's cells, and what they add to shared and uniform. */
  readonly #noCells: Float32Array;
  readonly #toAll: readonly [shared: Float32Array, uniform: Float32Array];
  readonly #places: readonly (readonly [offset: number, length: number])[];

  constructor(sizes: CheckModelSizes) {
    this.sizes = sizes;
    const { workers, cells, uniform, noise } = sizes;
    const parameters: Record<string, { shape: readonly number[] }> = {};
    for (let w = 0; w < workers; w++) parameters[`own${w}`] = { shape: [cells] };
    parameters.shared = { shape: [] };
    parameters.uniform = { shape: [uniform] };
    if (noise > 0) parameters.noise = { shape: [noise] };
    this.parameters = parameters;
    this.unit = 2 * leastCommonMultiple(workers);
    this.sharedAt = workers * cells;
    this.uniformAt = this.sharedAt + 1;
    this.noiseAt = this.uniformAt + uniform;
    this.length = this.noiseAt + noise;
    this.tables = sizes.hasRows === true ? CHECK_TABLES : {};
    this.pushBytes = this.length * 4 + (sizes.hasRows === true ? CHECK_ROW_BYTES : 0);
    this.#noCells = new Float32Array(cells);
    this.#toAll = [Float32Array.of(-this.unit), new Float32Array(uniform).fill(-this.unit)];
    const own = Array.from({ length: workers }, (_, w) => [w * cells, cells] as const);
    this.#places = [...own, [this.sharedAt, 1], [this.uniformAt, uniform], [this.noiseAt, noise]];
  }

  /** Element of cell `cell` of worker `worker`. */
  at(worker: number, cell: number): number {
    return worker * this.sizes.cells + cell;
  }

  /** The gradients of a push (with learning rate 1): of all tensors, or only of those it changes. */
  push(worker: number, cell: number, clock: number, isWhole: boolean): PushContent {
    const { workers, cells, noise } = this.sizes;
    const own = new Float32Array(cells);
    own[cell] = -this.unit;
    const values: Float32Array[] = [own, ...this.#toAll];
    if (noise > 0) values.push(noiseOf(worker, clock, noise));
    const sparse = this.sizes.hasRows === true ? rowsOfPush({ worker, cell }, this.unit) : { values: [] };
    const rows = 'rows' in sparse ? { rows: sparse.rows } : {};
    if (!isWhole) {
      const tensors = [worker, workers, workers + 1, ...(noise > 0 ? [workers + 2] : [])];
      return { tensors, values: [...values, ...sparse.values], ...rows };
    }
    const others = Array.from({ length: workers }, (_, w) => (w === worker ? own : this.#noCells));
    return { tensors: undefined, values: [...others, ...values.slice(1), ...sparse.values], ...rows };
  }

  /** Where tensor `index` lies. */
  place(index: number): readonly [offset: number, length: number] {
    return this.#places[index] as readonly [number, number];
  }
}

function leastCommonMultiple(upTo: number): number {
  let multiple = 1;
  for (let n = 2; n <= upTo; n++) {
    let divisor = n;
    for (let rest = multiple % n; rest !== 0; ) [divisor, rest] = [rest, divisor % rest];
    multiple *= n / divisor;
  }
  return multiple;
}

/** Gradients of very different sizes, the same for a worker and clock in every run. */
function noiseOf(worker: number, clock: number, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => {
    const mixed = Math.imul(worker * 65_537 + clock * 257 + i + 1, 0x9e3779b1) >>> 0;
    return ((mixed & 0xffff) / 0x8000 - 1) * 2 ** ((mixed >>> 16) % 24);
  });
}
