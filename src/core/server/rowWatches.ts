/**
 * Readers that keep a copy of a table: what has changed since they asked last, a bounded number of rows at a time. The
 * server remembers nothing of them but the question that waits: how far a reader is, it says itself. So a slow reader
 * costs nothing and gets several changes of a row as one, and one that comes back after a lost connection goes on where
 * it was.
 */
import { PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MessageType } from '../protocol/messages.js';
import { bytesOf } from '../protocol/modelStream.js';
import type { WatchRows } from '../protocol/rowMessages.js';
import type { EmbeddingTable } from '../table/embeddingTable.js';
import type { CoreContext } from './context.js';
import type { Session } from './session.js';

interface Watch {
  readonly session: Session;
  readonly connection: number;
  readonly message: WatchRows;
  readonly table: EmbeddingTable;
  deadline: number;
}

interface Page {
  readonly words: Uint32Array;
  readonly mark: number;
  readonly next?: number | undefined;
}

/** The questions of one server's readers. */
export class RowWatches {
  readonly #context: CoreContext;
  readonly #waiting = new Set<Watch>();

  constructor(context: CoreContext) {
    this.#context = context;
  }

  /** Questions that wait now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Answers `message` now or keeps it; one that is refused is answered with its fault. */
  ask(session: Session, connection: number, message: WatchRows): void {
    const { state, options, now } = this.#context;
    const { maxRequests, pullTimeoutMs } = options.limits;
    try {
      const table = state.tables.tables[message.table];
      if (table === undefined) {
        throw new PsError('PS_UNKNOWN_TENSOR', `no table has position ${message.table}`);
      }
      if (session.waitingPulls >= maxRequests) {
        throw new PsError('PS_LIMIT', `${maxRequests} requests of this connection are not answered`);
      }
      const deadline = now + Math.min(message.withinMs ?? pullTimeoutMs, pullTimeoutMs);
      const watch = { session, connection, message, table, deadline };
      if (this.#mustWait(watch)) {
        this.#waiting.add(watch);
        session.waitingPulls++;
      } else this.#answer(watch);
    } catch (error) {
      this.#context.observe({ kind: 'rejected', id: session.id, error: error as PsError });
      const { request } = message;
      this.#context.emit({ kind: 'send', connection, message: { ...faultOf(error as PsError), request } });
    }
  }

  /** Answers those for whom there is enough now. */
  reconsider(): void {
    for (const watch of this.#waiting) if (!this.#mustWait(watch)) this.#end(watch);
  }

  /** Whoever has waited long enough gets what there is. */
  onTick(): void {
    const { now } = this.#context;
    for (const watch of this.#waiting) if (now >= watch.deadline) this.#end(watch);
  }

  /** When `onTick` has something to do. */
  nextTickAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#waiting) at = Math.min(at, deadline);
    return at;
  }

  /** Forgets request `request` of a connection; undefined: all of them. */
  cancel(connection: number, request?: number): void {
    for (const watch of this.#waiting) {
      if (watch.connection !== connection) continue;
      if (request === undefined || watch.message.request === request) this.#remove(watch);
    }
  }

  #remove(watch: Watch): void {
    this.#waiting.delete(watch);
    watch.session.waitingPulls--;
  }

  #end(watch: Watch): void {
    this.#remove(watch);
    this.#answer(watch);
  }

  #mustWait({ message, table }: Watch): boolean {
    const { since, wait, from, versions = 1 } = message;
    if (!wait || from !== undefined || !this.#knows(message, table)) return false;
    return this.#context.state.version < (since?.version ?? 0) + versions;
  }

  /** Whether what the reader has is of this life of the server, and all changes since are known. */
  #knows({ since, mark }: WatchRows, { changes }: EmbeddingTable): boolean {
    const isOfThisLife = since?.incarnation === this.#context.options.incarnation;
    return isOfThisLife && mark !== undefined && changes?.reaches(mark) === true;
  }

  #answer({ connection, message, table }: Watch): void {
    const { state, options } = this.#context;
    const changes = table.watch(options.limits.watchedIds);
    const { dim } = table.spec;
    const maxRows = Math.max(1, Math.floor(options.limits.chunkBytes / (8 + 4 * dim)));
    const isKnown = this.#knows(message, table);
    // A table is read from its lowest id on, while updates go on; what they change comes behind it.
    const from = isKnown ? message.from : 0;
    const mark = isKnown ? (message.mark as number) : changes.end;
    const page: Page =
      from === undefined ? changes.since(mark, maxRows) : { ...table.page(from, maxRows), mark };
    const { next } = page;
    const [present, gone] = table.split(page.words);
    const rows = present.length / 2;
    // Ids, values, then the ids that have no row, in one piece of memory.
    const payload = new Uint32Array(page.words.length + rows * dim);
    payload.set(present);
    table.read(present, 0, rows, new Float32Array(payload.buffer, 4 * present.length, rows * dim));
    payload.set(gone, payload.length - gone.length);
    this.#context.emit({
      kind: 'send',
      connection,
      message: {
        t: MessageType.rowChanges,
        request: message.request,
        version: state.version,
        mark: page.mark,
        rows,
        gone: gone.length / 2,
        whole: !isKnown,
        more: next !== undefined || page.mark < changes.end,
        next,
      },
      payload: bytesOf(payload),
    });
  }
}
