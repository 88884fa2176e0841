/**
 * The rows of sparse tables say what the tensors of the same version say (`checkRows.ts`): after every turn of the
 * server, after every start, and in what workers pull. So a row that counts twice, or not, or in another version, that
 * is evicted while it is in use, or born otherwise, is found.
 */

import type { EmbeddingTable } from '../../core/table/embeddingTable.js';
import { InitialRows } from '../../core/tensor/initialRows.js';
import type { PullAnswer } from '../../core/worker/events.js';
import type { Check, CheckContext } from './check.js';
import {
  BIRTHS,
  CELLS,
  type Cell,
  CHECK_TABLES,
  CHECK_TABLES_SEED,
  idsOfCells,
  PINNED_WORDS,
  RECENT,
} from './checkRows.js';

/** Holds rows against tensors. */
export class RowWatch implements Check {
  readonly #context: CheckContext;
  readonly #first = new InitialRows('uniform', CHECK_TABLES_SEED, 'births');
  /** All cells; none in a run without rows. */
  readonly #all: ReturnType<typeof idsOfCells>;
  #version = -1;

  constructor(context: CheckContext) {
    this.#context = context;
    const { workers, cells, hasRows } = context.model.sizes;
    const all = Array.from({ length: hasRows === true ? workers * cells : 0 }, (_, i) => {
      return { worker: Math.floor(i / cells), cell: i % cells };
    });
    this.#all = idsOfCells(all);
  }

  serverStarted(): void {
    this.#version = -1;
    this.#compare();
  }

  serverStepped(): void {
    if (this.#context.cluster.server.core.state.version !== this.#version) this.#compare();
  }

  /** A worker has pulled the rows of `cells`; `snapshot`: the tensors of that version, if they are known. */
  pulled(id: string, answer: PullAnswer, cells: readonly Cell[], snapshot: Float32Array | undefined): void {
    const [rows] = answer.arrays ?? [];
    if (rows === undefined || snapshot === undefined) return;
    const what = `of the rows that ${id} pulled`;
    this.#compareCells(rows, cells, snapshot, what, 'one consistent cut');
  }

  #compare(): void {
    const { cluster, model } = this.#context;
    const { state } = cluster.server.core;
    const { versions } = state.table;
    // Half an update of the tensors is no version.
    if (model.sizes.hasRows !== true || versions.isWritingInPlace) return;
    this.#version = state.version;
    const [cells, recent, births] = [CELLS, RECENT, BIRTHS].map(
      (at) => state.tables.tables[at] as EmbeddingTable,
    ) as [EmbeddingTable, EmbeddingTable, EmbeddingTable];
    const { words, cells: ordered } = this.#all;
    const rows = new Float32Array(2 * ordered.length);
    cells.read(words, 0, ordered.length, rows);
    this.#compareCells(rows, ordered, versions.current, 'of the rows', 'rows are what tensors are');
    const pinned = new Float32Array(1);
    recent.read(PINNED_WORDS, 0, 1, pinned);
    if (pinned[0] !== versions.current[model.sharedAt]) {
      const text = `the row that is in every push is ${pinned[0]} in version ${state.version}, the shared cell ${versions.current[model.sharedAt]}`;
      this.#context.violations.add('rows in use are kept', text);
    }
    for (const table of [recent, births]) {
      const { name, maxRows } = table.spec;
      if (table.rows <= maxRows) continue;
      this.#context.violations.add('memory', `table ${name} has ${table.rows} rows, it may have ${maxRows}`);
    }
    this.#checkBirths(births);
  }

  #checkBirths(births: EmbeddingTable): void {
    const dim = CHECK_TABLES.births?.dim as number;
    const expected = new Float32Array(dim);
    for (const [row, low, high] of births.index.entries()) {
      this.#first.write(expected, low, high);
      const found = births.values.row(row);
      if (expected.every((value, k) => found[k] === value)) continue;
      const text = `row ${low} of births is ${found.join()}, it was born with ${expected.join()}`;
      this.#context.violations.add('rows are born alike', text);
      return;
    }
  }

  #compareCells(
    rows: Float32Array,
    cells: readonly Cell[],
    tensors: Float32Array,
    what: string,
    rule: string,
  ): void {
    const { model, violations } = this.#context;
    for (const [i, { worker, cell }] of cells.entries()) {
      const expected = tensors[model.at(worker, cell)];
      if (rows[2 * i] === expected && rows[2 * i + 1] === expected) continue;
      const text = `${what}, cell ${cell} of worker ${worker} is ${rows[2 * i]}, ${rows[2 * i + 1]}, its tensor has ${expected}`;
      violations.add(rule, text);
      return;
    }
  }
}
