/**
 * A sparse table: rows of `dim` float32 numbers with their optimizer's slots, by id. A row is born with its first
 * update; until then it has its first values and takes no memory. A bounded table evicts rows that were not used
 * for long, and may ask that an id be seen several times before it gets a row. An update is a job of slices (`RowUpdate`);
 * while one is under way readers see the table as it was before. It knows no sessions, clocks or versions.
 */
import { invariant } from '../base/invariant.js';
import type { Kernels } from '../kernels/kernels.js';
import type { ScalarState, UpdateRule } from '../optim/optimizer.js';
import { InitialRows, type RowInitialiser } from '../tensor/initialRows.js';
import { idAt, sortIds } from '../tensor/rowIds.js';
import { RowAdmission } from './rowAdmission.js';
import { RowChanges } from './rowChanges.js';
import { RowIndex } from './rowIndex.js';
import { type EvictionOrder, RowOrder } from './rowOrder.js';
import { RowPlane } from './rowPlane.js';
import { type RowAreas, type RowCounts, type RowGradient, RowUpdate, type UpdatedRows } from './rowUpdate.js';
import { UnsavedRows } from './unsavedRows.js';

/** A table, as its owner described it, checked. */
export interface TableSpec {
  readonly name: string;
  /** Numbers per row: 1 to 4,096. */
  readonly dim: number;
  readonly init: RowInitialiser;
  /** Rows that it may have at most; Infinity: any number. */
  readonly maxRows: number;
  /** Which rows go first when it is full. */
  readonly evict: EvictionOrder;
  /** How often an id must come in an update before it gets a row; 1: at once. */
  readonly admitAfter: number;
}

/** What a table is made of, beside its description. */
export interface TableParts {
  readonly rule: UpdateRule;
  readonly kernels: Kernels;
  readonly seed: number;
  /** Makes arrays of zeros. */
  readonly allocate: (length: number) => Float32Array;
}

/** Elements of values before an update whose memory is kept: 64 MiB. */
const MAX_KEPT = 16_777_216;
/** Rows found at a time when they are read. */
const READ_ROWS = 4_096;
/** Elements that an update works on together: 64 KiB of each kind, which stay in cache. */
const AREA_ELEMENTS = 16_384;

/** Rows by id, with their optimizer's state. */
export class EmbeddingTable implements UpdatedRows {
  readonly spec: TableSpec;
  readonly kernels: Kernels;
  readonly index: RowIndex = new RowIndex();
  readonly values: RowPlane;
  /** Undefined: it is not bounded. */
  readonly order: RowOrder | undefined;
  /** Undefined: every id gets a row at once. */
  readonly admission: RowAdmission | undefined;
  readonly counts: RowCounts = { born: 0, evicted: 0, notAdmitted: 0 };
  rule: UpdateRule;
  slots: RowPlane[];
  areas: RowAreas;
  /** Since the last checkpoint of all rows; undefined: there was none, nothing is noted. */
  unsaved: UnsavedRows | undefined;
  /** The rule's few numbers; one set for all rows: an update of any of them counts as a step. */
  scalars: ScalarState;
  readonly #parts: TableParts;
  readonly #allocate: (length: number) => Float32Array;
  readonly #initial: InitialRows;
  readonly #rows: Int32Array = new Int32Array(READ_ROWS);
  /** Row numbers that are free again; the last is taken first. */
  #free: number[] = [];
  #next = 0;
  #update: RowUpdate | undefined;
  #changes: RowChanges | undefined;
  /** The update that is under way began before its changes were logged. */
  #isBlind = false;
  /** Words of the ids that it evicts. */
  #evictedWords: number[] = [];
  #kept: Float32Array = new Float32Array(0);

