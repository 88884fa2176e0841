/**
 * Works through the inboxes of all sessions: each in its order, a push that is still arriving or waits for its
 * turn holding back what is behind it.
 */
import { PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MessageType } from '../protocol/messages.js';
import { JobThen } from '../table/job.js';
import type { CoreContext } from './context.js';
import type { OrderedMessage, OrderedRequest } from './inbox.js';
import type { IncomingPush } from './intake.js';
import type { PushDesk } from './pushes.js';
import type { RequestDesk } from './requests.js';
import type { Session } from './session.js';
import type { Tasks } from './tasks.js';
import type { UpdateQueue } from './updates.js';

/** Who handles what has come to the head of an inbox. */
export interface InboxParts {
  readonly context: CoreContext;
  readonly updates: UpdateQueue;
  readonly pushes: PushDesk;
  readonly requests: RequestDesk;
  readonly tasks: Tasks;
}

/** The inboxes of all sessions. */
export class Inboxes {
  readonly #parts: InboxParts;
  /** Sessions whose inbox may have something to do. */
  readonly #ready = new Set<Session>();

  constructor(parts: InboxParts) {
    this.#parts = parts;
  }

  /** A request has arrived. */
  add(session: Session, message: OrderedRequest): void {
    const { context } = this.#parts;
    if (session.inbox.length >= context.options.limits.maxRequests) {
      const error = new PsError('PS_LIMIT', `${session.inbox.length} requests wait behind a push`);
      const fault = { ...faultOf(error), request: message.request };
      context.observe({ kind: 'rejected', id: session.id, error });
      if (session.connection !== undefined)
        context.emit({ kind: 'send', connection: session.connection, message: fault });
      return;
    }
    session.inbox.push({ kind: 'request', message });
    this.drain(session);
  }

  /** A request is not wanted any more. */
  cancel(session: Session, request: number): void {
    const at = session.inbox.findIndex((each) => isCancelled(each, request));
    if (at < 0) return;
    const [found] = session.inbox.splice(at, 1);
    if (found?.kind === 'rows') found.rows.release();
  }

  /** The inbox of `session` is looked at later in this turn. */
  wake(session: Session): void {
    this.#ready.add(session);
  }

  /** Handles what stands at the head of inboxes that were held back. */
  drainAll(): void {
    for (const session of this.#ready) {
      this.#ready.delete(session);
      this.drain(session);
    }
  }

  /** Handles a session's messages in order, up to one that must wait. */
  drain(session: Session): void {
    const { context, requests, tasks, updates } = this.#parts;
    while (!session.isBlocked && session.inbox.length > 0) {
      const head = session.inbox[0] as OrderedMessage;
      if (head.kind === 'request') {
        session.inbox.shift();
        const { message } = head;
        if (message.t === MessageType.dataRequest) tasks.onDataRequest(session, message);
        else requests.handle(session, message);
        continue;
      }
      if (head.kind === 'rows') {
        if (!head.rows.isComplete) return;
        session.inbox.shift();
        requests.handleRows(session, head.rows);
        continue;
      }
      if (!head.push.isComplete) return;
      session.inbox.shift();
      session.isBlocked = true;
      updates.add(() => this.#runPush(session, head.push));
      context.isDirty = true;
    }
  }

  #runPush(session: Session, push: IncomingPush): JobThen {
    return new JobThen(this.#parts.pushes.begin(session, push), () => {
      session.isBlocked = false;
      this.wake(session);
      this.#parts.context.isDirty = true;
    });
  }
}

function isCancelled(item: OrderedMessage, request: number): boolean {
  if (item.kind === 'push') return false;
  const { message } = item.kind === 'rows' ? item.rows : item;
  if (message.t === MessageType.pullRows) return message.request === request;
  const mayBe = message.t === MessageType.pull || message.t === MessageType.dataRequest;
  return mayBe && message.request === request;
}
