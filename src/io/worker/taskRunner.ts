/**
 * `worker.tasks`: takes generic tasks from the server, a few ahead of what it works on, hands each to the caller's
 * handler, and sends results back several at a time. How many it takes ahead follows from how long they take, so
 * that short ones cost few messages and long ones don't wait behind each other.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import { checkOptionObject, integer } from '../../core/base/optionObject.js';
import { MAX_HEADER_ARRAY } from '../../core/protocol/limits.js';
import type { TaskLeases } from '../../core/protocol/taskMessages.js';
import { decodeValue, type EncodedValue, encodeValue } from '../../core/protocol/valueCodec.js';
import type { LeaseAnswer } from '../../core/worker/events.js';
import { monotonicNow } from '../time.js';
import { abortedError, isPromiseLike, quiet } from './abort.js';
import type { Call, WorkerHost } from './workerHost.js';

/** Tasks are taken ahead for about so long. */
const AHEAD_MS = 20;
/** Most that are taken ahead. */
const MAX_AHEAD = 256;
/** Results are sent together up to this number, and up to this time. */
const MAX_RESULTS = 128;
const HOLD_MS = 5;
/** Before a task that may take longer the server is told that the event loop may be busy. */
const ANNOUNCED_MS = 50;
/** Longest text that is sent of what a handler threw. */
const MAX_REASON = 1000;

/** What a handler is told beside the input. */
export interface TaskContext {
  /** Aborted when the result is not wanted any more. */
  readonly signal: AbortSignal;
}

/** Does one task. What it returns is the result; it belongs to pslib until it is sent. What it throws fails the task. */
export type TaskHandler<I, R> = (input: I, context: TaskContext) => R | PromiseLike<R>;

/** How a worker handles tasks. */
export interface TasksOptions {
  /** Tasks at the same time, for handlers that wait for something; at most 1,024. Default 1. */
  readonly concurrency?: number;
  /** Its abort ends it; what is under way is not finished. */
  readonly signal?: AbortSignal;
}

/** What a worker has done. */
export interface TasksSummary {
  readonly done: number;
  /** Of which the handler threw, or the result could not be sent. */
  readonly failed: number;
  readonly seconds: number;
}

interface Waiting {
  readonly lease: number;
  readonly value: Uint8Array;
}

interface Result {
  readonly lease: number;
  readonly value: EncodedValue;
  readonly isFailed: boolean;
}

/** Throws `PS_INVALID_ARGUMENT`. */
export function checkTasksOptions(handler: unknown, options: TasksOptions): void {
  if (typeof handler !== 'function') throw invalidArgument('handler', handler, 'a function');
  const { concurrency = 1 } = checkOptionObject('tasks', options, ['concurrency', 'signal']);
  if (integer('tasks.concurrency', concurrency, 1) > MAX_HEADER_ARRAY) {
    throw invalidArgument('tasks.concurrency', concurrency, `an integer from 1 to ${MAX_HEADER_ARRAY}`);
  }
}

/** One call of `worker.tasks`. */
export class TaskRunner<I, R> {
  /** Resolves at the end. */
  readonly finished: Promise<TasksSummary>;
  readonly #host: WorkerHost;
  readonly #handler: TaskHandler<I, R>;
  readonly #concurrency: number;
  readonly #limits: { readonly maxBytes: number; readonly maxStepMs: number };
  readonly #queue: Waiting[] = [];
  readonly #running = new Map<number, AbortController>();
  #results: Result[] = [];
  /** Leases whose results the server may not have yet: a request for more may overtake them, and does not give them up. */
  readonly #sending = new Set<number>();
  readonly #startedAt: number = monotonicNow();
  #asking: Call<LeaseAnswer> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushedAt = 0;
  #maxResultBytes = Number.POSITIVE_INFINITY;
  /** Mean time of a task; undefined: none is done. */
  #meanMs: number | undefined;
  #done = 0;
  #failed = 0;
  #isOver = false;
  #resolve: (summary: TasksSummary) => void = () => {};
  #reject: (error: unknown) => void = () => {};

  constructor(
    host: WorkerHost,
    handler: TaskHandler<I, R>,
    concurrency: number,
    limits: { readonly maxBytes: number; readonly maxStepMs: number },
  ) {
    this.#host = host;
    this.#handler = handler;
    this.#concurrency = concurrency;
    this.#limits = limits;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#ask();
  }

  /** These tasks are not this worker's any more. */
  onRevoked(leases: readonly number[]): void {
    for (const lease of leases) {
      const at = this.#queue.findIndex((each) => each.lease === lease);
      if (at >= 0) this.#queue.splice(at, 1);
      this.#running.get(lease)?.abort(new PsError('PS_ABORTED', 'the task is not wanted any more'));
    }
  }

