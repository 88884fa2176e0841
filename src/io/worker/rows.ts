/** `pullRows` as one call: ids in any order → a request → their rows in that order. */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Catalogue, TableShape } from '../../core/tensor/catalogue.js';
import { type RowIdList, sortIds } from '../../core/tensor/rowIds.js';
import { spreadRows } from '../../core/tensor/rowMoves.js';
import type { PullAnswer, PulledFrom } from '../../core/worker/events.js';
import { isFloat32Array } from '../../core/worker/gradients.js';
import type { PullManner } from './calls.js';
import type { Call, WorkerHost } from './workerHost.js';

/** Rows of a sparse table, of one version. */
export interface Rows {
  /** As they were asked for. */
  readonly ids: RowIdList;
  /** Numbers per row. */
  readonly dim: number;
  /** The rows one after the other: `dim` numbers for each id. A fresh array, or that of `into`. */
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

/** How to pull rows. */
export interface PullRowsOptions {
  /**
   * Where to put the rows: `dim` numbers for each id. By default a fresh array, which for many rows costs as much as what
   * is done with it. What stands there is not to be relied on after a pull that failed.
   */
  readonly into?: Float32Array | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks for rows. Throws `PS_UNKNOWN_TENSOR` for no such table, `PS_INVALID_ARGUMENT` for ids that are none and for
 * another `into` than a Float32Array, `PS_WRONG_LENGTH` for one of another length.
 */
export function askRows(
  host: WorkerHost,
  catalogue: Catalogue,
  name: string,
  ids: RowIdList,
  manner: PullManner,
  { into, signal }: PullRowsOptions,
): Call<PulledRows> {
  const { table, dim } = findTable(catalogue, name);
  const sorted = sortIds('ids', ids);
  checkInto(into, sorted.given * dim, name);
  const { rowBuffers } = host;
  // Rows come by rising id; those that were not asked for so are laid out from memory that is used again.
  const lent = sorted.grouped === undefined ? undefined : rowBuffers.take(sorted.count * dim);
  const destination = lent ?? into;
  const call = host.call<PullAnswer>(
    {
      kind: 'pull',
      tensors: undefined,
      rows: { table, words: sorted.words },
      into: destination === undefined ? undefined : [destination],
      ifNewerThan: undefined,
      consistent: true,
      ...manner,
    },
    signal,
  );
  const laidOut = ({ arrays, version, pulled, bytes }: PullAnswer): PulledRows => {
    const [held] = arrays as readonly [Float32Array];
    let data = held;
    if (lent !== undefined || (into !== undefined && held !== into)) {
      data = into ?? new Float32Array(sorted.given * dim);
      spreadRows(sorted, held, dim, data);
    }
    return { rows: { ids, dim, data, version }, pulled, bytes };
  };
  const answer = call.answer.then(laidOut);
  const giveBack = (): void => {
    if (lent !== undefined) rowBuffers.give(lent);
  };
  void answer.then(giveBack, giveBack);
  return { answer, cancel: call.cancel };
}

function checkInto(into: unknown, length: number, name: string): void {
  if (into === undefined) return;
  if (!isFloat32Array(into)) throw invalidArgument('into', into, 'a Float32Array');
  if (into.length === length) return;
  const text = `into has ${into.length} elements; the rows of "${name}" that are pulled have ${length}`;
  throw new PsError('PS_WRONG_LENGTH', text, { details: { tensor: name } });
}

/** Pulls rows. Throws as `askRows`. */
export async function callPullRows(...given: Parameters<typeof askRows>): Promise<Rows> {
  return (await askRows(...given).answer).rows;
}
