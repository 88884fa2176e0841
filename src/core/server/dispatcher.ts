/**
 * What each message leads to. Messages whose order matters go through their session's inbox; liveness
 * messages are handled at once. A message that is refused changes nothing.
 */
import { asPsError, closeCodeOf, PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MessageType, type WorkerMessage } from '../protocol/messages.js';
import type { PayloadPlace } from '../protocol/payloadPlace.js';
import { StagingPool } from '../table/stagingPool.js';
import { Announcements } from './announcements.js';
import { type Connection, type ConnectionStatus, isReceiving, newConnection } from './connection.js';
import type { CoreContext } from './context.js';
import type { Principal } from './events.js';
import { Handshake } from './handshake.js';
import { Inboxes } from './inboxes.js';
import { Membership } from './membership.js';
import { MetricsWindow } from './metricsWindow.js';
import { PullDesk } from './pulls.js';
import { PushDesk } from './pushes.js';
import { PushReception } from './reception.js';
import { RequestDesk } from './requests.js';
import { maySend } from './rights.js';
import { RowReception } from './rowReception.js';
import type { Session } from './session.js';
import { Tasks } from './tasks.js';
import { UpdateQueue } from './updates.js';

/** Routes messages of all connections. */
export class Dispatcher {
  readonly membership: Membership;
  readonly pulls: PullDesk;
  readonly updates: UpdateQueue;
  readonly metrics: MetricsWindow;
  readonly staging: StagingPool;
  readonly tasks: Tasks;
  readonly announcements: Announcements;
  readonly #context: CoreContext;
  readonly #handshake: Handshake;
  readonly #inboxes: Inboxes;
  readonly #reception: PushReception;
  readonly #ids: RowReception;
  readonly #connections = new Map<number, Connection>();

