/**
 * What each message leads to. Messages whose order matters go through their session's inbox; liveness
 * messages are handled at once. A message that is refused changes nothing.
 */
import { closeCodeOf, PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MessageType, type WorkerMessage } from '../protocol/messages.js';
import { JobThen } from '../table/job.js';
import { StagingPool } from '../table/stagingPool.js';
import { Announcements } from './announcements.js';
import type { Connection } from './connection.js';
import type { CoreContext } from './context.js';
import type { Principal } from './events.js';
import { Handshake } from './handshake.js';
import type { IncomingPush } from './intake.js';
import { Membership } from './membership.js';
import { MetricsWindow } from './metricsWindow.js';
import { PullDesk } from './pulls.js';
import { PushDesk } from './pushes.js';
import { PushReception } from './reception.js';
import { RequestDesk } from './requests.js';
import { maySend } from './rights.js';
import type { Session } from './session.js';
import { UpdateQueue } from './updates.js';

/** Routes messages of all connections. */
export class Dispatcher {
  readonly membership: Membership;
  readonly pulls: PullDesk;
  readonly updates: UpdateQueue;
  readonly metrics: MetricsWindow;
  readonly staging: StagingPool;
  readonly announcements: Announcements;
  readonly #context: CoreContext;
  readonly #handshake: Handshake;
  readonly #pushes: PushDesk;
  readonly #requests: RequestDesk;
  readonly #reception: PushReception;
  readonly #connections = new Map<number, Connection>();
  /** Sessions whose inbox may have something to do. */
  readonly #ready = new Set<Session>();

  constructor(
    context: CoreContext,
    allocate: (length: number) => Float32Array,
    release?: (array: Float32Array) => void,
  ) {
    this.#context = context;
    const { options } = context;
    this.staging = new StagingPool(options.limits.stagingBytes, allocate, release);
    this.membership = new Membership(context, (session) => this.#detach(session));
    this.pulls = new PullDesk(context);
    this.#requests = new RequestDesk(context, this.pulls);
    this.metrics = new MetricsWindow(context);
    this.updates = new UpdateQueue(context);
    this.announcements = new Announcements(context, () => this.#connections.values());
    this.#pushes = new PushDesk(context, this.staging, this.metrics, () => this.#reception.giveRoom());
    this.#handshake = new Handshake(context, this.membership, (session) => this.#closeOld(session));
    this.#reception = new PushReception(context, this.staging, {
      complete: (session) => this.#drain(session),
      roomGiven: (session) => this.#ready.add(session),
      fail: (connection, error) => this.#closeWith(connection, error),
    });
  }

  /** Open connections. */
  get connections(): Iterable<Connection> {
    return this.#connections.values();
  }

