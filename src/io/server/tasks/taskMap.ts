/**
 * `tasks.map`: inputs in, results out, as an async iterator with bounded memory on both sides. Inputs are
 * read while there is room; there is room while few enough are under way or wait to be taken. What workers do
 * is in the core: this only matches results to inputs.
 */
import { invalidArgument, PsError } from '../../../core/base/errors.js';
import { decodeValue, type EncodedValue, encodeValue } from '../../../core/protocol/valueCodec.js';
import type { PoolTask } from '../../../core/tasks/taskPool.js';
import {
  type CheckedMapOptions,
  checkMapOptions,
  type MapOptions,
  type MapProgress,
  type TaskInputs,
  type TaskOutcome,
} from './mapOptions.js';

/** Tasks of one `map` that are under way or done and not taken. */
const WINDOW_TASKS = 4096;
/** Bytes of inputs and results of those; one task always may be under way. */
const WINDOW_BYTES = 134_217_728;
/** Tasks under way while it is not known how long a result is. */
const FIRST_TASKS = 32;
/** After a long result, how fast shorter ones lower what is expected of the next. */
const EXPECTED_DECAY = 0.9;
/** Inputs of an iterable are read in turns of so many at most. */
const TURN_TASKS = 512;

/** How a map gives tasks to its server. */
export interface MapHost {
  /** The number of the next task. */
  nextTask(): number;
  add(tasks: readonly PoolTask<EncodedValue>[], owner: TaskOwner): void;
  cancel(ids: ReadonlySet<number>): void;
  ended(owner: TaskOwner): void;
}

/** Who hears of a task. */
export interface TaskOwner {
  onResult(task: number, worker: string, value: Uint8Array): void;
  onFailed(task: number, attempts: number, error: PsError): void;
  /** The server has closed. */
  fail(error: PsError): void;
}

interface UnderWay<I> {
  readonly index: number;
  readonly input: I;
  readonly bytes: number;
  readonly task: PoolTask<EncodedValue>;
}

interface Ready<I, R> {
  readonly outcome: TaskOutcome<I, R>;
  readonly bytes: number;
}

/** One call of `tasks.map`. */
export class TaskMap<I, R> implements AsyncIterableIterator<TaskOutcome<I, R>>, TaskOwner {
  readonly #host: MapHost;
  readonly #options: CheckedMapOptions;
  readonly #inputs: Iterator<I> | AsyncIterator<I>;
  readonly #underWay = new Map<number, UnderWay<I>>();
  /** Outcomes that were not taken: in the order in which they came, or by index. */
  readonly #ready = new Map<number, Ready<I, R>>();
  #waiters: ((taken: IteratorResult<TaskOutcome<I, R>, undefined> | PromiseLike<never>) => void)[] = [];
  #bytes = 0;
  /** Room that a result is expected to take; undefined: none has come. */
  #resultBytes: number | undefined;
  #read = 0;
  #taken = 0;
  #done = 0;
  #failed = 0;
  #isReading = false;
  #isWhole = false;
  #isOver = false;
  #error: unknown;

  /** Throws `PS_INVALID_ARGUMENT`. */
  constructor(host: MapHost, inputs: TaskInputs<I>, options: MapOptions = {}) {
    this.#host = host;
    this.#options = checkMapOptions(options);
    this.#inputs = iteratorOf(inputs);
    const { signal } = this.#options;
    if (signal?.aborted === true) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#pump();
  }

