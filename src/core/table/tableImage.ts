/**
 * A sparse table as plain data and flat arrays: what a checkpoint holds of it. Rows of a bounded table stand in the
 * order in which they would be evicted, others in any; row numbers are not kept, since nothing that can be seen
 * depends on them.
 */
import { invariant } from '../base/invariant.js';
import type { EmbeddingTable } from './embeddingTable.js';
import { type Budget, type Job, runToEnd } from './job.js';
import { ADMISSION_COUNTERS } from './rowAdmission.js';
import type { RowCounts } from './rowUpdate.js';
import type { UnsavedRows } from './unsavedRows.js';

/** What is not in arrays. */
export interface TableMeta {
  readonly name: string;
  readonly dim: number;
  readonly rows: number;
  /** Optimizer group. */
  readonly group: number;
  readonly slots: number;
  readonly scalars: readonly number[];
  readonly counts: RowCounts;
  /** Of `RowAdmission`. */
  readonly sightings: number;
  readonly isBounded: boolean;
  readonly hasAdmission: boolean;
  /** What the arrays hold, where that is not all: rows that have changed since an earlier checkpoint, and ids that were evicted. */
  readonly delta?: { readonly rows: number; readonly removed: number } | undefined;
}

/** The arrays of a table, or of what has changed of it. */
export interface TableArrays {
  /** Two words for each row. */
  readonly ids: Uint32Array;
  readonly values: Float32Array;
  readonly slots: readonly Float32Array[];
  /** How often each row was used; empty unless the table is bounded. */
  readonly uses: Uint8Array;
  /** Counters of ids without a row; empty if every id gets one. */
  readonly counters: Uint8Array;
  /** Of changes: ids that were evicted, two words each. */
  readonly removed: Uint32Array;
}

const TWO_32 = 0x1_0000_0000;
/** What moving a row costs, in elements. */
const ROW_COST = 16;
/** What passing over one costs. */
const PASSING_COST = 4;

/** The plain data of `table`; `isDelta`: for what has changed of it. */
export function metaOfTable(table: EmbeddingTable, group: number, isDelta: boolean = false): TableMeta {
  const { spec, rows, slots, scalars, counts, admission, order, unsaved } = table;
  return {
    ...{ name: spec.name, dim: spec.dim, rows, group, slots: slots.length },
    scalars: [...scalars],
    counts: { ...counts },
    sightings: admission?.sightings ?? 0,
    isBounded: order !== undefined,
    hasAdmission: admission !== undefined,
    ...(isDelta && unsaved !== undefined
      ? { delta: { rows: unsaved.count, removed: unsaved.removed.size } }
      : {}),
  };
}

/** Arrays for a table that `meta` tells of. */
export function newTableArrays(meta: TableMeta, allocate: (length: number) => Float32Array): TableArrays {
  const { dim, delta } = meta;
  const { rows, removed } = delta ?? { rows: meta.rows, removed: 0 };
  return {
    ids: new Uint32Array(2 * rows),
    values: allocate(rows * dim),
    slots: Array.from({ length: meta.slots }, () => allocate(rows * dim)),
    uses: new Uint8Array(meta.isBounded ? rows : 0),
    counters: new Uint8Array(meta.hasAdmission ? ADMISSION_COUNTERS : 0),
    removed: new Uint32Array(2 * removed),
  };
}

/** Copies `table`, or what has changed of it, into `arrays`, in slices. REQUIRES: it is not updated before the job is done. */
export class TableCapture implements Job {
  readonly #table: EmbeddingTable;
  readonly #arrays: TableArrays;
  readonly #rows: Iterator<readonly [row: number, low: number, high: number]>;
  readonly #numbers: Int32Array;
  /** Undefined: all rows. */
  readonly #unsaved: UnsavedRows | undefined;
  readonly #total: number;
  #done = 0;

