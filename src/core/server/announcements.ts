/**
 * What a server tells all its workers: that training is over (Finish), that it is about to close (Drain), and that the
 * staleness bound is another one (Staleness). Those who connect later hear of the first behind their Welcome, are refused
 * after the second, and have the third in their Welcome.
 */
import { PsError } from '../base/errors.js';
import { stalenessOf } from '../consistency/consistency.js';
import { MessageType } from '../protocol/messages.js';
import type { Drain, Finish, Hello } from '../protocol/sessionMessages.js';
import type { Connection } from './connection.js';
import type { CoreContext } from './context.js';

/** Finish, Drain and Staleness. */
export class Announcements {
  /** What every connection hears before its end; refuses new ones while it is set. */
  farewell: PsError | undefined;
  readonly #context: CoreContext;
  readonly #connections: () => Iterable<Connection>;
  /** Why training is over; undefined while it is not. */
  #finished: string | undefined;
  /** The bound that all who hear of it know. */
  #staleness: number | undefined;

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
  admitted(connection: Connection, { takes }: Hello): void {
    const { commits, emit } = this.#context;
    const reason = this.#finished;
    commits.whenCommitted(commits.last, () => {
      connection.hearsStaleness = takes?.includes(MessageType.staleness) ?? false;
      if (reason === undefined) return;
      emit({ kind: 'send', connection: connection.id, message: { t: MessageType.finish, reason } });
    });
  }

  /**
   * Something was changed, perhaps the bound: then those who keep copies hear of it behind what was sent under the bound
   * before, and before anything that is decided under this one.
   */
  tellStaleness(): void {
    const { state, emit } = this.#context;
    const staleness = stalenessOf(state.model);
    if (staleness === this.#staleness) return;
    this.#staleness = staleness;
    for (const { id, hearsStaleness } of this.#connections()) {
      if (!hearsStaleness) continue;
      emit({ kind: 'send', connection: id, message: { t: MessageType.staleness, staleness } });
    }
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
