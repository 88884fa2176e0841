/**
 * The ids of pulls of rows, chunk by chunk. Nothing is answered here: a pull stands in its session's inbox while its ids
 * arrive, and holds back what is behind it.
 */
import { PsError } from '../base/errors.js';
import type { Shard } from '../partition/keyRange.js';
import { MessageType } from '../protocol/messages.js';
import type { PullRows, RowIds, RowWorkerMessage } from '../protocol/rowMessages.js';
import type { TableSpec } from '../table/embeddingTable.js';
import type { Connection } from './connection.js';
import type { CoreContext } from './context.js';
import { IncomingIds, RowBudget } from './incomingIds.js';
import type { Session } from './session.js';

/** Gathers ids on all connections. */
export class RowReception {
  readonly #tables: readonly TableSpec[];
  readonly #shard: Shard;
  readonly #budget: RowBudget;

  constructor({ state, options }: CoreContext) {
    this.#shard = options.shard;
    this.#tables = state.tables.tables.map(({ spec }) => spec);
    this.#budget = new RowBudget(options.limits.stagingBytes);
  }

  /** A pull with its first ids, or the next ids. Throws `PS_PROTOCOL` for what is out of place: that ends the connection. */
  take(connection: Connection, session: Session, message: RowWorkerMessage, payload: Uint8Array): void {
    if (message.t === MessageType.pullRows) this.#begin(connection, session, message, payload);
    else this.#add(connection, message, payload);
  }

  #begin(connection: Connection, session: Session, message: PullRows, payload: Uint8Array): void {
    const isBroken = connection.asking !== undefined || payload.length > message.bytes;
    if (isBroken) throw new PsError('PS_PROTOCOL', `the pull of rows ${message.request} begins wrongly`);
    const rows = new IncomingIds(message, this.#tables, this.#shard, this.#budget);
    rows.add(payload);
    session.inbox.push({ kind: 'rows', rows });
    if (!rows.isComplete) connection.asking = rows;
  }

  #add(connection: Connection, message: RowIds, payload: Uint8Array): void {
    const rows = connection.asking;
    const isNext =
      rows !== undefined &&
      message.request === rows.message.request &&
      message.offset === rows.received &&
      payload.length > 0 &&
      rows.received + payload.length <= rows.message.bytes;
    if (!isNext) {
      const what = `ids at ${message.offset} of request ${message.request} are out of place`;
      throw new PsError('PS_PROTOCOL', what);
    }
    rows.add(payload);
    if (rows.isComplete) connection.asking = undefined;
  }
}
