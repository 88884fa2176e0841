/**
 * One update, slice by slice: for each tensor in order, the gradient scaled and clipped through a
 * small scratch area that stays in cache (the staged gradient itself is never changed: the journal
 * may still be reading it), then the optimizer. When the next version is written into other memory,
 * what that memory lacks and the update does not touch is copied.
 *
 * Neighbours that are updated alike are taken as one range: a call for each of ten thousand small tensors
 * would take longer than the arithmetic.
 */
import type { Kernels } from '../kernels/kernels.js';
import type { ScalarState, UpdateRule } from '../optim/optimizer.js';
import type { Catalogue, CatalogueEntry, Selection } from '../tensor/catalogue.js';
import type { ChangeMarks } from './changeMarks.js';
import type { Budget, Job } from './job.js';
import type { UpdateUndo } from './updateUndo.js';

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
  /** A small area for gradients that are scaled or clipped. */
  readonly scratch: Float32Array;
  /** A small area for parameters as they were before an update in place. */
  readonly before: Float32Array;
  readonly changes: ChangeMarks;
  ruleOf(entry: CatalogueEntry): UpdateRule;
}

/** Where an update reads and writes. */
export interface UpdatedMemory {
  readonly source: Float32Array;
  /** The source itself for an update in place. */
  readonly target: Float32Array;
  /** Tensors in which the target may differ from the source, by position; undefined: any. */
  readonly missing: ReadonlySet<number> | undefined;
  /** Keeps what is overwritten, where the update may throw. */
  readonly undo: UpdateUndo | undefined;
}

/** Neighbouring tensors that are treated alike. */
interface Piece {
  readonly entries: CatalogueEntry[];
  /** First element in the model. */
  readonly offset: number;
  length: number;
  /** First element in the gradient; −1: the update has none for these tensors. */
  readonly at: number;
}

/** A running update of a dense table. If it throws, slots, scalars and the source are as they were before. */
export class UpdateJob implements Job {
  readonly #table: UpdatedTable;
  readonly #update: DenseUpdate;
  readonly #source: Float32Array;
  readonly #target: Float32Array;
  readonly #undo: UpdateUndo | undefined;
  readonly #pieces: Piece[];
  readonly #isTransformed: boolean;
  #piece = 0;
  #done = 0;

  constructor(table: UpdatedTable, update: DenseUpdate, { source, target, missing, undo }: UpdatedMemory) {
    this.#table = table;
    this.#update = update;
    this.#source = source;
    this.#target = target;
    this.#undo = undo;
    undo?.begin();
    const isCopied = (index: number): boolean => source !== target && (missing?.has(index) ?? true);
    this.#pieces = piecesOf(table, update, isCopied);
    this.#isTransformed = update.factor !== 1 || update.clipValue !== Number.POSITIVE_INFINITY;
  }

  run(budget: Budget): boolean {
    try {
      return this.#run(budget);
    } catch (error) {
      this.#undo?.restore();
      throw error;
    }
  }

  #run(budget: Budget): boolean {
    while (budget.elements > 0) {
      const piece = this.#pieces[this.#piece];
      if (piece === undefined) return true;
      const length = Math.min(piece.length - this.#done, budget.elements);
      if (this.#done === 0 && piece.at >= 0) this.#advance(piece);
      if (length > 0) this.#slice(piece, this.#done, length);
      this.#done += length;
      budget.elements -= Math.max(1, length);
      if (this.#done === piece.length) {
        this.#piece++;
        this.#done = 0;
      }
    }
    return this.#piece === this.#pieces.length;
  }

  #advance({ entries }: Piece): void {
    const rule = this.#table.ruleOf(entries[0] as CatalogueEntry);
    const rate = this.#rateOf(entries[0] as CatalogueEntry);
    for (const { index } of entries) {
      const scalars = this.#table.scalars[index] as ScalarState;
      this.#undo?.keepScalars(scalars);
      rule.advance(scalars, rate);
    }
  }

