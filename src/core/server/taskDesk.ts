/**
 * Generic tasks at the counter: handed out to workers that ask, several at a time; their results and
 * failures are taken back under the lease they were handed out with. What comes under a lease that has ended
 * is passed over. A task of a worker that died, or that took too long, is handed out again.
 */
import { PsError } from '../base/errors.js';
import { MAX_LEASES } from '../protocol/limits.js';
import { MessageType } from '../protocol/messages.js';
import type { TaskRequest, TaskResultChunk, TaskResults } from '../protocol/taskMessages.js';
import { decodeValue, type EncodedValue } from '../protocol/valueCodec.js';
import { joinValues, ValueStream } from '../protocol/valueStream.js';
import type { Lease } from '../tasks/leaseBook.js';
import { type PoolTask, TaskPool } from '../tasks/taskPool.js';
import type { CoreContext } from './context.js';
import type { Session } from './session.js';
import { TaskIntake } from './taskIntake.js';

/** Inputs that are handed out in one message, about so many bytes; one task always is. */
const MAX_GRANT_BYTES = 16_777_216;

interface WaitingRequest {
  readonly session: Session;
  readonly connection: number;
  readonly request: number;
  readonly want: number;
  deadline: number;
}

type HeldTask = Lease<PoolTask<EncodedValue>>;

/** The generic tasks of one server. */
export class TaskDesk {
  readonly pool: TaskPool<EncodedValue> = new TaskPool();
  readonly #context: CoreContext;
  readonly #waiting = new Map<Session, WaitingRequest>();
  /** How many tasks each worker works on at a time. */
  readonly #concurrency = new Map<string, number>();
  /** Results that are arriving, by connection. */
  readonly #intakes = new Map<number, TaskIntake>();

  constructor(context: CoreContext) {
    this.#context = context;
  }

  /** Requests that wait now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  add(tasks: readonly PoolTask<EncodedValue>[]): void {
    for (const task of tasks) this.pool.add(task);
    this.#context.isDirty = true;
  }

  /** Nobody wants these tasks any more: their workers are told. */
  cancel(ids: ReadonlySet<number>): void {
    this.#revoke(this.pool.cancel(ids));
  }

  ask(session: Session, connection: number, message: TaskRequest): void {
    const { options, now } = this.#context;
    const { request, held, want, concurrency } = message;
    this.#concurrency.set(session.id, concurrency);
    if (held !== undefined) {
      const kept = new Set(held);
      for (const { number } of this.pool.leases.of(session.id)) {
        if (!kept.has(number)) this.#giveBack(number, undefined);
      }
    }
    const deadline = now + options.limits.pullTimeoutMs;
    const waiting = { session, connection, request, want: Math.min(want, MAX_LEASES), deadline };
    if (want === 0) this.#answerNothing(waiting);
    else {
      this.#waiting.set(session, waiting);
      this.#serve(waiting);
    }
  }