  /** The server wants no more, or the worker is closed: what is under way is given back. */
  end(error?: unknown): void {
    if (this.#isOver) return;
    this.#flush();
    this.#isOver = true;
    const reason = new PsError('PS_ABORTED', 'the worker handles no more tasks');
    this.#asking?.cancel(reason);
    this.#queue.length = 0;
    for (const controller of this.#running.values()) controller.abort(reason);
    this.#running.clear();
    if (!this.#host.core.hasEnded) void quiet(this.#call(0).answer);
    if (error !== undefined) this.#reject(error);
    else {
      const seconds = (monotonicNow() - this.#startedAt) / 1000;
      this.#resolve({ done: this.#done, failed: this.#failed, seconds });
    }
  }

  /** How many may wait here. */
  get #ahead(): number {
    const perTask = Math.max(this.#meanMs ?? AHEAD_MS, 0.01);
    return Math.min(MAX_AHEAD, Math.ceil((this.#concurrency * AHEAD_MS) / perTask));
  }

  #ask(): void {
    const ahead = this.#ahead;
    if (this.#isOver || this.#asking !== undefined || this.#queue.length > ahead / 2) return;
    // All that is held stands in the request, and in the next one with what this one brings.
    const held = this.#running.size + this.#queue.length + this.#results.length + this.#sending.size;
    const room = MAX_HEADER_ARRAY - held;
    if (room <= 0) return;
    const free = this.#concurrency - this.#running.size;
    const call = this.#call(Math.min(room, Math.max(1, ahead + free - this.#queue.length)));
    this.#asking = call;
    call.answer.then(
      (answer) => {
        this.#asking = undefined;
        this.#take(answer);
      },
      (error: unknown) => {
        this.#asking = undefined;
        this.end(error);
      },
    );
  }

  #call(want: number): Call<LeaseAnswer> {
    const { maxBytes } = this.#limits;
    const held = { [Symbol.iterator]: () => this.#held() };
    const concurrency = this.#concurrency;
    return this.#host.call({
      kind: 'lease',
      of: 'tasks',
      held,
      want,
      concurrency,
      maxBytes,
      into: undefined,
    });
  }

  *#held(): Generator<number> {
    yield* this.#running.keys();
    for (const { lease } of this.#queue) yield lease;
    for (const { lease } of this.#results) yield lease;
    yield* this.#sending;
  }

  #take({ message, bytes }: LeaseAnswer): void {
    if (this.#isOver) return;
    const { leases, lengths, maxResultBytes } = message as TaskLeases;
    this.#maxResultBytes = maxResultBytes;
    let at = 0;
    for (const [i, lease] of leases.entries()) {
      const end = at + (lengths[i] ?? 0);
      this.#queue.push({ lease, value: bytes.subarray(at, end) });
      at = end;
    }
    while (this.#running.size < this.#concurrency && this.#queue.length > 0) void this.#work();
    this.#ask();
  }

  /** Works through the queue, one task at a time. Never rejects. */
  async #work(): Promise<void> {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const controller = new AbortController();
      this.#running.set(next.lease, controller);
      const since = monotonicNow();
      const result = await this.#do(next, controller);
      // Revoked meanwhile: nobody waits for it.
      const isHeld = this.#running.get(next.lease) === controller && !controller.signal.aborted;
      this.#running.delete(next.lease);
      if (this.#isOver) return;
      const ms = monotonicNow() - since;
      this.#meanMs = this.#meanMs === undefined ? ms : this.#meanMs * 0.9 + ms * 0.1;
      if (isHeld) this.#add(result);
      this.#ask();
    }
    if (this.#running.size === 0) this.#flush();
  }

  async #do({ lease, value }: Waiting, controller: AbortController): Promise<Result> {
    try {
      if ((this.#meanMs ?? ANNOUNCED_MS) >= ANNOUNCED_MS) {
        await this.#host.call({ kind: 'computing', stepMs: this.#limits.maxStepMs }).answer;
      }
      const { signal } = controller;
      const returned = this.#handler(decodeValue(value) as I, { signal });
      const result = isPromiseLike(returned) ? await untilAborted(returned, signal) : returned;
      const encoded = encodeValue(result, 'the result');
      if (encoded.bytes > this.#maxResultBytes) {
        const text = `the result has ${encoded.bytes} bytes; limits.maxTaskBytes of the server is ${this.#maxResultBytes}`;
        throw new PsError('PS_LIMIT', text);
      }
      return { lease, value: encoded, isFailed: false };
    } catch (error) {
      return { lease, value: encodeValue(reasonOf(error)), isFailed: true };
    }
  }

  #add(result: Result): void {
    this.#results.push(result);
    if (result.isFailed) this.#failed++;
    else this.#done++;
    const isDue = this.#results.length >= MAX_RESULTS || monotonicNow() - this.#flushedAt > HOLD_MS;
    if (isDue) this.#flush();
    else this.#timer ??= setTimeout(() => this.#flush(), HOLD_MS);
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushedAt = monotonicNow();
    if (this.#results.length === 0 || this.#isOver) return;
    const results = this.#results;
    this.#results = [];
    const leases = results.map(({ lease }) => lease);
    for (const lease of leases) this.#sending.add(lease);
    const call = this.#host.call<undefined>({
      kind: 'results',
      leases,
      values: results.map(({ value }) => value),
      failed: results.flatMap(({ isFailed }, i) => (isFailed ? [i] : [])),
    });
    call.answer.then(
      () => {
        for (const lease of leases) this.#sending.delete(lease);
        this.#ask();
      },
      (error: unknown) => this.end(error),
    );
  }
}

/** `promise`, unless `signal` is aborted first: a handler that never returns does not keep its place. */
function untilAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(abortedError(signal.reason)), { once: true });
    promise.then(resolve, reject);
  });
}

function reasonOf(error: unknown): { code: string; message: string } {
  const code = error instanceof PsError ? error.code : 'PS_TASK_FAILED';
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code, message: message.slice(0, MAX_REASON) };
}
