/** Rows that a table begins with: one by one into a table that nobody reads yet, slice by slice. */
import type { EmbeddingTable } from './embeddingTable.js';
import type { Budget, Job } from './job.js';

/** What giving a row costs, in elements. */
const ROW_COST = 32;

/** Fills a table. */
export class RowLoad implements Job {
  readonly #table: EmbeddingTable;
  readonly #words: Uint32Array;
  readonly #values: Float32Array;
  #done = 0;

  /** `words`: ids, each there once, in the order in which they would be evicted; `values`: their rows. */
  constructor(table: EmbeddingTable, words: Uint32Array, values: Float32Array) {
    this.#table = table;
    this.#words = words;
    this.#values = values;
  }

  run(budget: Budget): boolean {
    const table = this.#table;
    const { dim } = table.spec;
    const count = this.#words.length / 2;
    while (budget.elements > 0 && this.#done < count) {
      const i = this.#done++;
      const row = table.open(this.#words[2 * i] as number, this.#words[2 * i + 1] as number);
      table.order?.putBack(row, 1);
      table.values.row(row).set(this.#values.subarray(i * dim, (i + 1) * dim));
      table.slots.forEach((plane, k) => {
        plane.row(row).fill(table.rule.slotStart[k] as number);
      });
      table.counts.born++;
      budget.elements -= ROW_COST + dim * (1 + table.slots.length);
    }
    return this.#done === count;
  }
}
