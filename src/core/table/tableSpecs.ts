/**
 * The sparse tables as a model's owner describes them (`tables` of a server) → checked descriptions, and the tables
 * themselves. Everything is checked here, with the name of the table that is wrong.
 */
import { invalidArgument } from '../base/errors.js';
import { integer } from '../base/optionObject.js';
import type { Kernels } from '../kernels/kernels.js';
import type { BuiltInOptimizer, Optimizer } from '../optim/optimizer.js';
import { checkOptimizer, isUserOptimizer } from '../optim/updateRule.js';
import { MAX_DIM, MAX_ID_LENGTH, MAX_TABLES } from '../protocol/limits.js';
import { checkRowInitialiser, type RowInitialiser } from '../tensor/initialRows.js';
import type { DenseTable, OptimizerGroup } from './denseTable.js';
import { EmbeddingTable, type TableSpec } from './embeddingTable.js';
import { EVICTION_ORDERS, type EvictionOrder } from './rowOrder.js';
import { TableSet } from './tableSet.js';

/** One sparse table as its owner describes it: rows of `dim` float32 numbers, by id. */
export interface SparseTableSpec {
  /** Numbers per row: 1 to 4,096. */
  readonly dim: number;
  /** First values of a row; they depend on the seed, the table's name and the row's id only. Default `'zeros'`. */
  readonly init?: RowInitialiser;
  /** A built-in optimizer of its own. Default the server's, which then must be a built-in one. */
  readonly optimizer?: BuiltInOptimizer;
  /** Rows that take memory at most; others are evicted for new ones. Default Infinity: no bound. */
  readonly maxRows?: number;
  /**
   * Which row is evicted first: the one that was not updated for the longest time, or the one that was updated least
   * often, and of those the one not updated for the longest time. Default `'lastUse'`.
   */
  readonly evict?: EvictionOrder;
  /**
   * In how many pushes an id must come before it gets a row: 1 to 255; the gradients before are dropped. Default 1.
   */
  readonly admitAfter?: number;
}

/** Sparse tables by name. */
export type SparseTableSpecs = Readonly<Record<string, SparseTableSpec>>;

/** A description that was checked. */
export interface CheckedTable {
  readonly spec: TableSpec;
  /** Undefined: the server's. */
  readonly optimizer: Optimizer | undefined;
}

const KEYS = ['dim', 'init', 'optimizer', 'maxRows', 'evict', 'admitAfter'];
const RESERVED_NAMES = new Set(['__proto__', '__metadata__']);

/** Checks `tables` of a model with tensors named `tensors`. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkTables(
  tables: unknown,
  tensors: ReadonlySet<string>,
  optimizer: Optimizer,
): CheckedTable[] {
  if (tables === undefined) return [];
  if (tables === null || typeof tables !== 'object' || Array.isArray(tables)) {
    throw invalidArgument('tables', tables, 'an object of { dim, … } by name');
  }
  const given = Object.entries(tables);
  if (given.length > MAX_TABLES)
    throw invalidArgument('tables', given.length, `at most ${MAX_TABLES} tables`);
  return given.map(([name, spec]) => {
    if (name.length === 0 || name.length > MAX_ID_LENGTH || RESERVED_NAMES.has(name)) {
      throw invalidArgument('tables', name, `names of 1 to ${MAX_ID_LENGTH} characters`);
    }
    if (tensors.has(name)) throw invalidArgument(`tables.${name}`, name, 'a name that no parameter has');
    const checked = checkTable(`tables.${name}`, name, spec);
    const used = checked.optimizer ?? optimizer;
    if (!isUserOptimizer(used)) return checked;
    throw invalidArgument(`tables.${name}.optimizer`, used.name, 'a built-in optimizer');
  });
}

function checkTable(option: string, name: string, spec: unknown): CheckedTable {
  if (spec === null || typeof spec !== 'object') throw invalidArgument(option, spec, 'an object { dim, … }');
  for (const key of Object.keys(spec)) {
    if (!KEYS.includes(key)) throw invalidArgument(`${option}.${key}`, key, `one of ${KEYS.join(', ')}`);
  }
  const {
    dim,
    init = 'zeros',
    optimizer,
    maxRows = Number.POSITIVE_INFINITY,
    evict = 'lastUse',
    admitAfter = 1,
  } = spec as SparseTableSpec;
  if (integer(`${option}.dim`, dim, 1) > MAX_DIM) {
    throw invalidArgument(`${option}.dim`, dim, `an integer from 1 to ${MAX_DIM}`);
  }
  if (!EVICTION_ORDERS.includes(evict)) {
    throw invalidArgument(`${option}.evict`, evict, `one of ${EVICTION_ORDERS.join(', ')}`);
  }
  if (integer(`${option}.admitAfter`, admitAfter, 1) > 255) {
    throw invalidArgument(`${option}.admitAfter`, admitAfter, 'an integer from 1 to 255');
  }
  const isBounded = maxRows !== Number.POSITIVE_INFINITY;
  return {
    spec: {
      ...{ name, dim, evict, admitAfter },
      init: checkRowInitialiser(`${option}.init`, init),
      maxRows: isBounded ? integer(`${option}.maxRows`, maxRows, 1) : maxRows,
    },
    optimizer: optimizer === undefined ? undefined : checkOptimizer(`${option}.optimizer`, optimizer),
  };
}

/** Returns `given` if it can be the optimizer of a server with these tables. Throws `PS_INVALID_ARGUMENT` otherwise. */
export function checkSharedOptimizer(
  given: unknown,
  { state: { tables } }: { readonly state: { readonly tables: TableSet } },
): Optimizer {
  const optimizer = checkOptimizer('optimizer', given);
  if (!isUserOptimizer(optimizer) || !tables.groupOf.includes(0)) return optimizer;
  throw invalidArgument('optimizer', optimizer.name, 'a built-in one, since tables share it');
}

/** The tables of a model whose dense part is `dense`, which gets groups for their optimizers. */
export function makeTables(
  dense: DenseTable,
  tables: readonly CheckedTable[],
  parts: {
    readonly kernels: Kernels;
    readonly seed: number;
    readonly allocate: (length: number) => Float32Array;
  },
): TableSet {
  if (tables.length === 0) return TableSet.none;
  const groupOf = tables.map(({ optimizer }) => (optimizer === undefined ? 0 : dense.addGroup(optimizer)));
  const made = tables.map(({ spec }, i) => {
    const { rule } = dense.groups[groupOf[i] as number] as OptimizerGroup;
    return new EmbeddingTable(spec, { ...parts, rule });
  });
  return new TableSet(made, groupOf);
}