  /** Results begin to arrive, or go on (`TaskResultChunk`). Throws `PS_PROTOCOL`. */
  receive(
    session: Session,
    connection: number,
    message: TaskResults | TaskResultChunk,
    payload: Uint8Array,
  ): void {
    let intake = this.#intakes.get(connection);
    if (message.t === MessageType.taskResults) {
      if (intake !== undefined) throw new PsError('PS_PROTOCOL', 'results begin within others');
      const isHeld = (lease: number): boolean => this.pool.leases.find(lease, session.id) !== undefined;
      intake = new TaskIntake(message, this.#context.options.limits.maxTaskBytes, isHeld);
      intake.add(undefined, payload);
    } else {
      if (intake === undefined) throw new PsError('PS_PROTOCOL', 'a chunk of results that never began');
      intake.add(message, payload);
    }
    if (!intake.isComplete) {
      this.#intakes.set(connection, intake);
      this.#checkRoom();
      return;
    }
    this.#intakes.delete(connection);
    for (const result of intake.results()) this.#take(session, result);
    const { request } = intake.message;
    this.#context.emit({ kind: 'send', connection, message: { t: MessageType.taskAck, request } });
  }

  /** All results that are arriving together have as much room as pushes. Throws `PS_LIMIT`: who is one too many comes again. */
  #checkRoom(): void {
    const { stagingBytes, maxTaskBytes } = this.#context.options.limits;
    let bytes = 0;
    for (const { heldBytes } of this.#intakes.values()) bytes += heldBytes;
    if (bytes <= Math.max(stagingBytes, maxTaskBytes)) return;
    throw new PsError(
      'PS_LIMIT',
      `${bytes} bytes of results are arriving; limits.stagingBytes is ${stagingBytes}`,
    );
  }

  /** Looks at every waiting request again. */
  reconsider(): void {
    for (const waiting of this.#waiting.values()) {
      if (this.pool.waiting === 0) return;
      this.#serve(waiting);
    }
  }

  /** Forgets what a connection had under way; `request`: only that request. */
  forget(connection: number, request?: number): void {
    if (request === undefined) this.#intakes.delete(connection);
    for (const waiting of this.#waiting.values()) {
      const isMeant = waiting.connection === connection && (request ?? waiting.request) === waiting.request;
      if (isMeant) this.#waiting.delete(waiting.session);
    }
  }

  /** A worker has left: what it was working on counts as tried, what it had not begun does not. */
  onLeft({ id }: Session): void {
    const held = this.pool.leases.of(id);
    if (held.length > 0) {
      const concurrency = this.#concurrency.get(id) ?? 1;
      const lost = new PsError('PS_LEASE_EXPIRED', `its worker ${id} was lost`);
      for (const [i, { number }] of held.entries())
        this.#giveBack(number, i < concurrency ? lost : undefined);
    }
    this.#concurrency.delete(id);
  }

  /** The server has paused for so long: attempts have more time. */
  postpone(pausedMs: number): void {
    for (const waiting of this.#waiting.values()) waiting.deadline += pausedMs;
    for (const { task } of this.pool.leases) if (task.startedAt !== undefined) task.startedAt += pausedMs;
  }

  onTick(): void {
    const { now } = this.#context;
    for (const waiting of this.#waiting.values()) if (now >= waiting.deadline) this.#answerNothing(waiting);
    const late: HeldTask[] = [];
    for (const [id, concurrency] of this.#concurrency) {
      for (const lease of this.pool.running(id, concurrency, now)) {
        const { startedAt = now, timeoutMs } = lease.task;
        if (now - startedAt >= timeoutMs) late.push(lease);
      }
    }
    this.#revoke(late);
    for (const { number, task, holder } of late) {
      this.#giveBack(
        number,
        new PsError('PS_TASK_TIMEOUT', `not done after ${task.timeoutMs} ms by ${holder}`),
      );
    }
  }

  nextTickAt(): number {
    let at = Number.POSITIVE_INFINITY;
    for (const { deadline } of this.#waiting.values()) at = Math.min(at, deadline);
    for (const [id, concurrency] of this.#concurrency) {
      for (const { task } of this.pool.running(id, concurrency, this.#context.now)) {
        at = Math.min(at, (task.startedAt ?? 0) + task.timeoutMs);
      }
    }
    return at;
  }

  #serve(waiting: WaitingRequest): void {
    const granted: HeldTask[] = [];
    let bytes = 0;
    for (let next = this.pool.peek(); next !== undefined; next = this.pool.peek()) {
      const isFull = granted.length >= waiting.want || bytes + next.input.bytes > MAX_GRANT_BYTES;
      if (isFull && granted.length > 0) break;
      granted.push(this.pool.take(waiting.session.id));
      bytes += next.input.bytes;
    }
    if (granted.length > 0) this.#answer(waiting, granted);
  }

  /** One small message: a flood of requests for nothing finds the bound on what is not read. */
  #answerNothing({ session, connection, request }: WaitingRequest): void {
    this.#waiting.delete(session);
    const { maxTaskBytes: maxResultBytes } = this.#context.options.limits;
    const message = { t: MessageType.taskLeases, request, leases: [], lengths: [], bytes: 0, maxResultBytes };
    this.#context.emit({ kind: 'send', connection, message });
  }

  #answer({ session, connection, request }: WaitingRequest, granted: readonly HeldTask[]): void {
    const { emit, nextStream, options } = this.#context;
    const { maxTaskBytes: maxResultBytes, chunkBytes } = options.limits;
    this.#waiting.delete(session);
    const input = joinValues(granted.map(({ task }) => task.input));
    const head = {
      t: MessageType.taskLeases,
      request,
      leases: granted.map(({ number }) => number),
      lengths: granted.map(({ task }) => task.input.bytes),
      bytes: input.bytes,
      maxResultBytes,
    };
    const chunk = (offset: number) => ({ t: MessageType.leaseChunk, request, offset }) as const;
    emit({
      kind: 'stream',
      connection,
      stream: new ValueStream(nextStream(), input, { head, chunk }, chunkBytes),
    });
  }

  #take(
    { id }: Session,
    { lease, value, isFailed }: { lease: number; value: Uint8Array; isFailed: boolean },
  ): void {
    if (this.pool.leases.find(lease, id) === undefined) return;
    if (isFailed) {
      this.#giveBack(lease, failureOf(value, id));
      return;
    }
    const task = this.pool.finish(lease, id);
    if (task !== undefined) this.#context.observe({ kind: 'taskResult', task: task.id, id, value });
  }

  /** `error`: why the attempt failed; undefined: it was none. */
  #giveBack(lease: number, error: PsError | undefined): void {
    const failed = this.pool.giveBack(lease, error !== undefined);
    this.#context.isDirty = true;
    if (failed === undefined || error === undefined) return;
    this.#context.observe({ kind: 'taskFailed', task: failed.id, attempts: failed.attempts, error });
  }

  #revoke(leases: readonly HeldTask[]): void {
    const byHolder = new Map<string, number[]>();
    for (const { number, holder } of leases) {
      const numbers = byHolder.get(holder);
      if (numbers === undefined) byHolder.set(holder, [number]);
      else numbers.push(number);
    }
    for (const [holder, numbers] of byHolder) {
      const connection = this.#context.state.sessions.get(holder)?.connection;
      if (connection === undefined) continue;
      for (let at = 0; at < numbers.length; at += MAX_LEASES) {
        const part = numbers.slice(at, at + MAX_LEASES);
        this.#context.emit({ kind: 'send', connection, message: { t: MessageType.revoke, leases: part } });
      }
    }
  }
}

/** Why a worker says that a task failed: a value `{ code, message }`. */
function failureOf(value: Uint8Array, id: string): PsError {
  try {
    const { code, message } = decodeValue(value) as { code?: unknown; message?: unknown };
    const text = typeof message === 'string' ? message.slice(0, 1024) : 'it did not say why';
    const isInvalid = code === 'PS_VALUE_INVALID' || code === 'PS_LIMIT';
    return new PsError(isInvalid ? code : 'PS_TASK_FAILED', `on ${id}: ${text}`);
  } catch {
    return new PsError('PS_TASK_FAILED', `on ${id}: it did not say why`);
  }
}
