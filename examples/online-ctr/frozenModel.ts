/** A model as it was at one moment: what the others are compared with. */
import type { LocalCopy } from 'pslib';
import { predict } from './model.js';

/** A model that learns no more. */
export class FrozenModel {
  readonly #bias: number;
  readonly #weights: ReadonlyMap<number, Float32Array>;
  readonly #factors: ReadonlyMap<number, Float32Array>;

  constructor(copy: LocalCopy) {
    this.#bias = copy.tensors.bias?.data[0] ?? 0;
    this.#weights = rowsOf(copy, 'weights');
    this.#factors = rowsOf(copy, 'factors');
  }

  predict(ids: readonly number[]): number {
    return predict(this.#bias, this.#weights, this.#factors, ids);
  }
}

function rowsOf(copy: LocalCopy, table: string): Map<number, Float32Array> {
  const rows = copy.rows(table);
  return new Map(Array.from(rows.ids(), (id) => [id, (rows.get(id) as Float32Array).slice()]));
}
