/**
 * The catalogue: the model's tensors in their fixed order, laid end to end in one flat range of
 * elements. The wire, the store and the optimizers all speak of ranges of this one address space,
 * so that cost grows with bytes and not with the number of tensors.
 *
 *     element   0        640  650            1930
 *               | kernel  | bias | …           |
 *
 * A server that holds a part of the model has a catalogue of that part: the same tensors with the same
 * numbers, of each the elements that lie in the part, from none to all.
 */
import { PsError } from '../base/errors.js';
import { type Dtype, lengthOfShape } from './tensor.js';

/** What a tensor is, without its values. */
export interface TensorSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** False: its gradient is refused. */
  readonly trainable: boolean;
}

/** What a sparse table is: rows of `dim` numbers by id. */
export interface TableShape {
  readonly name: string;
  readonly dim: number;
  /** In a group: rows that each server may have at most; undefined: any number. */
  readonly maxRows?: number;
}

/** One tensor and its place. */
export interface CatalogueEntry extends TensorSpec {
  /** Position in the catalogue, the tensor's number on the wire. */
  readonly index: number;
  /** First element in the flat range, of what is held. */
  readonly offset: number;
  /** Elements held: of a part, maybe fewer than the shape has. */
  readonly length: number;
  /** Which of the tensor's elements is the first that is held; 0 of the whole. */
  readonly start: number;
}

/** Elements [begin, end) of a model. */
interface Part {
  readonly begin: number;
  readonly end: number;
}

/** The tensors of a model, in order; immutable. */
export class Catalogue {
  readonly entries: readonly CatalogueEntry[];
  /** The sparse tables beside the tensors, in order; their names are none of a tensor's. */
  readonly tables: readonly TableShape[];
  /** Elements of all tensors together, as far as they are held. */
  readonly length: number;
  readonly #byName = new Map<string, CatalogueEntry>();

  /** All tensors, once somebody has selected them. */
  #all: Selection | undefined;

  /** `held`: the part of the model's elements that this is a catalogue of; default all. */
  constructor(
    specs: readonly TensorSpec[],
    held: Part = { begin: 0, end: Number.POSITIVE_INFINITY },
    tables: readonly TableShape[] = [],
  ) {
    this.tables = tables;
    let at = 0;
    let offset = 0;
    this.entries = specs.map(({ name, shape, dtype, trainable }, index) => {
      const end = at + lengthOfShape(shape);
      const start = Math.max(0, Math.min(held.begin, end) - at);
      const length = Math.max(0, Math.min(held.end, end) - at - start);
      const entry = { name, shape: [...shape], dtype, trainable, index, offset, length, start };
      at = end;
      offset += length;
      this.#byName.set(name, entry);
      return entry;
    });
    this.length = offset;
  }

  /** The catalogue of a part of this model. REQUIRES: this is of the whole. O(tensors). */
  part(held: Part): Catalogue {
    return new Catalogue(this.entries, held, this.tables);
  }

  /** The entry named `name`, or undefined. */
  find(name: string): CatalogueEntry | undefined {
    return this.#byName.get(name);
  }

  /** The entry named `name`; throws `PS_UNKNOWN_TENSOR` with the names that exist. */
  get(name: string): CatalogueEntry {
    const entry = this.#byName.get(name);
    if (entry !== undefined) return entry;
    if (this.tables.some((table) => table.name === name)) {
      throw new PsError('PS_UNKNOWN_TENSOR', `"${name}" is a sparse table, not a tensor`, {
        details: { tensor: name },
      });
    }
    const known = this.entries.slice(0, 8).map((each) => each.name);
    const more = this.entries.length > 8 ? ', …' : '';
    throw new PsError(
      'PS_UNKNOWN_TENSOR',
      `no tensor is named "${name}"; the model has ${known.join(', ')}${more}`,
      {
        details: { tensor: name },
      },
    );
  }

  /**
   * The tensors `indices` (strictly rising catalogue positions), or all of them.
   * Throws `PS_UNKNOWN_TENSOR` for a position that does not exist, is repeated or out of order.
   */
  select(indices?: readonly number[]): Selection {
    if (indices === undefined) {
      this.#all ??= new Selection(this.entries);
      return this.#all;
    }
    let previous = -1;
    const chosen: CatalogueEntry[] = [];
    for (const index of indices) {
      const entry = Number.isInteger(index) && index > previous ? this.entries[index] : undefined;
      if (entry === undefined) {
        throw new PsError('PS_UNKNOWN_TENSOR', `no tensor has position ${index} after ${previous}`);
      }
      chosen.push(entry);
      previous = index;
    }
    return new Selection(chosen);
  }
}

/** The shape of what is held of `entry`: the tensor's, or, of a part of it, one dimension. */
export function heldShape({ shape, length }: CatalogueEntry): readonly number[] {
  return lengthOfShape(shape) === length ? shape : [length];
}

/** A selection of `length` elements that belong to no tensor: all of an array. */
export function rangeSelection(length: number): Selection {
  return new Selection([{ ...NO_TENSOR, shape: [length], length }]);
}

/** The elements of `selection` that lie in `spans`: begin and end of each, in elements of it, rising. */
export function spanSelection(selection: Selection, spans: readonly number[]): Selection {
  const pieces: CatalogueEntry[] = [];
  for (let i = 0; i < spans.length; i += 2) {
    selection.forEachPiece(spans[i] as number, spans[i + 1] as number, (offset, _at, length) => {
      pieces.push({ ...NO_TENSOR, shape: [length], offset, length });
    });
  }
  return new Selection(pieces);
}

const NO_TENSOR = { name: '', dtype: 'float32', trainable: false, index: 0, offset: 0, start: 0 } as const;

/** A contiguous run of elements of the flat range, and where it stands in a selection. */
export interface Run {
  /** First element in the flat range of the model. */
  readonly offset: number;
  readonly length: number;
  /** First element in the selection's own range. */
  readonly at: number;
}

/**
 * Some of the tensors, laid end to end in a range of their own: what one pull or push moves.
 * Neighbours in the catalogue are merged, so the whole model is one run.
 */
export class Selection {
  readonly entries: readonly CatalogueEntry[];
  readonly runs: readonly Run[];
  /** Elements. */
  readonly length: number;

  constructor(entries: readonly CatalogueEntry[]) {
    this.entries = entries;
    const runs: { offset: number; length: number; at: number }[] = [];
    let at = 0;
    for (const entry of entries) {
      if (entry.length === 0) continue;
      const last = runs[runs.length - 1];
      if (last !== undefined && last.offset + last.length === entry.offset) last.length += entry.length;
      else runs.push({ offset: entry.offset, length: entry.length, at });
      at += entry.length;
    }
    this.runs = runs;
    this.length = at;
  }

  /**
   * Calls `visit(modelOffset, selectionOffset, length)` for the pieces of the selection's
   * elements [begin, end), in order. O(pieces + log runs).
   */
  forEachPiece(
    begin: number,
    end: number,
    visit: (offset: number, at: number, length: number) => void,
  ): void {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const run = this.runs[middle] as Run;
      if (run.at + run.length <= begin) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < this.runs.length; i++) {
      const run = this.runs[i] as Run;
      if (run.at >= end) return;
      const from = Math.max(begin, run.at);
      const to = Math.min(end, run.at + run.length);
      visit(run.offset + (from - run.at), from, to - from);
    }
  }
}