  constructor(
    context: CoreContext,
    allocate: (length: number) => Float32Array,
    release?: (array: Float32Array) => void,
  ) {
    this.#context = context;
    const { options } = context;
    this.staging = new StagingPool(options.limits.stagingBytes, allocate, release);
    this.tasks = new Tasks(context);
    this.membership = new Membership(context, {
      detach: (session) => this.#detach(session),
      hasTasks: ({ id }) => this.tasks.generic.pool.leases.count(id) > 0,
      onLeft: (session) => this.tasks.generic.onLeft(session),
    });
    this.updates = new UpdateQueue(context, () => this.announcements.tellStaleness());
    this.pulls = new PullDesk(context, (job) => this.updates.add(() => job));
    this.metrics = new MetricsWindow(context);
    this.announcements = new Announcements(context, () => this.#connections.values());
    this.#inboxes = new Inboxes({
      ...{ context, updates: this.updates, tasks: this.tasks },
      pushes: new PushDesk(context, this.staging, this.metrics, () => this.#reception.giveRoom()),
      requests: new RequestDesk(context, this.pulls),
    });
    this.#handshake = new Handshake(context, this.membership, (session) => this.#closeOld(session));
    this.#ids = new RowReception(context);
    this.#reception = new PushReception(context, this.staging, {
      complete: (session) => this.#inboxes.drain(session),
      roomGiven: (session) => this.#inboxes.wake(session),
      fail: (connection, error) => this.#closeWith(connection, error),
    });
  }

  /** Open connections. */
  get connections(): Iterable<Connection> {
    return this.#connections.values();
  }

  onConnected(id: number, principal: Principal): void {
    const helloBy = this.#context.now + this.#context.options.limits.helloTimeoutMs;
    this.#connections.set(id, newConnection(id, principal, helloBy));
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
    this.membership.touch(session, message.t === MessageType.pushChunk);
    this.#route(connection, session, message, payload);
  }

  /** The bytes of a stream are copied, or will never be sent. */
  onStreamEnded(stream: number): void {
    // Only those of pulls hold a version.
    if (this.pulls.hasStream(stream)) this.pulls.onStreamEnded(stream);
  }

  /** See `ServerCore.statusOf`. */
  statusOf(id: number): ConnectionStatus {
    const connection = this.#connections.get(id) ?? newConnection(id, { role: 'monitor' }, 0);
    return {
      isGreeted: connection.session !== undefined,
      isReceiving: isReceiving(connection),
      isComputing: connection.session !== undefined && this.membership.isExcused(connection.session),
      isHoldingUp: this.pulls.isOverdue(id) || this.#reception.isOverdue(connection),
    };
  }

  /** Where the payload of `message` may be written by a transport that can; it must stop when it is closed. */
  placeOf(id: number, message: WorkerMessage, bytes: number): PayloadPlace | undefined {
    const connection = this.#connections.get(id);
    if (connection?.session === undefined) return undefined;
    if (message.t === MessageType.push) return this.#reception.reserve(connection, message, bytes);
    if (message.t === MessageType.pushChunk) return this.#reception.placeOf(connection, message, bytes);
    return undefined;
  }

  /** See `ServerCore.onProgress`. */
  onProgress(id: number): void {
    const session = this.#connections.get(id)?.session;
    if (session !== undefined) this.membership.touch(session, true);
  }

  onTick(): void {
    const { now } = this.#context;
    this.pulls.renewProgress();
    const pausedMs = this.membership.onTick();
    this.pulls.postpone(pausedMs);
    this.pulls.onTick();
    this.tasks.onTick(pausedMs);
    for (const connection of this.#connections.values()) {
      if (connection.session !== undefined || now < connection.helloBy) continue;
      // Not the worker's fault if the network held it up: it may come again.
      this.#closeWith(connection, new PsError('PS_LEASE_EXPIRED', 'no hello within the time allowed'));
    }
    this.#reception.onTick(this.membership, this.#connections.values());
  }

  nextTickAt(): number {
    let at = Math.min(this.membership.nextTickAt(), this.pulls.nextTickAt(), this.tasks.nextTickAt());
    for (const { session, helloBy } of this.#connections.values()) {
      if (session === undefined) at = Math.min(at, helloBy);
    }
    return at;
  }

  /** Handles what stands at the head of inboxes that were held back. */
  drainInboxes(): void {
    this.#inboxes.drainAll();
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
    this.#guard(connection, 'worker' in message ? message.worker : undefined, () => {
      if (message.t !== MessageType.hello)
        throw new PsError('PS_PROTOCOL', 'the first message must be Hello');
      if (this.announcements.farewell !== undefined) throw this.announcements.farewell;
      connection.session = this.#handshake.admit(connection.id, connection.principal, message);
      this.announcements.admitted(connection, message);
    });
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
      case MessageType.dataRequest:
        this.#inboxes.add(session, message);
        break;
      case MessageType.pullRows:
      case MessageType.rowIds:
        this.#guard(connection, session.id, () => {
          this.#ids.take(connection, session, message, payload);
          this.#inboxes.drain(session);
        });
        break;
      case MessageType.watchRows:
        this.pulls.watches.ask(session, connection.id, message);
        break;
      case MessageType.taskRequest:
      case MessageType.taskResults:
      case MessageType.taskResultChunk:
        this.#guard(connection, session.id, () => {
          this.tasks.onMessage(session, connection.id, message, payload);
        });
        break;
      default:
        this.onMalformed(connection.id, new PsError('PS_PROTOCOL', 'Hello is sent once, at the start'));
    }
  }

  #cancel(session: Session, connection: Connection, request: number): void {
    this.#inboxes.cancel(session, request);
    this.pulls.cancel(connection.id, request);
    this.tasks.forget(connection.id, request);
  }

  /** Does what a message of `id` asks for; one that is refused costs its connection. */
  #guard(connection: Connection, id: string | undefined, action: () => void): void {
    try {
      action();
    } catch (cause) {
      const error = asPsError(cause);
      this.#context.observe({ kind: 'rejected', id, error });
      this.#closeWith(connection, error);
    }
  }

  /** The session goes on with a new connection: the old one ends without the worker losing its place. */
  #closeOld(session: Session): void {
    const connection = this.#connections.get(session.connection as number);
    session.connection = undefined;
    if (connection === undefined) return;
    this.#forget(connection);
    const reason = 'resumed on another connection';
    this.#context.emit({ kind: 'close', connection: connection.id, code: 4300, reason });
  }

  #closeWith(connection: Connection, error: PsError): void {
    const { id, session } = connection;
    this.#context.emit({ kind: 'send', connection: id, message: faultOf(error) });
    const code = closeCodeOf(error.code);
    this.#context.emit({ kind: 'close', connection: id, code, reason: error.message.slice(0, 100) });
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
    this.tasks.forget(connection.id);
    const { session } = connection;
    if (session !== undefined) session.unansweredPushes = 0;
    for (const item of session?.inbox.splice(0) ?? []) {
      if (item.kind === 'push') this.#reception.drop(item.push);
      else if (item.kind === 'rows') item.rows.release();
    }
    connection.incoming = undefined;
    connection.asking = undefined;
    this.#reception.unreserve(connection);
    this.#reception.giveRoom();
  }
}
