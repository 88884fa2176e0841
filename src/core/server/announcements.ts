/**
 * What a server tells all its workers: that training is over (Finish), and that it is about to close (Drain).
 * Those who connect later hear of the first behind their Welcome, and are refused after the second.
 */
import { PsError } from '../base/errors.js';
import { MessageType } from '../protocol/messages.js';
import type { Drain, Finish } from '../protocol/sessionMessages.js';
import type { Connection } from './connection.js';
import type { CoreContext } from './context.js';

/** Finish and Drain. */
export class Announcements {
  /** What every connection hears before its end; refuses new ones while it is set. */
  farewell: PsError | undefined;
  readonly #context: CoreContext;
  readonly #connections: () => Iterable<Connection>;
  /** Why training is over; undefined while it is not. */
  #finished: string | undefined;

  constructor(context: CoreContext, connections: () => Iterable<Connection>) {
    this.#context = context;
    this.#connections = connections;
  }

  /** Every `run` ends after its step. */
  finish(reason: string): void {
    this.#finished = reason;
    this.#tellGreeted({ t: MessageType.finish, reason });
  }

  /** Everyone is to come back after `retryAfterMs`. */
  drain(retryAfterMs: number): void {
    this.farewell = new PsError('PS_DRAINING', 'the server is draining', { details: { retryAfterMs } });
    this.#tellGreeted({ t: MessageType.drain, retryAfterMs });
  }

  /** `connection` has been admitted: it hears, behind its Welcome, which waits for the same record, what the others did. */
  admitted(connection: number): void {
    const { commits, emit } = this.#context;
    const reason = this.#finished;
    if (reason === undefined) return;
    commits.whenCommitted(commits.last, () => {
      emit({ kind: 'send', connection, message: { t: MessageType.finish, reason } });
    });
  }

  /** Sends `message` to all who have said hello, behind every Welcome that is still to be sent. */
  #tellGreeted(message: Finish | Drain): void {
    const { commits, emit } = this.#context;
    const greeted = [...this.#connections()].filter(({ session }) => session !== undefined);
    commits.whenCommitted(commits.last, () => {
      for (const { id } of greeted) emit({ kind: 'send', connection: id, message });
    });
  }
}
