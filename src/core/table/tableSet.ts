/**
 * The sparse tables of a model, and one update of rows of several of them. Readers see the tables as they were before
 * the update until `publish`, in however many turns it is carried out.
 */

import type { RowPart } from '../tensor/rowLayout.js';
import type { OptimizerGroup } from './denseTable.js';
import type { EmbeddingTable } from './embeddingTable.js';
import { type Budget, type Job, JobSequence } from './job.js';
import { RowLoad } from './rowLoad.js';
import { RowUpdate } from './rowUpdate.js';

/** How gradients of rows are applied. */
export interface RowTransform {
  /** Multiplies the gradients: the factor of clipping by norm. */
  readonly factor: number;
  /** Bound of each element after that; Infinity: none. */
  readonly clipValue: number;
  /** The learning rate of each optimizer group, the delay factor worked in. */
  readonly rates: readonly number[];
}

/** A model's tables, in the order of their description. */
export class TableSet {
  /** A model without tables. */
  static readonly none: TableSet = new TableSet([], []);

  readonly #tables: EmbeddingTable[];
  /** Tables with other rows, which take their place when they are published. */
  readonly #replacements = new Map<number, EmbeddingTable>();
  /** Numbers per row of each. */
  readonly dims: readonly number[];
  /** Optimizer group of each; 0 is the server's. */
  readonly groupOf: readonly number[];

  constructor(tables: readonly EmbeddingTable[], groupOf: readonly number[]) {
    this.#tables = [...tables];
    this.groupOf = groupOf;
    this.dims = tables.map(({ spec }) => spec.dim);
  }

  get tables(): readonly EmbeddingTable[] {
    return this.#tables;
  }

  /** The tables of `parts` get those rows instead of all that they have; when the job is done, `publish` them. */
  replace(parts: readonly RowPart[]): Job {
    const jobs = parts.map(({ table: position, words, values }) => {
      const fresh = (this.tables[position] as EmbeddingTable).fresh();
      this.#replacements.set(position, fresh);
      return new RowLoad(fresh, words, values);
    });
    return new JobSequence(jobs);
  }

  /** Begins an update; when its job is done, `publish` it. */
  update(parts: readonly RowPart[], { factor, clipValue, rates }: RowTransform): Job {
    const updates = parts.map(({ table: position, words, values }) => {
      const table = this.tables[position] as EmbeddingTable;
      const rate = rates[this.groupOf[position] as number] as number;
      return { table, gradient: { words, values, factor, clipValue, rate } };
    });
    return new RowUpdates(updates);
  }

  /** What was updated can be read. */
  publish(): void {
    for (const table of this.tables) table.end();
    for (const [position, table] of this.#replacements) {
      this.#tables[position] = table;
      table.takePlace();
    }
    if (this.#replacements.size > 0) this.#replacements.clear();
  }

  /** The optimizer of group `group` was replaced by another kind: slots of its tables start anew. */
  restartSlots(group: number, { rule }: OptimizerGroup): void {
    this.tables.forEach((table, i) => {
      if (this.groupOf[i] === group) table.restartSlots(rule);
    });
  }

  /** The optimizer of group `group` was changed; it has the same slots, which go on. */
  changeRule(group: number, { rule }: OptimizerGroup): void {
    this.tables.forEach((table, i) => {
      if (this.groupOf[i] === group) table.rule = rule;
    });
  }
}

interface Planned {
  readonly table: EmbeddingTable;
  readonly gradient: Parameters<EmbeddingTable['begin']>[0];
}

/** Updates of several tables, one after the other. */
class RowUpdates implements Job {
  readonly #planned: readonly Planned[];
  #jobs: RowUpdate[] | undefined;
  #at = 0;

  constructor(planned: readonly Planned[]) {
    this.#planned = planned;
  }

  run(budget: Budget): boolean {
    this.#jobs ??= this.#begin(budget);
    for (let job = this.#jobs[this.#at]; job !== undefined; job = this.#jobs[this.#at]) {
      if (!job.run(budget)) return false;
      this.#at++;
    }
    return true;
  }

  /** What all of them overwrite is kept for readers, unless all of them are done within this turn. */
  #begin(budget: Budget): RowUpdate[] {
    const cost = this.#planned.reduce(
      (sum, { table, gradient }) => sum + RowUpdate.costOf(table, gradient),
      0,
    );
    const keepsBefore = cost >= budget.elements;
    return this.#planned.map(({ table, gradient }) => table.begin(gradient, keepsBefore));
  }
}
