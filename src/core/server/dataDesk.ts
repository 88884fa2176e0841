/**
 * Data shards at the counter: a request is answered with the next free one, or waits for one. A worker that
 * waits and holds nothing is out of the clock table, so nobody waits for it, and it can't hold up the one that
 * works on the last data shard. Only the shard that owns the queue hands out.
 */
import { PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MAX_LAGGARDS } from '../protocol/limits.js';
import { MessageType, type WireLaggard } from '../protocol/messages.js';
import type { DataLease, DataRequest } from '../protocol/taskMessages.js';
import type { EncodedValue } from '../protocol/valueCodec.js';
import { ValueStream } from '../protocol/valueStream.js';
import { type CurrentDataSet, dataShardText } from '../tasks/dataQueue.js';
import { examplesAt } from '../tasks/shuffledOrder.js';
import { type CoreContext, decide } from './context.js';
import type { DataSetRecord, EpochRecord } from './records.js';
import type { Session } from './session.js';

/** A wait that is shorter is not worth a message. */
const NOTICE_AFTER_MS = 100;
const NOTICE_EVERY_MS = 1000;

/** The examples of a data set whose bytes the server sends. */
export interface ItemSource {
  /** The items of these examples, as one value. Throws `PS_VALUE_INVALID`. */
  encode(examples: Uint32Array | Float64Array): EncodedValue;
}

interface WaitingRequest {
  readonly session: Session;
  readonly connection: number;
  readonly request: number;
  deadline: number;
  noticeAt: number;
  lastNotice: string | undefined;
}

/** The requests for data shards of one server. */
export class DataDesk {
  readonly #context: CoreContext;
  /** One a session at most, in order of arrival. */
  readonly #waiting = new Map<Session, WaitingRequest>();
  #isAttached = false;
  #items: ItemSource | undefined;
  #leaseMs = Number.POSITIVE_INFINITY;
  /** The epoch whose end was told: data set and epoch. */
  #told = '';

  constructor(context: CoreContext) {
    this.#context = context;
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  get #state(): CoreContext['state'] {
    return this.#context.state;
  }

  /**
   * From now on data shards are handed out. `items`: the data, where the server sends it. `leaseMs`: how long a worker
   * that makes no progress keeps what it has.
   */
  attach(items: ItemSource | undefined, leaseMs: number): void {
    this.#isAttached = true;
    this.#items = items;
    this.#leaseMs = leaseMs;
    this.#context.isDirty = true;
  }

  /** Carries out what the owner decided of the data set. */
  record(record: DataSetRecord | EpochRecord): void {
    decide(this.#context, record);
  }

  /** Answers `message` now or keeps it. Throws the typed error that refuses it. */
  ask(session: Session, connection: number, { request, held, wants }: DataRequest): void {
    const { state, options, now } = this.#context;
    if (options.shard.index !== 0) {
      throw new PsError('PS_PROTOCOL', 'data shards are handed out by shard 0 of the server group');
    }
    this.#waiting.delete(session);
    const lost = state.data.leases.of(session.id).filter(({ number }) => !held.includes(number));
    if (lost.length > 0) {
      decide(this.#context, {
        kind: 'release',
        worker: session.id,
        leases: lost.map(({ number }) => number),
      });
    }
    if (!wants) {
      this.#answer(session, connection, { t: MessageType.dataLease, request, isEnded: false });
      return;
    }
    const waiting: WaitingRequest = {
      ...{ session, connection, request },
      deadline: now + options.limits.pullTimeoutMs,
      noticeAt: now + NOTICE_AFTER_MS,
      lastNotice: undefined,
    };
    this.#waiting.set(session, waiting);
    this.#serve(waiting);
  }

