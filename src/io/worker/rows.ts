/** `pullRows` as one call: ids in any order → a request → their rows in that order. */
import { PsError } from '../../core/base/errors.js';
import type { Catalogue, TableShape } from '../../core/tensor/catalogue.js';
import { type RowIdList, sortIds } from '../../core/tensor/rowIds.js';
import { spreadRows } from '../../core/tensor/rowMoves.js';
import type { PullAnswer, PulledFrom } from '../../core/worker/events.js';
import type { PullManner } from './calls.js';
import type { Call, WorkerHost } from './workerHost.js';

/** Rows of a sparse table, of one version. */
export interface Rows {
  /** As they were asked for. */
  readonly ids: RowIdList;
  /** Numbers per row. */
  readonly dim: number;
  /** The rows one after the other: `dim` numbers for each id. A fresh array. */
  readonly data: Float32Array;
  /** Updates that the server had applied. */
  readonly version: number;
}

/** The rows that a step named, by table. */
export type RowsOf<P> = {
  readonly [Name in keyof P & string as P[Name] extends { readonly dim: number } ? Name : never]: Rows;
};

/** Rows, and what a push of a gradient that is computed from them must say. */
export interface PulledRows {
  readonly rows: Rows;
  readonly pulled: PulledFrom;
  readonly bytes: number;
}

/** The position and the row length of a table. Throws `PS_UNKNOWN_TENSOR`. */
export function findTable(
  catalogue: Catalogue,
  name: string,
): { readonly table: number; readonly dim: number } {
  const table = catalogue.tables.findIndex((each) => each.name === name);
  const found: TableShape | undefined = catalogue.tables[table];
  if (found !== undefined) return { table, dim: found.dim };
  const known = catalogue.tables.map((each) => each.name).join(', ') || 'none';
  const text = `no sparse table is named "${name}"; the model has ${known}`;
  throw new PsError('PS_UNKNOWN_TENSOR', text, { details: { tensor: name } });
}

/** Asks for rows. Throws `PS_UNKNOWN_TENSOR` for no such table, `PS_INVALID_ARGUMENT` for ids that are none. */
export function askRows(
  host: WorkerHost,
  catalogue: Catalogue,
  name: string,
  ids: RowIdList,
  manner: PullManner,
  signal: AbortSignal | undefined,
): Call<PulledRows> {
  const { table, dim } = findTable(catalogue, name);
  const sorted = sortIds('ids', ids);
  const rows = { table, words: sorted.words };
  const call = host.call<PullAnswer>(
    {
      kind: 'pull',
      tensors: undefined,
      rows,
      into: undefined,
      ifNewerThan: undefined,
      consistent: true,
      ...manner,
    },
    signal,
  );
  const answer = call.answer.then(({ arrays, version, pulled, bytes }): PulledRows => {
    const [held] = arrays as readonly [Float32Array];
    if (sorted.grouped === undefined) return { rows: { ids, dim, data: held, version }, pulled, bytes };
    const data = new Float32Array(sorted.given * dim);
    spreadRows(sorted, held, dim, data);
    return { rows: { ids, dim, data, version }, pulled, bytes };
  });
  return { answer, cancel: call.cancel };
}

/** Pulls rows. Throws as `askRows`. */
export async function callPullRows(...given: Parameters<typeof askRows>): Promise<Rows> {
  return (await askRows(...given).answer).rows;
}
