/**
 * Checks what a caller pushes against the model, before anything is sent: names, types, lengths. Whether
 * the numbers are finite is the server's to find, which reads them anyway.
 */
import { describe, PsError } from '../base/errors.js';
import { MAX_ID_LENGTH, MAX_METRICS } from '../protocol/limits.js';
import { bytesOf, floatsOf } from '../protocol/modelStream.js';
import type { Catalogue, CatalogueEntry, TableShape } from '../tensor/catalogue.js';
import { type RowIdList, sortIds } from '../tensor/rowIds.js';
import type { RowCount, RowPart } from '../tensor/rowLayout.js';
import { sumByRow } from '../tensor/rowMoves.js';

/** Gradients in catalogue order, as `PushCommand` wants them. */
export interface CheckedGradients {
  /** Which tensors; undefined: all. */
  readonly tensors: readonly number[] | undefined;
  /** Of the tensors; then, for each of `rows`, its ids as words and its values. */
  readonly values: readonly Float32Array[];
  /** Rows of sparse tables; undefined: none. */
  readonly rows?: readonly RowCount[];
  readonly bytes: number;
}

/** Gradients of rows of a sparse table. */
export interface RowGradients {
  /** Integers from 0 to 2^53 − 1, in any order; gradients of an id that is there several times are summed, in order. */
  readonly ids: RowIdList;
  /** `dim` numbers for each id. */
  readonly values: Float32Array;
}

/**
 * The gradients of `given`: by name, a Float32Array for a tensor, ids and values for a sparse table. Throws
 * `PS_GRADIENT_INVALID` for anything else, `PS_UNKNOWN_TENSOR`, `PS_NOT_TRAINABLE`, `PS_WRONG_LENGTH`. O(names + rows).
 * `allocate` gives memory for the sums of rows, whatever is in it.
 */
export function checkGradients(
  catalogue: Catalogue,
  given: unknown,
  allocate?: (length: number) => Float32Array,
): CheckedGradients {
  if (!isRecord(given)) throw invalid('gradients must be an object of Float32Arrays by name', given);
  const sparse: RowPart[] = [];
  const found: { entry: CatalogueEntry; value: Float32Array }[] = [];
  for (const name of Object.keys(given)) {
    const value = given[name];
    if (value === undefined) continue;
    const table = catalogue.tables.findIndex((each) => each.name === name);
    if (table >= 0) {
      sparse.push(checkRows(catalogue.tables[table] as TableShape, table, value, allocate));
      continue;
    }
    const entry = catalogue.get(name);
    found.push({ entry, value: checkGradient(entry, value) });
  }
  found.sort((a, b) => a.entry.index - b.entry.index);
  const isAll = found.length === catalogue.entries.length;
  const parts = sparse.filter(({ words }) => words.length > 0).sort((a, b) => a.table - b.table);
  const values = [
    ...found.map(({ value }) => value),
    ...parts.flatMap((part) => [floatsOf(bytesOf(part.words)), part.values]),
  ];
  const rows = parts.map(({ table, words }) => ({ table, count: words.length / 2 }));
  return {
    tensors: isAll ? undefined : found.map(({ entry }) => entry.index),
    values,
    ...(rows.length === 0 ? {} : { rows }),
    bytes: values.reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
}

/** Rows of `table`, sorted and united. */
function checkRows(
  { name, dim }: TableShape,
  table: number,
  given: unknown,
  allocate: ((length: number) => Float32Array) | undefined,
): RowPart {
  const details = { tensor: name };
  if (!isRecord(given) || !isFloat32Array(given.values)) {
    const text = `the gradient of table "${name}" must be { ids, values: Float32Array }, got ${describe(given)}`;
    throw new PsError('PS_GRADIENT_INVALID', text, { details });
  }
  const ids = sortIds(`${name}.ids`, given.ids);
  const { values } = given;
  if (values.length !== ids.given * dim) {
    const text = `the gradient of table "${name}" has ${values.length} values for ${ids.given} ids of ${dim} each`;
    throw new PsError('PS_WRONG_LENGTH', text, { details });
  }
  return { table, words: ids.words, values: sumByRow(ids, values, dim, allocate) };
}

function checkGradient(entry: CatalogueEntry, value: unknown): Float32Array {
  const details = { tensor: entry.name };
  if (!isFloat32Array(value)) {
    const text = `the gradient of "${entry.name}" must be a Float32Array, got ${describe(value)}`;
    throw new PsError('PS_GRADIENT_INVALID', text, { details });
  }
  if (!entry.trainable) {
    throw new PsError('PS_NOT_TRAINABLE', `"${entry.name}" is not trainable: it takes no gradient`, {
      details,
    });
  }
  if (value.length !== entry.length) {
    const shape = `[${entry.shape.join(', ')}]`;
    const text = `the gradient of "${entry.name}" has ${value.length} elements; its shape ${shape} has ${entry.length}`;
    throw new PsError('PS_WRONG_LENGTH', text, { details });
  }
  return value;
}

/** Whether `value` is a Float32Array, of this realm or another. */
export function isFloat32Array(value: unknown): value is Float32Array {
  if (value instanceof Float32Array) return true;
  return ArrayBuffer.isView(value) && Object.prototype.toString.call(value) === '[object Float32Array]';
}

/** Metrics of a push. Throws `PS_GRADIENT_INVALID` unless they are at most 32 numbers by name. */
export function checkMetrics(given: unknown): Readonly<Record<string, number>> | undefined {
  if (given === undefined) return undefined;
  if (!isRecord(given)) throw invalid('metrics must be an object of numbers by name', given);
  const entries = Object.entries(given);
  if (entries.length > MAX_METRICS) {
    throw new PsError(
      'PS_GRADIENT_INVALID',
      `metrics may have ${MAX_METRICS} entries, got ${entries.length}`,
    );
  }
  for (const [name, value] of entries) {
    if (typeof value !== 'number') throw invalid(`the metric ${describe(name)} must be a number`, value);
    if (name.length > MAX_ID_LENGTH) {
      throw new PsError(
        'PS_GRADIENT_INVALID',
        `the name of a metric has at most ${MAX_ID_LENGTH} characters`,
      );
    }
  }
  return given as Record<string, number>;
}

/** The number of examples of a push. Throws `PS_GRADIENT_INVALID` unless it is an integer from 0. */
export function checkExamples(given: unknown): number | undefined {
  if (given === undefined) return undefined;
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= 0) return given;
  throw invalid('examples must be an integer from 0', given);
}

/** What a gradient function returns, checked but for the gradients themselves. */
export function checkGradientResult(given: unknown): {
  gradients: unknown;
  metrics: unknown;
  examples: unknown;
} {
  if (!isRecord(given) || !('gradients' in given)) {
    throw invalid('a gradient function must return { gradients, metrics?, examples? }', given);
  }
  const { gradients, metrics, examples } = given;
  return { gradients, metrics, examples };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

function invalid(expected: string, given: unknown): PsError {
  return new PsError('PS_GRADIENT_INVALID', `${expected}, got ${describe(given)}`);
}