  constructor(table: EmbeddingTable, arrays: TableArrays, isDelta: boolean = false) {
    this.#table = table;
    this.#unsaved = isDelta ? table.unsaved : undefined;
    this.#total = arrays.ids.length / 2;
    if (this.#unsaved !== undefined) writeIds(this.#unsaved.removed, arrays.removed);
    this.#arrays = arrays;
    this.#rows = (table.order ?? table.index).entries();
    this.#numbers = new Int32Array(table.areas.rows);
    if (table.admission !== undefined) arrays.counters.set(table.admission.counters);
  }

  run(budget: Budget): boolean {
    const { kernels, values, slots, spec } = this.#table;
    const { dim } = spec;
    while (budget.elements > 0 && this.#done < this.#total) {
      const count = this.#take(budget);
      const [begin, end] = [this.#done * dim, (this.#done + count) * dim];
      kernels.gatherRows(this.#arrays.values.subarray(begin, end), values, this.#numbers, count);
      slots.forEach((plane, i) => {
        const slot = (this.#arrays.slots[i] as Float32Array).subarray(begin, end);
        kernels.gatherRows(slot, plane, this.#numbers, count);
      });
      this.#done += count;
      budget.elements -= count * (ROW_COST + dim * (1 + slots.length));
    }
    return this.#done === this.#total;
  }

  /** Takes down the numbers and ids of the next rows; returns how many. Those passed over have their cost too. */
  #take(budget: Budget): number {
    const { ids, uses } = this.#arrays;
    let count = 0;
    while (count < this.#numbers.length && this.#done + count < this.#total && budget.elements > 0) {
      const next = this.#rows.next();
      invariant(next.done !== true, 'a table has as many rows as it says');
      const [row, low, high] = next.value;
      if (this.#unsaved?.has(row) === false) {
        budget.elements -= PASSING_COST;
        continue;
      }
      const at = this.#done + count;
      ids[2 * at] = low;
      ids[2 * at + 1] = high;
      if (uses.length > 0) uses[at] = this.#table.order?.countOf(row) ?? 0;
      this.#numbers[count++] = row;
    }
    return count;
  }
}

function writeIds(ids: Iterable<number>, words: Uint32Array): void {
  let at = 0;
  for (const id of ids) {
    words[at++] = id >>> 0;
    words[at++] = Math.floor(id / TWO_32);
  }
}

/** The arrays of `table` as it is now, copied at once. */
export function arraysOfTable(table: EmbeddingTable): TableArrays {
  const arrays = newTableArrays(metaOfTable(table, 0), (length) => new Float32Array(length));
  runToEnd(new TableCapture(table, arrays));
  return arrays;
}

/** Brings `table`, in which nothing has happened yet, to what `meta` and `arrays` say. */
export function restoreTable(table: EmbeddingTable, meta: TableMeta, arrays: TableArrays): void {
  const { dim } = table.spec;
  for (let i = 0; i < meta.rows; i++) {
    const row = table.open(arrays.ids[2 * i] as number, arrays.ids[2 * i + 1] as number);
    table.order?.putBack(row, arrays.uses[i]);
    table.values.row(row).set(arrays.values.subarray(i * dim, (i + 1) * dim));
    table.slots.forEach((plane, k) => {
      plane.row(row).set((arrays.slots[k] as Float32Array).subarray(i * dim, (i + 1) * dim));
    });
  }
  table.scalars = [...meta.scalars];
  Object.assign(table.counts, meta.counts);
  if (table.admission === undefined) return;
  table.admission.counters.set(arrays.counters);
  table.admission.sightings = meta.sightings;
}

/** How `tables` differ from those that `metas` tell of, or undefined. */
export function differenceOfTables(
  tables: readonly EmbeddingTable[],
  groupOf: readonly number[],
  metas: readonly TableMeta[],
): string | undefined {
  const now = tables.map((table, i) => metaOfTable(table, groupOf[i] as number)).map(textOf);
  const kept = metas.map(textOf);
  if (now.join() === kept.join()) return undefined;
  return `it has the tables ${kept.join(', ') || '(none)'}; the options have ${now.join(', ') || '(none)'}`;
}

function textOf({ name, dim, group, slots, isBounded, hasAdmission }: TableMeta): string {
  const extras = `${isBounded ? ', bounded' : ''}${hasAdmission ? ', with admission' : ''}`;
  return `"${name}" (dim ${dim}, ${slots} slots, optimizer ${group}${extras})`;
}