  constructor(spec: TableSpec, parts: TableParts) {
    const { rule, kernels, seed, allocate } = parts;
    this.#parts = parts;
    this.spec = spec;
    this.rule = rule;
    this.kernels = kernels;
    this.#allocate = allocate;
    this.#initial = new InitialRows(spec.init, seed, spec.name);
    this.values = new RowPlane(spec.dim, this.#allocate);
    this.slots = rule.slots.map(() => new RowPlane(spec.dim, this.#allocate));
    this.areas = this.#makeAreas();
    this.scalars = rule.newScalars();
    this.order = spec.maxRows === Number.POSITIVE_INFINITY ? undefined : new RowOrder(spec.evict);
    this.admission = spec.admitAfter === 1 ? undefined : new RowAdmission(spec.admitAfter);
  }

  /** Rows that take memory. */
  get rows(): number {
    return this.index.count;
  }

  /** Bytes of all its arrays. O(leaves). */
  get bytes(): number {
    const planes = [this.values, ...this.slots].reduce((bytes, plane) => bytes + plane.bytes, 0);
    const others = [this.order, this.#changes].reduce((bytes, each) => bytes + (each?.bytes ?? 0), 0);
    return planes + this.index.bytes + others + (this.admission?.counters.byteLength ?? 0);
  }

  /**
   * Copies the rows of the ids [begin, end) of `words`, which rise, to `out`, one after the other: as they are, or
   * were before the update that is under way. Changes nothing. O((end − begin) · dim).
   */
  read(words: Uint32Array, begin: number, end: number, out: Float32Array): void {
    const { dim } = this.spec;
    for (let at = begin; at < end; at += READ_ROWS) {
      const count = Math.min(READ_ROWS, end - at);
      const part = out.subarray((at - begin) * dim, (at - begin + count) * dim);
      const rows = this.#rows;
      this.index.find(words, at, at + count, rows);
      const absent = fillAbsent(rows, count);
      if (this.rows > 0) this.kernels.gatherRows(part, this.values, rows, count);
      for (const i of absent) {
        const row = part.subarray(i * dim, (i + 1) * dim);
        this.#initial.write(row, words[2 * (at + i)] as number, words[2 * (at + i) + 1] as number);
      }
      this.#update?.undo(words, at, count, part);
    }
  }

  /**
   * Begins an update; when its job is done, `end` it. `keepsBefore`: readers may come before that. REQUIRES: no other
   * is under way.
   */
  begin(gradient: RowGradient, keepsBefore: boolean): RowUpdate {
    invariant(this.#update === undefined, 'two updates of a table at once');
    this.rule.advance(this.scalars, gradient.rate);
    const before = keepsBefore ? this.#areaOf((gradient.words.length / 2) * this.spec.dim) : undefined;
    this.#update = new RowUpdate(this, gradient, before);
    return this.#update;
  }

  /** Memory that one update needs and the next one again: new memory costs more than what is done with it. */
  #areaOf(length: number): Float32Array {
    if (length > MAX_KEPT) return new Float32Array(length);
    if (this.#kept.length < length) this.#kept = new Float32Array(length);
    return this.#kept.subarray(0, length);
  }

  /** Ends the update: from now on readers see what it wrote. */
  end(): void {
    if (this.#changes !== undefined && this.#update !== undefined) {
      if (this.#isBlind) this.#changes.reset();
      else {
        this.#changes.add(this.#update.words);
        this.#changes.add(Uint32Array.from(this.#evictedWords));
      }
      this.#isBlind = false;
      this.#evictedWords = [];
    }
    this.#update = undefined;
  }

  /** The changes as far as they are logged; undefined: not at all. */
  get changes(): RowChanges | undefined {
    return this.#changes;
  }

  /** The changes, which are logged from the first call on: the last `maxIds`. */
  watch(maxIds: number): RowChanges {
    if (this.#changes !== undefined) return this.#changes;
    this.#isBlind = this.#update !== undefined;
    this.#changes = new RowChanges(maxIds);
    return this.#changes;
  }

  /** Words of the ids from `from` on that have rows, at most `max` of them, and the id behind them. */
  page(from: number, max: number): { readonly words: Uint32Array; readonly next: number | undefined } {
    const { ids, next } = this.index.idsFrom(from, max);
    return { words: sortIds('ids', ids).words, next };
  }

  /** The ids of `words`, which rise, that have rows for readers, and those that have none. */
  split(words: Uint32Array): readonly [present: Uint32Array, absent: Uint32Array] {
    const rows = new Int32Array(words.length / 2);
    this.index.find(words, 0, rows.length, rows);
    for (let i = 0; i < rows.length; i++) {
      const isHeld = this.#update?.hasEvicted(words[2 * i] as number, words[2 * i + 1] as number);
      if (isHeld === true) rows[i] = 0;
    }
    const wordsWhere = (isPresent: boolean) =>
      words.filter((_, i) => (rows[i >> 1] as number) >= 0 === isPresent);
    return [wordsWhere(true), wordsWhere(false)];
  }

  /**
   * Gives the id a row with its first values, evicting another if the table is full; `onEvicted` sees that one's id
   * and values before they are gone. Undefined: the table is full, and all its rows are in use. REQUIRES: the id has
   * no row.
   */
  give(
    low: number,
    high: number,
    onEvicted?: (id: number, values: Float32Array) => void,
  ): number | undefined {
    if (this.rows >= this.spec.maxRows && !this.#evict(onEvicted)) return undefined;
    const row = this.open(low, high);
    this.#initial.write(this.values.row(row), low, high);
    this.slots.forEach((plane, i) => {
      plane.row(row).fill(this.rule.slotStart[i] as number);
    });
    this.counts.born++;
    return row;
  }

  /** A row for the id, in use; what stands in it is not defined. REQUIRES: the id has none. */
  open(low: number, high: number): number {
    const row = this.#free.pop() ?? this.#next++;
    for (const plane of [this.values, ...this.slots]) plane.reach(row);
    this.index.add(low, high, row);
    this.order?.open(row, low, high);
    return row;
  }

  /** Writes the first values of the id's row to `out`. */
  initialise(out: Float32Array, low: number, high: number): void {
    this.#initial.write(out, low, high);
  }

  /** The same table without a row; slots and scalars start anew, the counts of what has happened go on. */
  fresh(): EmbeddingTable {
    const table = new EmbeddingTable(this.spec, { ...this.#parts, rule: this.rule });
    Object.assign(table.counts, this.counts);
    table.#changes = this.#changes;
    return table;
  }

  /** It takes the place of the table that it was made of by `fresh`: readers that keep a copy read everything. */
  takePlace(): void {
    this.#changes?.reset();
  }

  /** From here on is noted what changes. */
  trackChanges(): void {
    this.unsaved = new UnsavedRows();
  }

  /** Another optimizer: all slots and scalars start anew. */
  restartSlots(rule: UpdateRule): void {
    if (this.unsaved !== undefined) this.unsaved.isAll = true;
    this.rule = rule;
    this.scalars = rule.newScalars();
    this.slots = rule.slots.map((_, i) => {
      const plane = new RowPlane(this.spec.dim, this.#allocate);
      for (let row = 0; row < this.#next; row++) {
        plane.reach(row);
        plane.row(row).fill(rule.slotStart[i] as number);
      }
      return plane;
    });
    this.areas = this.#makeAreas();
  }

  #makeAreas(): RowAreas {
    const rows = Math.max(1, Math.floor(AREA_ELEMENTS / this.spec.dim));
    const area = (): Float32Array => this.#allocate(rows * this.spec.dim);
    return {
      rows,
      numbers: new Int32Array(rows),
      values: area(),
      gradient: area(),
      slots: this.slots.map(area),
    };
  }

  #evict(onEvicted?: (id: number, values: Float32Array) => void): boolean {
    const order = this.order as RowOrder;
    const row = order.evict();
    if (row === undefined) return false;
    const [low, high] = order.idOf(row);
    const id = idAt(Uint32Array.of(low, high), 0);
    onEvicted?.(id, this.values.row(row));
    if (this.#changes !== undefined) this.#evictedWords.push(low, high);
    this.unsaved?.remove(row, id);
    this.index.remove(low, high);
    this.#free.push(row);
    this.counts.evicted++;
    return true;
  }
}

/** The positions of rows that are not there (−1); row 0 stands in their place, so that they can be read. */
function fillAbsent(rows: Int32Array, count: number): number[] {
  const absent: number[] = [];
  for (let i = 0; i < count; i++) {
    if ((rows[i] as number) >= 0) continue;
    absent.push(i);
    rows[i] = 0;
  }
  return absent;
}
