/**
 * One update of a table's rows, slice by slice. Rows are worked on a few at a time: their values and slots are brought
 * together in small areas that stay in cache, go through the same kernels as dense parameters, and are put back.
 *
 *     take ────▶ rows of a bounded table leave the order of eviction: nothing in use is evicted
 *     work ────▶ find or give rows, gather, scale and clip, update, scatter
 *     put back ─▶ into the order of eviction, as the last
 *
 * What it overwrites is kept when it takes more than one slice, so that a reader in between sees the table as it
 * was before.
 */
import type { Kernels } from '../kernels/kernels.js';
import type { ScalarState, UpdateRule } from '../optim/optimizer.js';
import { positionOf } from '../tensor/rowIds.js';
import type { Budget, Job } from './job.js';
import type { RowAdmission } from './rowAdmission.js';
import type { RowIndex } from './rowIndex.js';
import type { RowOrder } from './rowOrder.js';
import type { RowPlane } from './rowPlane.js';
import type { UnsavedRows } from './unsavedRows.js';

/** Gradients of rows. */
export interface RowGradient {
  /** Ids of two words each, strictly rising. */
  readonly words: Uint32Array;
  /** `dim` numbers for each; read only, and not changed before the job is done. */
  readonly values: Float32Array;
  /** Multiplies the gradient: the factor of clipping by norm. */
  readonly factor: number;
  /** Bound of each element after that; Infinity: none. */
  readonly clipValue: number;
  /** The learning rate, the delay factor worked in. */
  readonly rate: number;
}

/** What has happened to rows since the table was made. */
export interface RowCounts {
  /** Rows that got memory. */
  born: number;
  /** Rows that lost it to others. */
  evicted: number;
  /** Gradients of ids that were not seen often enough, or found no row that was not in use. */
  notAdmitted: number;
}

/** Where an update brings rows together; nothing stays in it. */
export interface RowAreas {
  /** How many rows fit. */
  readonly rows: number;
  readonly numbers: Int32Array;
  readonly values: Float32Array;
  readonly gradient: Float32Array;
  readonly slots: readonly Float32Array[];
}

/** What an update changes: a sparse table. */
export interface UpdatedRows {
  readonly spec: { readonly dim: number };
  readonly kernels: Kernels;
  readonly rule: UpdateRule;
  /** The rule's few numbers, advanced for this update. */
  readonly scalars: ScalarState;
  readonly index: RowIndex;
  readonly values: RowPlane;
  readonly slots: readonly RowPlane[];
  /** Undefined: it is not bounded. */
  readonly order: RowOrder | undefined;
  /** Undefined: every id gets a row at once. */
  readonly admission: RowAdmission | undefined;
  readonly counts: RowCounts;
  readonly areas: RowAreas;
  /** Undefined: nobody wants to know. */
  readonly unsaved: UnsavedRows | undefined;
  /** Gives an id a row with its first values; undefined if it can't. `onEvicted` sees what had to go. */
  give(low: number, high: number, onEvicted?: (id: number, values: Float32Array) => void): number | undefined;
  /** Writes the first values of an id's row to `out`. */
  initialise(out: Float32Array, low: number, high: number): void;
}

const NO_ROW = -1;
/** What finding and moving a row costs, in elements: mostly waiting for memory. */
const ROW_COST = 64;
const TWO_32 = 0x1_0000_0000;

/** A running update of rows. */
export class RowUpdate implements Job {
  readonly #table: UpdatedRows;
  readonly #gradient: RowGradient;
  readonly #dim: number;
  readonly #count: number;
  /** Values before the update, by position; undefined: it is done, and published, within one turn. */
  readonly #before: Float32Array | undefined;
  /** Values of rows that it evicted, by id. */
  readonly #evicted = new Map<number, Float32Array>();
  /** How far each pass is; those over the order of eviction are needed for bounded tables only. */
  #taken: number;
  #done = 0;
  #putBack: number;

  /** `before`: memory for what it overwrites, `dim` numbers for each id; readers may come before it is published. */
  constructor(table: UpdatedRows, gradient: RowGradient, before: Float32Array | undefined) {
    this.#table = table;
    this.#gradient = gradient;
    this.#dim = table.spec.dim;
    this.#count = gradient.words.length / 2;
    this.#before = before;
    this.#taken = table.order === undefined ? this.#count : 0;
    this.#putBack = this.#taken;
  }

  /** Elements of the budget that an update takes. */
  static costOf({ order, spec }: UpdatedRows, { words }: RowGradient): number {
    const passes = order === undefined ? 1 : 3;
    return (words.length / 2) * (spec.dim + passes * ROW_COST);
  }

  /** The ids that it updates. */
  get words(): Uint32Array {
    return this.#gradient.words;
  }

  /** Whether it has evicted the row of the id, so that readers still see it. */
  hasEvicted(low: number, high: number): boolean {
    return this.#evicted.has(high * TWO_32 + low);
  }

