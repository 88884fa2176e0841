/** Everything about tasks that the dispatcher routes to: data shards and generic ones, as one part. */
import { asPsError, PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MessageType } from '../protocol/messages.js';
import type { DataRequest, TaskRequest, TaskResultChunk, TaskResults } from '../protocol/taskMessages.js';
import type { CoreContext } from './context.js';
import { DataDesk } from './dataDesk.js';
import type { Session } from './session.js';
import { TaskDesk } from './taskDesk.js';

/** The two desks. */
export class Tasks {
  readonly data: DataDesk;
  readonly generic: TaskDesk;
  readonly #context: CoreContext;

  constructor(context: CoreContext) {
    this.#context = context;
    this.data = new DataDesk(context);
    this.generic = new TaskDesk(context);
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.data.waiting + this.generic.waiting;
  }

  /** Handles a message whose order among the session's others does not matter. Throws `PS_PROTOCOL`. */
  onMessage(
    session: Session,
    connection: number,
    message: TaskRequest | TaskResults | TaskResultChunk,
    payload: Uint8Array,
  ): void {
    if (session.isReader) throw new PsError('PS_FORBIDDEN', 'a reader may take no tasks');
    if (message.t === MessageType.taskRequest) this.generic.ask(session, connection, message);
    else this.generic.receive(session, connection, message, payload);
  }

  /** Handles a request for a data shard, which has come to the head of its inbox. */
  onDataRequest(session: Session, message: DataRequest): void {
    const { connection } = session;
    if (connection === undefined) return;
    try {
      if (session.isReader) throw new PsError('PS_FORBIDDEN', 'a reader may take no data shards');
      this.data.ask(session, connection, message);
    } catch (cause) {
      const { request } = message;
      const error = asPsError(cause);
      this.#context.observe({ kind: 'rejected', id: session.id, error });
      this.#context.emit({ kind: 'send', connection, message: { ...faultOf(error), request } });
    }
  }

  reconsider(): void {
    this.data.reconsider();
    this.generic.reconsider();
  }

  /** Forgets what a connection had under way; `request`: only that request. */
  forget(connection: number, request?: number): void {
    this.data.forget(connection, request);
    this.generic.forget(connection, request);
  }

  onTick(pausedMs: number): void {
    this.data.postpone(pausedMs);
    this.generic.postpone(pausedMs);
    this.data.onTick();
    this.generic.onTick();
  }

  nextTickAt(): number {
    return Math.min(this.data.nextTickAt(), this.generic.nextTickAt());
  }
}
