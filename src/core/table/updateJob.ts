/**
 * One update, slice by slice: for each tensor in order, the gradient scaled and clipped through a
 * small scratch area that stays in cache (the staged gradient itself is never changed: the journal
 * may still be reading it), then the optimizer. When the next version is written into other memory,
 * what the update does not touch is copied.
 */
import type { Kernels } from '../kernels/kernels.js';
import type { ScalarState, UpdateRule } from '../optim/optimizer.js';
import type { Catalogue, CatalogueEntry, Selection } from '../tensor/catalogue.js';
import type { Budget, Job } from './job.js';

const SCRATCH_ELEMENTS = 16_384;

/** One update of some tensors. */
export interface DenseUpdate {
  readonly selection: Selection;
  /** The selection's elements; read only, and not changed before the job is done. */
  readonly gradient: Float32Array;
  /** Multiplies the gradient: the factor of clipping by norm. */
  readonly factor: number;
  /** Bound of each element after that; Infinity: none. */
  readonly clipValue: number;
  /** The learning rate of each optimizer group, the delay factor worked in. */
  readonly rates: readonly number[];
}

/** What an update changes, beside the values: the dense table. */
export interface UpdatedTable {
  readonly catalogue: Catalogue;
  readonly kernels: Kernels;
  /** Group of each tensor, by position. */
  readonly groupOf: readonly number[];
  /** Slot arrays; a tensor uses the first ones, as many as its rule has. */
  readonly slots: readonly Float32Array[];
  /** The rule's few numbers for each tensor, by position. */
  readonly scalars: readonly ScalarState[];
  ruleOf(entry: CatalogueEntry): UpdateRule;
}

interface Piece {
  readonly entry: CatalogueEntry;
  /** First element in the gradient; −1: the update has none for this tensor. */
  readonly at: number;
}

/** A running update of a dense table. */
export class UpdateJob implements Job {
  readonly #table: UpdatedTable;
  readonly #update: DenseUpdate;
  readonly #source: Float32Array;
  readonly #target: Float32Array;
  readonly #pieces: Piece[];
  readonly #isTransformed: boolean;
  #piece = 0;
  #done = 0;

  constructor(table: UpdatedTable, update: DenseUpdate, source: Float32Array, target: Float32Array) {
    this.#table = table;
    this.#update = update;
    this.#source = source;
    this.#target = target;
    this.#pieces = piecesOf(table, update, source !== target);
    this.#isTransformed = update.factor !== 1 || update.clipValue !== Number.POSITIVE_INFINITY;
  }

  run(budget: Budget): boolean {
    while (budget.elements > 0) {
      const piece = this.#pieces[this.#piece];
      if (piece === undefined) return true;
      const length = Math.min(piece.entry.length - this.#done, budget.elements);
      if (this.#done === 0 && piece.at >= 0) this.#advance(piece.entry);
      if (length > 0) this.#slice(piece, this.#done, length);
      this.#done += length;
      budget.elements -= Math.max(1, length);
      if (this.#done === piece.entry.length) {
        this.#piece++;
        this.#done = 0;
      }
    }
    return this.#piece === this.#pieces.length;
  }

  #advance(entry: CatalogueEntry): void {
    this.#table.ruleOf(entry).advance(this.#table.scalars[entry.index] as number[], this.#rateOf(entry));
  }

  #rateOf(entry: CatalogueEntry): number {
    return this.#update.rates[this.#table.groupOf[entry.index] as number] as number;
  }

  #slice(piece: Piece, begin: number, length: number): void {
    const from = piece.entry.offset + begin;
    if (piece.at < 0) {
      this.#table.kernels.copy(
        this.#target.subarray(from, from + length),
        this.#source.subarray(from, from + length),
      );
    } else if (this.#isTransformed) {
      for (let done = 0; done < length; done += SCRATCH_ELEMENTS) {
        const part = Math.min(SCRATCH_ELEMENTS, length - done);
        this.#apply(piece.entry, from + done, this.#transformed(piece.at + begin + done, part));
      }
    } else {
      const at = piece.at + begin;
      this.#apply(piece.entry, from, this.#update.gradient.subarray(at, at + length));
    }
  }

  #transformed(at: number, length: number): Float32Array {
    const { kernels } = this.#table;
    const part = scratch.subarray(0, length);
    kernels.copy(part, this.#update.gradient.subarray(at, at + length));
    if (this.#update.factor !== 1) kernels.scale(part, this.#update.factor);
    if (this.#update.clipValue !== Number.POSITIVE_INFINITY) kernels.clipValue(part, this.#update.clipValue);
    return part;
  }

  #apply(entry: CatalogueEntry, from: number, gradient: Float32Array): void {
    const table = this.#table;
    const end = from + gradient.length;
    const rule = table.ruleOf(entry);
    rule.update({
      kernels: table.kernels,
      out: this.#target.subarray(from, end),
      parameter: this.#source.subarray(from, end),
      gradient,
      slots: rule.slots.map((_, i) => (table.slots[i] as Float32Array).subarray(from, end)),
      scalars: table.scalars[entry.index] as number[],
      learningRate: this.#rateOf(entry),
    });
  }
}

const scratch = new Float32Array(SCRATCH_ELEMENTS);

/** What to do tensor by tensor; tensors without a gradient only if they must be copied. */
function piecesOf(table: UpdatedTable, update: DenseUpdate, isCopied: boolean): Piece[] {
  let at = 0;
  const pieces: Piece[] = [];
  const given = new Map<number, number>();
  for (const entry of update.selection.entries) {
    given.set(entry.index, at);
    at += entry.length;
  }
  for (const entry of table.catalogue.entries) {
    const start = given.get(entry.index);
    if (start !== undefined) pieces.push({ entry, at: start });
    else if (isCopied) pieces.push({ entry, at: -1 });
  }
  return pieces;
}
