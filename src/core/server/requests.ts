/**
 * Enter, Leave, Tick and Pull: what a request that has come to the head of its inbox leads to. One that
 * is refused is answered with its fault and changes nothing, not even the clock table.
 */
import { asPsError, PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MAX_CLOCK } from '../protocol/limits.js';
import { type Enter, type Leave, MessageType, type Pull, type Tick } from '../protocol/messages.js';
import { type CoreContext, decide, isShard } from './context.js';
import type { IncomingIds } from './incomingIds.js';
import type { PullDesk } from './pulls.js';
import type { Session } from './session.js';

/** Handles requests. */
export class RequestDesk {
  readonly #context: CoreContext;
  readonly #pulls: PullDesk;

  constructor(context: CoreContext, pulls: PullDesk) {
    this.#context = context;
    this.#pulls = pulls;
  }

  /** Carries out `message` of `session`, which its connection, if it still has one, is told of. */
  handle(session: Session, message: Enter | Leave | Tick | Pull): void {
    const { connection } = session;
    if (connection === undefined) return;
    try {
      if (session.isReader && !(message.t === MessageType.pull && !message.training)) {
        throw new PsError('PS_FORBIDDEN', 'a reader may only pull, and not for training');
      }
      if (message.t === MessageType.pull) this.#pull(session, connection, message);
      else this.#changeClock(session, connection, message);
    } catch (error) {
      this.#refuse(session, connection, message.request, asPsError(error));
    }
  }

  /** Answers a pull of rows, whose ids have all come. */
  handleRows(session: Session, rows: IncomingIds): void {
    const { connection } = session;
    const { message } = rows;
    if (connection === undefined) {
      rows.release();
      return;
    }
    try {
      if (session.isReader && message.training) {
        throw new PsError('PS_FORBIDDEN', 'a reader may not pull for training');
      }
      // All of them at first: what is refused changes nothing.
      rows.words();
      this.#pulls.checkRoom(session, connection);
      if (message.training) this.#train(session);
      this.#pulls.askRows(session, connection, rows);
    } catch (error) {
      rows.release();
      this.#refuse(session, connection, message.request, asPsError(error));
    }
  }

  #refuse(session: Session, connection: number, request: number, error: PsError): void {
    this.#context.observe({ kind: 'rejected', id: session.id, error });
    this.#context.emit({ kind: 'send', connection, message: { ...faultOf(error), request } });
  }

  #pull(session: Session, connection: number, message: Pull): void {
    this.#context.state.table.catalogue.select(message.tensors);
    this.#pulls.checkRoom(session, connection);
    if (message.training) this.#train(session);
    this.#pulls.ask(session, connection, message);
  }

  #train(session: Session): void {
    this.#enter(session);
    session.lastProgress = this.#context.now;
  }

  #changeClock(session: Session, connection: number, message: Enter | Leave | Tick): void {
    const { state, commits, now } = this.#context;
    if (message.t === MessageType.tick && message.clock > state.clockOf(session) + 1) {
      const at = state.clockOf(session);
      throw new PsError('PS_CLOCK', `tick to ${message.clock}, the worker is at ${at}`);
    }
    // What is believed below lifts minClock, perhaps for ever: all who come later must have clocks left.
    if (message.clock !== undefined && message.clock > MAX_CLOCK) {
      throw new PsError('PS_CLOCK', `clock ${message.clock} is above ${MAX_CLOCK}`);
    }
    session.lastProgress = now;
    if (message.t === MessageType.leave) {
      if (state.clocks.has(session.id)) decide(this.#context, { kind: 'leave', worker: session.id });
    } else {
      this.#enter(session);
    }
    if (message.t !== MessageType.tick) {
      this.#recall(session, message.clock);
    } else if (message.clock > session.clock) {
      decide(this.#context, { kind: 'tick', worker: session.id, clock: message.clock });
    }
    const { request } = message;
    session.awaitedRecord = commits.last;
    commits.whenCommitted(commits.last, () => {
      if (session.connection !== connection) return;
      const { clock } = session;
      const { minClock } = state.clocks;
      const result = { t: MessageType.clockResult, request, clock, minClock } as const;
      this.#context.emit({ kind: 'send', connection, message: result });
    });
  }

  /**
   * A recovered state may lack clocks that the worker was told: ticks, or that it was moved up. And at the other
   * shards of a group it may be further. It is believed, as its next push is of that clock.
   */
  #recall(session: Session, clock = 0): void {
    const mayBeHigher = session.isRecovered || isShard(this.#context);
    if (!mayBeHigher || clock <= session.clock) return;
    decide(this.#context, { kind: 'tick', worker: session.id, clock });
  }

  #enter(session: Session): void {
    if (!this.#context.state.clocks.has(session.id)) {
      decide(this.#context, { kind: 'enter', worker: session.id });
    }
  }
}
