/** A table as a plain `Map`: what `EmbeddingTable` must equal, bit for bit. */
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import type { UpdateRule } from '../../../src/core/optim/optimizer.js';
import type { TableSpec } from '../../../src/core/table/embeddingTable.js';
import { InitialRows } from '../../../src/core/tensor/initialRows.js';

interface ModelRow {
  readonly values: Float32Array;
  readonly slots: Float32Array[];
  uses: number;
  lastUse: number;
}

/** Gradients by id. */
export type ModelGradient = ReadonlyMap<number, Float32Array>;

/** The model of one table. */
export class TableModel {
  readonly rows = new Map<number, ModelRow>();
  evicted = 0;
  notAdmitted = 0;
  readonly #spec: TableSpec;
  readonly #rule: UpdateRule;
  readonly #initial: InitialRows;
  #scalars: number[];
  readonly #seen = new Map<number, number>();
  #time = 0;

  constructor(spec: TableSpec, rule: UpdateRule, seed: number) {
    this.#spec = spec;
    this.#rule = rule;
    this.#initial = new InitialRows(spec.init, seed, spec.name);
    this.#scalars = rule.newScalars();
  }

  read(id: number): Float32Array {
    return this.rows.get(id)?.values.slice() ?? this.#first(id);
  }

  update(gradient: ModelGradient, rate: number, factor: number, clipValue: number): void {
    this.#rule.advance(this.#scalars, rate);
    const used: ModelRow[] = [];
    for (const id of [...gradient.keys()].sort((a, b) => a - b)) {
      const row = this.rows.get(id) ?? this.#birth(id, gradient);
      if (row === undefined) continue;
      const part = (gradient.get(id) as Float32Array).slice();
      if (factor !== 1) referenceKernels.scale(part, factor);
      if (clipValue !== Number.POSITIVE_INFINITY) referenceKernels.clipValue(part, clipValue);
      this.#rule.update({
        kernels: referenceKernels,
        out: row.values,
        parameter: row.values,
        gradient: part,
        slots: row.slots,
        scalars: this.#scalars,
        learningRate: rate,
      });
      used.push(row);
    }
    for (const row of used) {
      row.uses = Math.min(255, row.uses + 1);
      row.lastUse = ++this.#time;
    }
  }

  /** All rows are others, as if each had been used once, in this order; slots and what was seen begin anew. */
  replace(rows: readonly (readonly [id: number, values: Float32Array])[]): void {
    this.rows.clear();
    this.#seen.clear();
    this.#scalars = this.#rule.newScalars();
    for (const [id, values] of rows) {
      const slots = this.#rule.slotStart.map((start) => new Float32Array(this.#spec.dim).fill(start));
      this.rows.set(id, { values: values.slice(), slots, uses: 1, lastUse: ++this.#time });
    }
  }

  #birth(id: number, inFlight: ModelGradient): ModelRow | undefined {
    const { admitAfter, maxRows, dim } = this.#spec;
    const seen = (this.#seen.get(id) ?? 0) + 1;
    if (seen < admitAfter) {
      this.#seen.set(id, seen);
      this.notAdmitted++;
      return undefined;
    }
    if (this.rows.size >= maxRows) this.#evict(inFlight);
    const slots = this.#rule.slotStart.map((start) => new Float32Array(dim).fill(start));
    const row: ModelRow = { values: this.#first(id), slots, uses: 0, lastUse: 0 };
    this.rows.set(id, row);
    return row;
  }

  #evict(inFlight: ModelGradient): void {
    const isByCount = this.#spec.evict === 'leastCount';
    const [victim] = [...this.rows]
      .filter(([id]) => !inFlight.has(id))
      .sort(([, a], [, b]) => (isByCount && a.uses !== b.uses ? a.uses - b.uses : a.lastUse - b.lastUse));
    this.rows.delete((victim as [number, ModelRow])[0]);
    this.evicted++;
  }

  #first(id: number): Float32Array {
    const row = new Float32Array(this.#spec.dim);
    this.#initial.write(row, id % 2 ** 32, Math.floor(id / 2 ** 32));
    return row;
  }
}
