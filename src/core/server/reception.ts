/**
 * The bytes of pushes, chunk by chunk, into their staging areas. A connection whose push finds no room
 * is not read from until there is; areas are given first come, first served. Nothing is decided here.
 */
import { PsError } from '../base/errors.js';
import { MessageType, type Push, type PushChunk } from '../protocol/messages.js';
import { bytesOf } from '../protocol/modelStream.js';
import type { PayloadPlace } from '../protocol/payloadPlace.js';
import type { StagingPool } from '../table/stagingPool.js';
import type { Connection } from './connection.js';
import { holdMs, isOverdue } from './contention.js';
import type { CoreContext } from './context.js';
import { IncomingPush, type PushRules } from './intake.js';
import type { Membership } from './membership.js';
import type { Session } from './session.js';

/** What the reception tells its owner. */
export interface ReceptionHandlers {
  /** A push of `session` has come whole. */
  complete(session: Session): void;
  /** The same, when it had waited for room: the owner looks at it later in this turn. */
  roomGiven(session: Session): void;
  /** What came is no push: the connection must end. */
  fail(connection: Connection, error: PsError): void;
}

interface AwaitingRoom {
  readonly push: IncomingPush;
  readonly connection: Connection;
  readonly since: number;
}

/** Gathers pushes of all connections. */
export class PushReception {
  readonly #context: CoreContext;
  readonly #pool: StagingPool;
  readonly #handlers: ReceptionHandlers;
  readonly #rules: PushRules;
  /** Pushes that wait for a staging area, in order of arrival. */
  readonly #awaitingRoom: AwaitingRoom[] = [];
  #nextPongAt = 0;

  constructor(context: CoreContext, pool: StagingPool, handlers: ReceptionHandlers) {
    this.#context = context;
    this.#pool = pool;
    this.#handlers = handlers;
    const { catalogue, kernels } = context.state.table;
    const { dims } = context.state.tables;
    const tables = context.state.tables.tables.map(({ spec }) => spec);
    const { nonFinite, maxPushNorm, shard, limits } = context.options;
    // A gradient of the whole model always fits.
    const maxPushBytes = Math.max(limits.stagingBytes, catalogue.length * Float32Array.BYTES_PER_ELEMENT);
    const values = { catalogue, tables, dims, kernels };
    this.#rules = { ...values, nonFinite, maxPushNorm, shard, maxPushBytes };
  }