  get progress(): MapProgress {
    return { read: this.#read, done: this.#done, failed: this.#failed, isWhole: this.#isWhole };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<TaskOutcome<I, R>, undefined>> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
      this.#serve();
    });
  }

  /** Nobody wants the rest: tasks that wait are dropped, those under way are called off. */
  async return(): Promise<IteratorResult<TaskOutcome<I, R>, undefined>> {
    this.#end();
    this.#serve();
    return { done: true, value: undefined };
  }

  onResult(task: number, worker: string, value: Uint8Array): void {
    const found = this.#settle(task);
    if (found === undefined) return;
    const { index, input } = found;
    this.#resultBytes = Math.max(value.length, (this.#resultBytes ?? 0) * EXPECTED_DECAY);
    let result: R;
    try {
      result = decodeValue(value) as R;
    } catch (error) {
      this.#tryAgain(found, worker, error as PsError);
      return;
    }
    this.#done++;
    this.#put({ index, input, result, worker }, value.length);
  }

  /** A worker sent what is no value: another may do better. */
  #tryAgain(found: UnderWay<I>, worker: string, error: PsError): void {
    const { task, bytes } = found;
    task.attempts++;
    if (task.attempts < task.maxAttempts) {
      this.#underWay.set(task.id, found);
      this.#bytes += bytes;
      this.#host.add([task], this);
      return;
    }
    const { index, input } = found;
    this.#failed++;
    const cause = new PsError(error.code, `on ${worker}: ${error.message}`);
    this.#put({ index, input, error: described(index, task.attempts, cause), attempts: task.attempts }, 0);
  }

  onFailed(task: number, attempts: number, error: PsError): void {
    const found = this.#settle(task);
    if (found === undefined) return;
    const { index, input } = found;
    this.#failed++;
    this.#put({ index, input, error: described(index, attempts, error), attempts }, 0);
  }

  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#ready.clear();
    this.#error = error;
    this.#end();
    this.#serve();
  }

  readonly #onAbort = (): void => {
    this.fail(new PsError('PS_ABORTED', 'the map was aborted', { cause: this.#options.signal?.reason }));
  };

  #settle(task: number): UnderWay<I> | undefined {
    const found = this.#underWay.get(task);
    if (found === undefined) return undefined;
    this.#underWay.delete(task);
    this.#bytes -= found.bytes;
    return found;
  }

  #put(outcome: TaskOutcome<I, R>, bytes: number): void {
    this.#bytes += bytes;
    this.#ready.set(outcome.index, { outcome, bytes });
    this.#tell();
    this.#serve();
    this.#pump();
  }

  #tell(): void {
    try {
      this.#options.onProgress?.(this.progress);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Gives what is ready to those who wait for it. */
  #serve(): void {
    while (this.#waiters.length > 0) {
      const key = this.#options.inOrder ? this.#taken : this.#ready.keys().next().value;
      const ready = key === undefined ? undefined : this.#ready.get(key);
      if (ready !== undefined && key !== undefined) {
        this.#ready.delete(key);
        this.#bytes -= ready.bytes;
        this.#taken++;
        this.#waiters.shift()?.({ done: false, value: ready.outcome });
        this.#pump();
        continue;
      }
      const isEnd = this.#isOver || (this.#isWhole && this.#underWay.size === 0 && this.#ready.size === 0);
      if (!isEnd) return;
      const error = this.#error;
      this.#error = undefined;
      this.#waiters.shift()?.(error === undefined ? { done: true, value: undefined } : Promise.reject(error));
      this.#end();
    }
  }

  /** What is under way will come back as results, which need room too. */
  get #hasRoom(): boolean {
    const open = this.#underWay.size;
    const count = open + this.#ready.size;
    if (count === 0) return true;
    if (count >= (this.#resultBytes === undefined ? FIRST_TASKS : WINDOW_TASKS)) return false;
    return this.#bytes + open * (this.#resultBytes ?? 0) < WINDOW_BYTES;
  }

  /** Reads inputs while there is room, and makes tasks of them. */
  #pump(): void {
    if (this.#isReading || this.#isWhole || this.#isOver || !this.#hasRoom) return;
    this.#isReading = true;
    const made: PoolTask<EncodedValue>[] = [];
    try {
      for (let count = 0; this.#hasRoom && count < TURN_TASKS; count++) {
        const item = this.#inputs.next();
        if ('then' in item) {
          this.#await(item);
          this.#give(made);
          return;
        }
        if (!this.#take(item, made)) break;
      }
    } catch (error) {
      this.#onInputsFailed(error);
    }
    this.#isReading = false;
    this.#give(made);
    // A large iterable is read over several turns.
    if (!this.#isWhole && this.#hasRoom && made.length > 0) setImmediate(() => this.#pump());
  }

  #await(item: PromiseLike<IteratorResult<I>>): void {
    item.then(
      (result) => {
        const made: PoolTask<EncodedValue>[] = [];
        this.#take(result, made);
        this.#give(made);
        this.#isReading = false;
        this.#pump();
        this.#serve();
      },
      (error: unknown) => {
        this.#isReading = false;
        this.#onInputsFailed(error);
        this.#serve();
      },
    );
  }

  /** Makes a task of an input; false at the end. */
  #take(item: IteratorResult<I>, made: PoolTask<EncodedValue>[]): boolean {
    if (item.done === true || this.#isOver) {
      this.#isWhole = true;
      return false;
    }
    const index = this.#read++;
    const input = item.value;
    try {
      const encoded = encodeValue(input, `input ${index}`);
      const id = this.#host.nextTask();
      const { retries, timeoutMs } = this.#options;
      const task = {
        ...{ id, input: encoded, maxAttempts: retries + 1, timeoutMs },
        ...{ attempts: 0, startedAt: undefined },
      };
      this.#underWay.set(id, { index, input, bytes: encoded.bytes, task });
      this.#bytes += encoded.bytes;
      made.push(task);
    } catch (error) {
      this.#failed++;
      this.#ready.set(index, { outcome: { index, input, error: error as PsError, attempts: 0 }, bytes: 0 });
      this.#tell();
    }
    return true;
  }

  #give(made: readonly PoolTask<EncodedValue>[]): void {
    if (made.length > 0) this.#host.add(made, this);
    this.#serve();
  }

  /** What was read is carried through; then the iteration ends with the error. */
  #onInputsFailed(cause: unknown): void {
    this.#isWhole = true;
    const reason = cause instanceof Error ? cause.message : String(cause);
    this.#error = new PsError('PS_TASK_FAILED', `the inputs of map failed after ${this.#read}: ${reason}`, {
      cause,
    });
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (!this.#isWhole) {
      this.#isWhole = true;
      // A generator that waits can't be ended now: nobody waits for it.
      const ended = this.#inputs.return?.();
      if (ended !== undefined && 'then' in ended) ended.then(undefined, () => {});
    }
    const open = new Set(this.#underWay.keys());
    this.#underWay.clear();
    this.#ready.clear();
    if (open.size > 0) this.#host.cancel(open);
    this.#host.ended(this);
  }
}

function described(index: number, attempts: number, error: PsError): PsError {
  const times = attempts === 1 ? 'once' : `${attempts} times`;
  const code = error.code === 'PS_LEASE_EXPIRED' ? 'PS_TASK_FAILED' : error.code;
  return new PsError(code, `task ${index} failed ${times}; at last ${error.message}`, { cause: error });
}

function iteratorOf<I>(inputs: TaskInputs<I>): Iterator<I> | AsyncIterator<I> {
  if (typeof inputs === 'object' && inputs !== null) {
    if (Symbol.asyncIterator in inputs) return inputs[Symbol.asyncIterator]();
    if (Symbol.iterator in inputs) return inputs[Symbol.iterator]();
  }
  throw invalidArgument('inputs', inputs, 'an iterable or an async iterable');
}