  onConnected(id: number, principal: Principal): void {
    const helloBy = this.#context.now + this.#context.options.limits.helloTimeoutMs;
    this.#connections.set(id, {
      id,
      principal,
      helloBy,
      session: undefined,
      incoming: undefined,
      reserved: undefined,
      protocolErrors: 0,
      isPaused: false,
    });
  }

  onClosed(id: number): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    const { session } = connection;
    this.#forget(connection);
    if (session !== undefined && session.connection === id) this.membership.onDisconnected(session);
  }

  onMalformed(id: number, error: PsError): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    if (connection.session !== undefined) this.membership.touch(connection.session);
    this.#context.observe({ kind: 'rejected', id: connection.session?.id, error });
    connection.protocolErrors++;
    const isLast =
      connection.session === undefined ||
      connection.protocolErrors >= this.#context.options.limits.maxProtocolErrors;
    if (isLast) this.#closeWith(connection, error);
    else this.#context.emit({ kind: 'send', connection: id, message: faultOf(error) });
  }

  onMessage(id: number, message: WorkerMessage, payload: Uint8Array): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    const { session } = connection;
    if (session === undefined) {
      this.#greet(connection, message);
      return;
    }
    if (!maySend(connection.principal.role, message.t)) {
      this.#refuse(connection, session, message);
      return;
    }
    if (message.t === MessageType.computing) {
      this.membership.startComputing(session, message.stepMs);
      return;
    }
    this.membership.touch(session);
    this.#route(connection, session, message, payload);
  }

  /** See `ServerCore.statusOf`. */
  statusOf(id: number): { isReceiving: boolean; isComputing: boolean } {
    const connection = this.#connections.get(id);
    return {
      isReceiving: connection?.incoming !== undefined && !connection.isPaused,
      isComputing: connection?.session?.isComputing === true,
    };
  }

  /** Where the payload of `message` may be written by a transport that can; it must stop when it is closed. */
  placeOf(id: number, message: WorkerMessage, bytes: number): Uint8Array | undefined {
    const connection = this.#connections.get(id);
    if (connection?.session === undefined) return undefined;
    if (message.t === MessageType.push) return this.#reception.reserve(connection, message, bytes);
    if (message.t === MessageType.pushChunk) return this.#reception.placeOf(connection, message, bytes);
    return undefined;
  }

  onTick(): void {
    const { now } = this.#context;
    this.pulls.renewProgress();
    this.pulls.postpone(this.membership.onTick());
    this.pulls.onTick();
    for (const connection of this.#connections.values()) {
      if (connection.session !== undefined || now < connection.helloBy) continue;
      // Not the worker's fault if the network held it up: it may come again.
      this.#closeWith(connection, new PsError('PS_LEASE_EXPIRED', 'no hello within the time allowed'));
    }
    this.#reception.onTick(this.membership);
  }

  nextTickAt(): number {
    let at = Math.min(this.membership.nextTickAt(), this.pulls.nextTickAt());
    for (const { session, helloBy } of this.#connections.values()) {
      if (session === undefined) at = Math.min(at, helloBy);
    }
    return at;
  }

  /** Handles what stands at the head of inboxes that were held back. */
  drainInboxes(): void {
    for (const session of this.#ready) {
      this.#ready.delete(session);
      this.#drain(session);
    }
  }

  /** Whether no push is on its way in and everything decided is committed. O(connections). */
  get isQuiet(): boolean {
    const { commits } = this.#context;
    if (!this.updates.isIdle || (commits.pending > 0 && commits.failure === undefined)) return false;
    return [...this.#connections.values()].every(
      ({ incoming, session }) => incoming === undefined && (session?.inbox.length ?? 0) === 0,
    );
  }

  /** Ends one connection with `error`, if it is open. */
  close(id: number, error: PsError): void {
    const connection = this.#connections.get(id);
    if (connection !== undefined) this.#closeWith(connection, error);
  }

  /** Ends every connection with `error`. */
  closeAll(error: PsError): void {
    this.announcements.farewell = error;
    for (const connection of [...this.#connections.values()]) this.#closeWith(connection, error);
  }

  /** Nothing can be recorded any more: those that need it lose their connection, readers go on. */
  onStorageFailed(error: PsError): void {
    this.#context.commits.fail(error);
    for (const connection of [...this.#connections.values()]) {
      if (connection.session?.isReader === false) this.#closeWith(connection, error);
    }
  }

  #greet(connection: Connection, message: WorkerMessage): void {
    try {
      if (message.t !== MessageType.hello)
        throw new PsError('PS_PROTOCOL', 'the first message must be Hello');
      const { farewell } = this.announcements;
      if (farewell !== undefined) throw farewell;
      connection.session = this.#handshake.admit(connection.id, connection.principal, message);
      this.announcements.admitted(connection.id);
    } catch (error) {
      this.#context.observe({
        kind: 'rejected',
        id: 'worker' in message ? message.worker : undefined,
        error: error as PsError,
      });
      this.#closeWith(connection, error as PsError);
    }
  }

  /** The role may not send this. Without a request to refuse, the connection ends. */
  #refuse(connection: Connection, session: Session, message: WorkerMessage): void {
    const error = new PsError('PS_FORBIDDEN', `the role ${connection.principal.role} may not do this`);
    this.membership.touch(session);
    this.#context.observe({ kind: 'rejected', id: session.id, error });
    if (!('request' in message)) {
      this.#closeWith(connection, error);
      return;
    }
    const fault = { ...faultOf(error), request: message.request };
    this.#context.emit({ kind: 'send', connection: connection.id, message: fault });
  }

  #route(connection: Connection, session: Session, message: WorkerMessage, payload: Uint8Array): void {
    switch (message.t) {
      case MessageType.ping:
        this.#context.emit({ kind: 'send', connection: connection.id, message: { t: MessageType.pong } });
        break;
      case MessageType.stats:
      case MessageType.control:
        this.#context.emit({ kind: 'ask', connection: connection.id, message, payload });
        break;
      case MessageType.cancel:
        this.#cancel(session, connection, message.request);
        break;
      case MessageType.goodbye:
        this.#forget(connection);
        session.connection = undefined;
        this.membership.leave(session, 'goodbye');
        this.#context.emit({ kind: 'close', connection: connection.id, code: 1000, reason: 'goodbye' });
        break;
      case MessageType.push:
        this.#reception.begin(connection, session, message, payload);
        break;
      case MessageType.pushChunk:
        this.#reception.add(connection, message, payload);
        break;
      case MessageType.enter:
      case MessageType.leave:
      case MessageType.tick:
      case MessageType.pull:
        session.inbox.push({ kind: 'request', message });
        this.#drain(session);
        break;
      default:
        this.onMalformed(connection.id, new PsError('PS_PROTOCOL', 'Hello is sent once, at the start'));
    }
  }

  /** Handles a session's messages in order, up to one that must wait. */
  #drain(session: Session): void {
    while (!session.isBlocked && session.inbox.length > 0) {
      const head = session.inbox[0] as Session['inbox'][number];
      if (head.kind === 'request') {
        session.inbox.shift();
        this.#requests.handle(session, head.message);
        continue;
      }
      if (!head.push.isComplete) return;
      session.inbox.shift();
      session.isBlocked = true;
      this.updates.add(() => this.#runPush(session, head.push));
      this.#context.isDirty = true;
    }
  }

  #runPush(session: Session, push: IncomingPush): JobThen {
    const job = this.#pushes.begin(session, push);
    return new JobThen(job, () => {
      session.isBlocked = false;
      this.#ready.add(session);
      this.#context.isDirty = true;
    });
  }

  #cancel(session: Session, connection: Connection, request: number): void {
    const at = session.inbox.findIndex(
      (each) =>
        each.kind === 'request' && each.message.t === MessageType.pull && each.message.request === request,
    );
    if (at >= 0) session.inbox.splice(at, 1);
    this.pulls.cancel(connection.id, request);
  }

  /** The session goes on with a new connection: the old one ends without the worker losing its place. */
  #closeOld(session: Session): void {
    const connection = this.#connections.get(session.connection as number);
    session.connection = undefined;
    if (connection === undefined) return;
    this.#forget(connection);
    this.#context.emit({
      kind: 'close',
      connection: connection.id,
      code: 4300,
      reason: 'resumed on another connection',
    });
  }

  #closeWith(connection: Connection, error: PsError): void {
    const { id, session } = connection;
    this.#context.emit({ kind: 'send', connection: id, message: faultOf(error) });
    this.#context.emit({
      kind: 'close',
      connection: id,
      code: closeCodeOf(error.code),
      reason: error.message.slice(0, 100),
    });
    this.#forget(connection);
    if (session !== undefined && session.connection === id) this.membership.onDisconnected(session);
  }

  /** Drops a session's connection and what was under way on it. */
  #detach(session: Session): void {
    const connection = this.#connections.get(session.connection as number);
    if (connection !== undefined) this.#forget(connection);
  }

  /** Forgets a connection: its pulls, its unfinished push, and messages that were not handled. */
  #forget(connection: Connection): void {
    this.#connections.delete(connection.id);
    this.pulls.forget(connection.id);
    const { session } = connection;
    for (const item of session?.inbox.splice(0) ?? []) {
      if (item.kind === 'push') this.#reception.drop(item.push);
    }
    connection.incoming = undefined;
    this.#reception.unreserve(connection);
    this.#reception.giveRoom();
  }
}