  #rateOf(entry: CatalogueEntry): number {
    return this.#update.rates[this.#table.groupOf[entry.index] as number] as number;
  }

  #slice(piece: Piece, begin: number, length: number): void {
    const { kernels, scratch } = this.#table;
    const from = piece.offset + begin;
    const at = piece.at + begin;
    if (piece.at < 0) {
      kernels.copy(this.#target.subarray(from, from + length), this.#source.subarray(from, from + length));
    } else if (this.#isTransformed) {
      for (let done = 0; done < length; done += scratch.length) {
        const part = Math.min(scratch.length, length - done);
        this.#apply(piece, from + done, this.#transformed(at + done, part));
      }
    } else {
      this.#apply(piece, from, this.#update.gradient.subarray(at, at + length));
    }
  }

  #transformed(at: number, length: number): Float32Array {
    const { kernels, scratch } = this.#table;
    const part = scratch.subarray(0, length);
    kernels.copy(part, this.#update.gradient.subarray(at, at + length));
    if (this.#update.factor !== 1) kernels.scale(part, this.#update.factor);
    if (this.#update.clipValue !== Number.POSITIVE_INFINITY) kernels.clipValue(part, this.#update.clipValue);
    return part;
  }

  #apply(piece: Piece, from: number, gradient: Float32Array): void {
    const { changes, kernels, before } = this.#table;
    if (this.#source !== this.#target || !changes.isComparing) {
      this.#write(piece, from, gradient);
      changes.compare(this.#source, this.#target, from, from + gradient.length);
      return;
    }
    // In place: a copy of a part that is in cache is what it is compared with.
    for (let done = 0; done < gradient.length; done += before.length) {
      const length = Math.min(before.length, gradient.length - done);
      const at = from + done;
      kernels.copy(before.subarray(0, length), this.#source.subarray(at, at + length));
      this.#write(piece, at, gradient.subarray(done, done + length));
      changes.compare(before, this.#target, at, at + length, at);
    }
  }

  #write(piece: Piece, from: number, gradient: Float32Array): void {
    const table = this.#table;
    const end = from + gradient.length;
    // Any of them: rule, scalars and rate are the same for all.
    const entry = piece.entries[0] as CatalogueEntry;
    const rule = table.ruleOf(entry);
    const slots = table.slots.slice(0, rule.slots.length);
    this.#undo?.keep(this.#target === this.#source ? [...slots, this.#target] : slots, from, end);
    rule.update({
      kernels: table.kernels,
      out: this.#target.subarray(from, end),
      parameter: this.#source.subarray(from, end),
      gradient,
      slots: slots.map((slot) => slot.subarray(from, end)),
      scalars: table.scalars[entry.index] as number[],
      learningRate: this.#rateOf(entry),
    });
  }
}

/** What to do, in the order of the model; tensors without a gradient only if they must be copied. */
function piecesOf(table: UpdatedTable, update: DenseUpdate, isCopied: (index: number) => boolean): Piece[] {
  const pieces: Piece[] = [];
  const given = update.selection.entries;
  let next = 0;
  let position = 0;
  for (const entry of table.catalogue.entries) {
    // A selection has the order of the catalogue.
    const isGiven = next < given.length && given[next]?.index === entry.index;
    if (!isGiven && !isCopied(entry.index)) continue;
    const at = isGiven ? position : -1;
    const last = pieces.at(-1);
    if (last !== undefined && mayJoin(table, last, entry, at)) {
      last.entries.push(entry);
      last.length += entry.length;
    } else {
      pieces.push({ entries: [entry], offset: entry.offset, length: entry.length, at });
    }
    if (isGiven) {
      next++;
      position += entry.length;
    }
  }
  return pieces;
}

/** Whether `entry`, whose gradient begins at `at`, may be treated together with those of `piece`. */
function mayJoin(table: UpdatedTable, piece: Piece, entry: CatalogueEntry, at: number): boolean {
  if (piece.offset + piece.length !== entry.offset) return false;
  if (at < 0 || piece.at < 0) return at === piece.at;
  const first = piece.entries[0] as CatalogueEntry;
  if (table.groupOf[first.index] !== table.groupOf[entry.index]) return false;
  if (table.ruleOf(entry).isPerTensor === true) return false;
  const scalars = table.scalars[first.index] as ScalarState;
  const others = table.scalars[entry.index] as ScalarState;
  for (let i = 0; i < scalars.length; i++) if (scalars[i] !== others[i]) return false;
  return true;
}