  run(budget: Budget): boolean {
    while (budget.elements > 0 && !this.#isDone) {
      if (this.#taken < this.#count) this.#taken += this.#order(this.#taken, budget);
      else if (this.#done < this.#count) this.#done += this.#work(this.#done, budget);
      else this.#putBack += this.#order(this.#putBack, budget);
    }
    return this.#isDone;
  }

  get #isDone(): boolean {
    return this.#done === this.#count && this.#putBack === this.#count;
  }

  /** Puts what was there before the update into `out`, which has the rows of `count` ids of `words` from `begin` on. */
  undo(words: Uint32Array, begin: number, count: number, out: Float32Array): void {
    const before = this.#before;
    if (before === undefined) return;
    const dim = this.#dim;
    for (let i = 0; i < count; i++) {
      const low = words[2 * (begin + i)] as number;
      const high = words[2 * (begin + i) + 1] as number;
      const at = positionOf(this.#gradient.words, low, high);
      if (at >= 0 && at < this.#done) out.set(before.subarray(at * dim, (at + 1) * dim), i * dim);
      const evicted = this.#evicted.size === 0 ? undefined : this.#evicted.get(high * TWO_32 + low);
      if (evicted !== undefined) out.set(evicted, i * dim);
    }
  }

  /** Finds the next rows from `from` on; returns how many. */
  #find(from: number): number {
    const { areas, index } = this.#table;
    const count = Math.min(areas.rows, this.#count - from);
    index.find(this.#gradient.words, from, from + count, areas.numbers);
    return count;
  }

  /** Takes the next rows out of the order of eviction, or, when they are updated, puts them back into it. */
  #order(from: number, budget: Budget): number {
    const { order, areas } = this.#table;
    const count = this.#find(from);
    budget.elements -= count * ROW_COST;
    const isTaking = this.#done < this.#count;
    for (let i = 0; i < count; i++) {
      const row = areas.numbers[i] as number;
      if (row < 0) continue;
      if (isTaking) order?.take(row);
      else order?.putBack(row);
    }
    return count;
  }

  /** Updates the next rows. */
  #work(from: number, budget: Budget): number {
    const count = this.#find(from);
    budget.elements -= count * (ROW_COST + this.#dim);
    const dim = this.#dim;
    const gradient = this.#gradient.values.subarray(from * dim, (from + count) * dim);
    const left = this.#giveRows(from, count);
    if (left === undefined) this.#apply(from, count, gradient, undefined);
    else this.#apply(from, left.length, this.#pack(left, gradient), left);
    return count;
  }

  /** Gives rows to the ids that have none. Returns the positions of those with a row, if some are not admitted. */
  #giveRows(from: number, count: number): number[] | undefined {
    const { admission, counts, areas } = this.#table;
    const { words } = this.#gradient;
    const rows = areas.numbers;
    let refused = 0;
    for (let i = 0; i < count; i++) {
      if ((rows[i] as number) >= 0) continue;
      const low = words[2 * (from + i)] as number;
      const high = words[2 * (from + i) + 1] as number;
      if (admission?.see(low, high) !== false) {
        rows[i] = this.#table.give(low, high, this.#before && this.#keepEvicted) ?? NO_ROW;
        if (rows[i] !== NO_ROW) continue;
      }
      refused++;
      if (this.#before !== undefined) this.#table.initialise(this.#beforeOf(from + i), low, high);
    }
    counts.notAdmitted += refused;
    if (refused === 0) return undefined;
    return Array.from({ length: count }, (_, i) => i).filter((i) => (rows[i] as number) >= 0);
  }

  readonly #keepEvicted = (id: number, values: Float32Array): void => {
    this.#evicted.set(id, values.slice());
  };

  /** The place of the values before the update of the row at `position`. */
  #beforeOf(position: number): Float32Array {
    return (this.#before as Float32Array).subarray(position * this.#dim, (position + 1) * this.#dim);
  }

  /** Moves the rows at `left` together; returns their gradients, moved together too. */
  #pack(left: readonly number[], gradient: Float32Array): Float32Array {
    const { areas } = this.#table;
    const dim = this.#dim;
    left.forEach((from, to) => {
      areas.numbers[to] = areas.numbers[from] as number;
      areas.gradient.set(gradient.subarray(from * dim, (from + 1) * dim), to * dim);
    });
    return areas.gradient.subarray(0, left.length * dim);
  }

  /** Updates the first `count` rows of the area. `left`: their positions from `from` on, if not all stand there. */
  #apply(from: number, count: number, gradient: Float32Array, left: readonly number[] | undefined): void {
    if (count === 0) return;
    const { kernels, rule, scalars, values, slots, areas } = this.#table;
    const dim = this.#dim;
    const parameter = areas.values.subarray(0, count * dim);
    kernels.gatherRows(parameter, values, areas.numbers, count);
    if (left === undefined) this.#before?.set(parameter, from * dim);
    else if (this.#before !== undefined) {
      left.forEach((at, i) => {
        this.#beforeOf(from + at).set(parameter.subarray(i * dim, (i + 1) * dim));
      });
    }
    const slotAreas = areas.slots.map((area) => area.subarray(0, count * dim));
    slots.forEach((plane, i) => {
      kernels.gatherRows(slotAreas[i] as Float32Array, plane, areas.numbers, count);
    });
    rule.update({
      kernels,
      out: parameter,
      parameter,
      gradient: this.#transformed(gradient),
      slots: slotAreas,
      scalars,
      learningRate: this.#gradient.rate,
    });
    this.#table.unsaved?.mark(areas.numbers, count);
    kernels.scatterRows(values, areas.numbers, count, parameter);
    slots.forEach((plane, i) => {
      kernels.scatterRows(plane, areas.numbers, count, slotAreas[i] as Float32Array);
    });
  }

  #transformed(gradient: Float32Array): Float32Array {
    const { factor, clipValue } = this.#gradient;
    if (factor === 1 && clipValue === Number.POSITIVE_INFINITY) return gradient;
    const { kernels, areas } = this.#table;
    const part = areas.gradient.subarray(0, gradient.length);
    if (gradient.buffer !== part.buffer || gradient.byteOffset !== part.byteOffset)
      kernels.copy(part, gradient);
    if (factor !== 1) kernels.scale(part, factor);
    if (clipValue !== Number.POSITIVE_INFINITY) kernels.clipValue(part, clipValue);
    return part;
  }
}