  /** Whether someone waits for room: whoever comes later does not take it before. */
  get #isRoomAwaited(): boolean {
    return this.#awaitingRoom.some(({ push }) => !push.isCancelled);
  }

  /** A push begins, with its first bytes. */
  begin(connection: Connection, session: Session, message: Push, payload: Uint8Array): void {
    if (session.isReader) {
      this.#handlers.fail(connection, new PsError('PS_FORBIDDEN', 'a reader may not push'));
      return;
    }
    const isBroken =
      connection.incoming !== undefined || payload.length > message.bytes || payload.length % 4 !== 0;
    if (isBroken) {
      this.#handlers.fail(connection, new PsError('PS_PROTOCOL', `push ${message.seq} begins wrongly`));
      return;
    }
    const { maxRequests } = this.#context.options.limits;
    if (session.unansweredPushes >= maxRequests) {
      const text = `push ${message.seq} comes while ${maxRequests} are not answered`;
      this.#handlers.fail(connection, new PsError('PS_PROTOCOL', text));
      return;
    }
    session.unansweredPushes++;
    const isDecided = message.seq <= session.decidedSeq;
    const push = new IncomingPush(message, connection.id, this.#rules, isDecided, this.#context.now);
    connection.incoming = push;
    session.inbox.push({ kind: 'push', push });
    const area = this.#reservedFor(connection, payload);
    const pool = this.#isRoomAwaited ? undefined : this.#pool;
    if (!push.begin(payload, pool, push.isDiscarded ? undefined : area)) this.#awaitRoom(push, connection);
    if (area !== undefined && !push.isDiscarded) connection.reserved = undefined;
    this.unreserve(connection);
    this.#onBytes(connection, session, push);
  }

  /** Where the payload of a push of one chunk may be written before the push begins, if there is room. */
  reserve(connection: Connection, message: Push, bytes: number): PayloadPlace | undefined {
    const isPlausible =
      !this.#isRoomAwaited &&
      connection.incoming === undefined &&
      connection.reserved === undefined &&
      bytes > 0 &&
      bytes === message.bytes &&
      bytes % 4 === 0 &&
      (message.rows !== undefined || bytes <= this.#rules.catalogue.length * 4);
    if (!isPlausible) return undefined;
    connection.reserved = this.#pool.take(bytes / 4, message.rows !== undefined);
    return connection.reserved === undefined ? undefined : { bytes: bytesOf(connection.reserved) };
  }

  /** Gives back an area that no push has taken over. */
  unreserve(connection: Connection): void {
    if (connection.reserved !== undefined) this.#pool.give(connection.reserved);
    connection.reserved = undefined;
  }

  /** Where the payload of a chunk may be written before it is added, if it is the next and has a place. */
  placeOf(connection: Connection, message: PushChunk, bytes: number): PayloadPlace | undefined {
    const push = connection.incoming;
    const isNext = push !== undefined && message.seq === push.message.seq && message.offset === push.received;
    return isNext ? push.placeOf(bytes) : undefined;
  }

  /** The next bytes of the push that is arriving. */
  add(connection: Connection, message: PushChunk, payload: Uint8Array): void {
    const push = connection.incoming;
    const isNext =
      push !== undefined &&
      message.seq === push.message.seq &&
      message.offset === push.received &&
      payload.length > 0 &&
      payload.length % 4 === 0 &&
      push.received + payload.length <= push.message.bytes;
    if (!isNext) {
      const what = `the chunk at ${message.offset} of push ${message.seq} is out of place`;
      this.#handlers.fail(connection, new PsError('PS_PROTOCOL', what));
      return;
    }
    push.add(payload);
    this.#onBytes(connection, connection.session as Session, push);
  }

  /** Nobody wants `push` any more. */
  drop(push: IncomingPush): void {
    push.isCancelled = true;
    push.release(this.#pool);
  }

  /** Gives room to those that wait for it. */
  giveRoom(): void {
    while (this.#awaitingRoom.length > 0) {
      const { push, connection } = this.#awaitingRoom[0] as AwaitingRoom;
      if (!push.isCancelled && !push.takeRoom(this.#pool)) return;
      this.#awaitingRoom.shift();
      this.#resume(connection);
      if (push.isCancelled || connection.session === undefined) continue;
      if (push.isComplete) this.#handlers.roomGiven(connection.session);
      this.#context.isDirty = true;
    }
  }

  /**
   * A worker that is not read from cannot show that it lives: its lease is renewed meanwhile. It hears no answers, and
   * neither does one whose push takes long to come, since its pings stand behind that: they are told that the
   * server lives.
   */
  onTick(membership: Membership, connections: Iterable<Connection>): void {
    const { now, options } = this.#context;
    for (const { push, connection } of this.#awaitingRoom) {
      if (!push.isCancelled && connection.session !== undefined) membership.touch(connection.session);
    }
    if (now < this.#nextPongAt) return;
    this.#nextPongAt = now + options.limits.pingMs;
    for (const { id, incoming, session, isPaused } of connections) {
      if (session === undefined || (incoming === undefined && !isPaused)) continue;
      this.#context.emit({ kind: 'send', connection: id, message: { t: MessageType.pong } });
    }
  }

  /** Whether a push that arrives on `connection` has held up others, who wait for room, for too long. */
  isOverdue({ incoming }: Connection): boolean {
    const awaited = this.#awaitingRoom.find(({ push }) => !push.isCancelled);
    if (awaited === undefined || incoming === undefined || incoming.isAwaitingRoom) return false;
    const { now, options } = this.#context;
    const maxMs = holdMs(options.limits);
    return now - awaited.since >= maxMs && isOverdue(incoming.progress, now, maxMs);
  }

  /** The reserved area, if `payload` stands in it. */
  #reservedFor({ reserved }: Connection, payload: Uint8Array): Float32Array | undefined {
    const isThere = reserved?.buffer === payload.buffer && reserved.byteOffset === payload.byteOffset;
    return isThere ? reserved : undefined;
  }

  #onBytes(connection: Connection, session: Session, push: IncomingPush): void {
    if (push.received < push.message.bytes) return;
    connection.incoming = undefined;
    if (push.isComplete) this.#handlers.complete(session);
  }

  #awaitRoom(push: IncomingPush, connection: Connection): void {
    this.#awaitingRoom.push({ push, connection, since: this.#context.now });
    if (connection.isPaused) return;
    connection.isPaused = true;
    this.#context.emit({ kind: 'pause', connection: connection.id });
  }

  #resume(connection: Connection): void {
    if (!connection.isPaused || this.#awaitingRoom.some((each) => each.connection === connection)) return;
    connection.isPaused = false;
    this.#context.emit({ kind: 'resume', connection: connection.id });
  }
}