  /** Looks at every waiting request again, and whether an epoch has come to its end. */
  reconsider(): void {
    for (const waiting of this.#waiting.values()) this.#serve(waiting);
    this.#tellOfEnd();
  }

  /** Forgets the request of a connection; `request`: only that one. */
  forget(connection: number, request?: number): void {
    for (const waiting of this.#waiting.values()) {
      const isMeant = waiting.connection === connection && (request ?? waiting.request) === waiting.request;
      if (isMeant) this.#waiting.delete(waiting.session);
    }
  }

  /** The server has paused for so long. */
  postpone(pausedMs: number): void {
    for (const waiting of this.#waiting.values()) waiting.deadline += pausedMs;
  }

  onTick(): void {
    const { now } = this.#context;
    this.#takeBack();
    for (const waiting of this.#waiting.values()) {
      // A worker that waits for its turn, with nothing in hand, is not the one that makes no progress.
      if (this.#state.data.leases.count(waiting.session.id) === 0) waiting.session.lastProgress = now;
      if (now >= waiting.deadline) this.#endWait(waiting, { isEnded: false });
      else if (now >= waiting.noticeAt) this.#notify(waiting);
    }
  }

  nextTickAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const { deadline, noticeAt } of this.#waiting.values()) at = Math.min(at, deadline, noticeAt);
    for (const { holder } of this.#state.data.leases) {
      if (this.#othersWait(holder)) at = Math.min(at, this.#endOf(holder));
    }
    return at;
  }

  /** Whether anyone waits for what `holder` has: if not it may keep it. */
  #othersWait(holder: string): boolean {
    const [first] = this.#waiting.keys();
    return this.#waiting.size > 1 || (first !== undefined && first.id !== holder);
  }

  /** When `holder` loses what it has, if it makes no progress until then. */
  #endOf(holder: string): number {
    return (this.#state.sessions.get(holder)?.lastProgress ?? 0) + this.#leaseMs;
  }

  /** Workers that are there and make no progress lose their data shards, when others wait for them. */
  #takeBack(): void {
    if (this.#waiting.size === 0) return;
    const { now, observe } = this.#context;
    const { leases } = this.#state.data;
    const late = new Set([...leases].map(({ holder }) => holder).filter((each) => now >= this.#endOf(each)));
    for (const worker of late) {
      if (!this.#othersWait(worker)) continue;
      const numbers = leases.of(worker).map(({ number }) => number);
      decide(this.#context, { kind: 'release', worker, leases: numbers });
      this.#moveToEnd(worker);
      const text = `${worker} has made no progress for ${this.#leaseMs} ms, and loses the ${numbers.length} data shards that it had`;
      observe({ kind: 'warning', message: text });
    }
  }

  /** Others come first. */
  #moveToEnd(worker: string): void {
    const waiting = [...this.#waiting.values()].find(({ session }) => session.id === worker);
    if (waiting === undefined) return;
    this.#waiting.delete(waiting.session);
    this.#waiting.set(waiting.session, waiting);
  }

  #serve(waiting: WaitingRequest): void {
    const { state } = this.#context;
    const { session } = waiting;
    const { current } = state.data;
    const next = this.#isAttached ? state.data.peek() : undefined;
    if (current?.isEnded === true && this.#isAttached) this.#endWait(waiting, { isEnded: true });
    else if (current !== undefined && next !== undefined) this.#grant(waiting, current);
    else if (state.data.leases.count(session.id) === 0 && state.clocks.has(session.id)) {
      decide(this.#context, { kind: 'leave', worker: session.id });
      // In a group the other shards have it in their tables.
      this.#notify(waiting);
    }
  }

  #grant(waiting: WaitingRequest, { number: dataSet, epoch, dataSet: { size } }: CurrentDataSet): void {
    const { state, observe } = this.#context;
    const { session, connection, request } = waiting;
    const next = state.data.peek();
    if (next === undefined) return;
    const { dataShard, begin, end, from } = next;
    const seed = state.data.orderSeed;
    let items: EncodedValue | undefined;
    try {
      items = this.#items?.encode(examplesAt(from, end, size, seed));
    } catch (cause) {
      const error = new PsError('PS_VALUE_INVALID', `${dataShardText(next)}: ${(cause as Error).message}`, {
        cause,
      });
      observe({ kind: 'error', error });
      this.#waiting.delete(session);
      this.#context.emit({ kind: 'send', connection, message: { ...faultOf(error), request } });
      return;
    }
    const lease = state.data.leases.last + 1;
    session.lastProgress = this.#context.now;
    decide(this.#context, { kind: 'lease', worker: session.id, lease, dataShard });
    this.#endWait(
      waiting,
      {
        isEnded: false,
        lease,
        dataSet,
        epoch,
        dataShard,
        begin,
        end,
        from,
        size,
        seed,
        itemBytes: items?.bytes,
      },
      items,
    );
  }

  #endWait(
    { session, connection, request }: WaitingRequest,
    content: Omit<DataLease, 't' | 'request'>,
    items?: EncodedValue,
  ): void {
    this.#waiting.delete(session);
    this.#answer(session, connection, { t: MessageType.dataLease, request, ...content }, items);
  }

  #answer(session: Session, connection: number, message: DataLease, items?: EncodedValue): void {
    const { commits, emit, nextStream, options } = this.#context;
    const { request, lease } = message;
    commits.whenCommitted(commits.last, () => {
      if (session.connection !== connection) return;
      const isLost = lease !== undefined && this.#state.data.leases.find(lease, session.id) === undefined;
      if (isLost) {
        // Taken back before it was told of: the worker asks again.
        emit({ kind: 'send', connection, message: { t: MessageType.dataLease, request, isEnded: false } });
        return;
      }
      if (items === undefined) {
        emit({ kind: 'send', connection, message });
        return;
      }
      const chunk = (offset: number) => ({ t: MessageType.leaseChunk, request, offset }) as const;
      const stream = new ValueStream(
        nextStream(),
        items,
        { head: message, chunk },
        options.limits.chunkBytes,
      );
      emit({ kind: 'stream', connection, stream });
    });
  }

  /** Tells whom a waiting worker waits for: those that hold the data shards that are left. */
  #notify(waiting: WaitingRequest): void {
    const { state, now, emit } = this.#context;
    waiting.noticeAt = now + NOTICE_EVERY_MS;
    // Who has something to do does not wait.
    if (state.data.leases.count(waiting.session.id) > 0) return;
    const holders = new Set([...state.data.leases].map(({ holder }) => holder));
    const laggards = [...holders].slice(0, MAX_LAGGARDS).map((id): WireLaggard => {
      const session = state.sessions.get(id);
      return [id, session?.clock ?? 0, Math.max(0, Math.round(now - (session?.lastSeen ?? now)))];
    });
    const notice = laggards.map(([id]) => id).join(' ');
    if (notice === waiting.lastNotice) return;
    waiting.lastNotice = notice;
    const { connection, request } = waiting;
    emit({
      kind: 'send',
      connection,
      message: { t: MessageType.waiting, request, reason: 'data', laggards },
    });
  }

  /** An epoch has ended when its examples are counted and what they led to is in the parameters. */
  #tellOfEnd(): void {
    const { state, observe } = this.#context;
    const { current, isEpochCounted, metrics, countedExamples: examples } = state.data;
    if (!this.#isAttached || current === undefined || !isEpochCounted || state.hasBuffered) return;
    const { number: dataSet, epoch } = current;
    const name = `${dataSet}/${epoch}`;
    if (name === this.#told) return;
    this.#told = name;
    observe({ kind: 'epoch', dataSet, epoch, examples, version: state.version, metrics: metrics.means() });
  }
}
