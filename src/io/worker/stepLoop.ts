/**
 * The training loop behind `run` and `steps`: pull → (the caller computes) → push and tick, in the clock
 * table from its begin to its end. The next pull leaves right behind the push, so a step costs one
 * exchange. It computes nothing itself.
 */
import { PsError } from '../../core/base/errors.js';
import type { CatalogueEntry } from '../../core/tensor/catalogue.js';
import type { ClockAnswer, PullAnswer, PushAnswer, Rollback } from '../../core/worker/events.js';
import type { CheckedGradients } from '../../core/worker/gradients.js';
import { monotonicNow } from '../time.js';
import { abortedError, isPromiseLike, quiet, raceAbort, sleep } from './abort.js';
import type { BatchItem, BatchSource } from './batchSource.js';
import type { StepEvent } from './workerEvents.js';
import type { Call, WorkerHost } from './workerHost.js';

/** How long the end of a loop waits for the server to know of it. */
const LEAVE_MS = 5000;

/** What a loop is told. */
export interface LoopOptions<B> {
  readonly source: BatchSource<B>;
  /** Infinity: as long as there are batches. */
  readonly maxSteps: number;
  readonly signal: AbortSignal | undefined;
  readonly pullTimeoutMs: number;
  readonly maxStepMs: number;
  readonly onRollback: 'reject' | 'continue';
  readonly onStep: (event: StepEvent) => void;
}

/** What a loop has done. */
export interface RunSummary {
  /** Steps whose push was answered. */
  readonly steps: number;
  readonly examples: number;
  readonly seconds: number;
  /** The part of `seconds` that was spent waiting for pulls and pushes. */
  readonly waitSeconds: number;
  readonly pulledBytes: number;
  readonly pushedBytes: number;
  /** What ended it: the number of steps, the end of the data, or the server's `finish`. */
  readonly endedBy: 'steps' | 'data' | 'finish';
  /** The reason that the server gave, if it was `finish`. */
  readonly finishReason?: string;
}

/** What the gradients of a step come with. */
export interface StepReport {
  readonly metrics: Readonly<Record<string, number>> | undefined;
  readonly examples: number | undefined;
}

/** One training loop of one worker. */
export class StepLoop<B> {
  /** The parameters, in catalogue order; overwritten once a step has been pushed. */
  readonly arrays: readonly Float32Array[];
  readonly #host: WorkerHost;
  readonly #options: LoopOptions<B>;
  readonly #buffer: ArrayBufferLike;
  /** Aborted when the loop fails; the reason is the error. */
  readonly #failure = new AbortController();
  /** Aborted when the loop fails or is to take no further step. */
  readonly #halt = new AbortController();
  readonly #startedAt: number = monotonicNow();
  #pull: Call<PullAnswer> | undefined;
  /** Whether `#pull` is answered. */
  #isPulled = false;
  #push: Call<PushAnswer | ClockAnswer> | undefined;
  /** The next step's batch, already asked for. */
  #ahead: BatchItem<B> | Promise<BatchItem<B>> | undefined;
  #current: BatchItem<B> | undefined;
  /** The server lost its state after these parameters were pulled. */
  #rollback: Rollback | undefined;
  #finishReason: string | undefined;
  #endedBy: RunSummary['endedBy'] = 'steps';
  #steps = 0;
  #examples = 0;
  #waitMs = 0;
  #stepWaitMs = 0;
  #pulledBytes = 0;
  #pushedBytes = 0;

  constructor(host: WorkerHost, entries: readonly CatalogueEntry[], options: LoopOptions<B>) {
    this.#host = host;
    this.#options = options;
    // One piece of memory, so that a chunk of the model is one copy, or none.
    const length = entries.reduce((sum, entry) => sum + entry.length, 0);
    const all = new Float32Array(length);
    this.arrays = entries.map((entry) => all.subarray(entry.offset, entry.offset + entry.length));
    this.#buffer = all.buffer;
  }

  /** Aborted when the loop fails or is aborted. */
  get signal(): AbortSignal {
    return this.#failure.signal;
  }

  /** The number of the present step. */
  get step(): number {
    return this.#steps;
  }

  /** Enters the clock table. */
  async begin(): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort);
    await this.orFailure(this.#host.call({ kind: 'clock', operation: 'enter' }).answer);
  }

  readonly #onAbort = (): void => this.fail(abortedError(this.#options.signal?.reason));

  /** Ends the loop with `error`, whatever it waits for. */
  fail(error: PsError): void {
    this.#failure.abort(error);
    this.#halt.abort(error);
    this.#pull?.cancel(error);
    this.#push?.cancel(error);
  }

  /** The server wants every run to end after its step. */
  onFinish(reason: string): void {
    this.#finishReason = reason;
    const error = new PsError('PS_ABORTED', 'the run is finished');
    this.#halt.abort(error);
    this.#pull?.cancel(error);
  }

  onRollback(rollback: Rollback): void {
    if (this.#options.onRollback === 'continue') {
      this.#rollback = rollback;
      // What was pulled for the next step is lost too; a pull under way will bring what there is now.
      if (this.#isPulled) this.#pull = undefined;
      return;
    }
    const count = `${rollback.lostPushes} pushes of this worker`;
    this.fail(new PsError('PS_STATE_LOST', `the server went back to an older state, without ${count}`));
  }

  /** Waits until the next step can be computed; resolves with its batch, or undefined at the end. */
  async next(): Promise<{ readonly batch: B } | undefined> {
    this.#throwIfFailed();
    try {
      if (this.#steps >= this.#options.maxSteps) return undefined;
      if (this.#finishReason !== undefined) throw this.#halt.signal.reason;
      this.#ahead ??= this.#read();
      const item = isPromiseLike(this.#ahead) ? await raceAbort(this.#ahead, this.#halt.signal) : this.#ahead;
      this.#ahead = undefined;
      if (item.done) {
        this.#endedBy = 'data';
        return undefined;
      }
      this.#current = item;
      this.#startPull();
      const { batch } = item;
      const ready = isPromiseLike(batch) ? await raceAbort(batch, this.#halt.signal) : batch;
      await this.#awaitPull();
      return { batch: ready };
    } catch (error) {
      this.#throwIfFailed();
      if (this.#finishReason === undefined) throw error;
      this.#endedBy = 'finish';
      return undefined;
    }
  }

  async #awaitPull(): Promise<void> {
    const call = this.#pull;
    if (call === undefined) return;
    const since = monotonicNow();
    const answer = await call.answer;
    this.#waited(since);
    this.#pull = undefined;
    this.#pulledBytes += answer.bytes;
    this.#rollback = undefined;
  }

  /** Tells the server that the event loop may be busy now. Resolves when the system has taken the message. */
  announce(): Promise<unknown> {
    return this.#host.call({ kind: 'computing', stepMs: this.#options.maxStepMs }).answer;
  }

  /** `promise`, unless the loop fails first. */
  orFailure<T>(promise: PromiseLike<T>): Promise<T> {
    return raceAbort(promise, this.#failure.signal);
  }

  /**
   * Ends a step: pushes `gradients`, if there are any, and ticks; then asks for what the next step needs.
   * Resolves with what happened to the push. Gradients of parameters that the server lost meanwhile are
   * not sent, and the step is taken again.
   */
  async endStep(
    gradients: CheckedGradients | undefined,
    report: StepReport,
  ): Promise<PushAnswer | undefined> {
    this.#throwIfFailed();
    const { clock } = this.#host.core;
    if (this.#rollback !== undefined) {
      this.#ahead = this.#current;
      const { version } = this.#rollback;
      return { outcome: 'dropped', duplicate: false, version, delay: 0, clock, minClock: clock };
    }
    const call = this.#send(gradients, report);
    this.#push = call;
    this.#prepareNext();
    const since = monotonicNow();
    try {
      const answer = await call.answer;
      this.#waited(since);
      const push = 'outcome' in answer ? answer : undefined;
      this.#count(push, gradients?.bytes ?? 0, report);
      return push;
    } catch (error) {
      this.#throwIfFailed();
      // Its push was lost with the server's state, and the caller wants to go on.
      const rollback = this.#rollback as Rollback | undefined;
      const isLost =
        rollback !== undefined && error instanceof PsError && error.code === 'PS_OUTCOME_UNKNOWN';
      if (!isLost) throw error;
      return {
        outcome: 'dropped',
        duplicate: false,
        version: rollback.version,
        delay: 0,
        clock,
        minClock: clock,
      };
    } finally {
      this.#push = undefined;
    }
  }

  #send(gradients: CheckedGradients | undefined, report: StepReport): Call<PushAnswer | ClockAnswer> {
    if (gradients === undefined) return this.#host.call({ kind: 'clock', operation: 'tick' });
    const { tensors } = gradients;
    // A gradient computed in place stands where the next pull will write.
    const values = gradients.values.map((each) => (each.buffer === this.#buffer ? each.slice() : each));
    return this.#host.call({ kind: 'push', tensors, values, tick: true, ...report });
  }

  /** Asks for the next batch, and for its parameters as soon as there is one. */
  #prepareNext(): void {
    if (this.#steps + 1 >= this.#options.maxSteps || this.#halt.signal.aborted) return;
    this.#ahead = this.#read();
    if (!isPromiseLike(this.#ahead)) {
      if (!this.#ahead.done) this.#startPull();
      return;
    }
    const startPull = (item: BatchItem<B>) => {
      if (!item.done) this.#startPull();
    };
    this.#ahead.then(startPull, () => {});
  }

  /** The next item of the data; never throws. */
  #read(): BatchItem<B> | Promise<BatchItem<B>> {
    try {
      const item = this.#options.source.next(this.#steps + (this.#push === undefined ? 0 : 1));
      if (isPromiseLike(item)) return quiet(item);
      if (!item.done && isPromiseLike(item.batch)) void quiet(item.batch);
      return item;
    } catch (error) {
      return quiet(Promise.reject(error));
    }
  }

  #startPull(): void {
    if (this.#pull !== undefined || this.#halt.signal.aborted) return;
    const { pullTimeoutMs: timeoutMs } = this.#options;
    this.#pull = this.#host.call({
      kind: 'pull',
      tensors: undefined,
      into: this.arrays,
      training: true,
      ifNewerThan: undefined,
      wait: false,
      consistent: true,
      timeoutMs,
    });
    this.#isPulled = false;
    const onAnswer = () => {
      this.#isPulled = true;
    };
    this.#pull.answer.then(onAnswer, () => {});
  }

  #count(push: PushAnswer | undefined, bytes: number, report: StepReport): void {
    const examples = report.examples ?? 0;
    const { clock } = this.#host.core;
    const { outcome, duplicate = false, version, delay } = push ?? {};
    const step = this.#steps;
    const { metrics } = report;
    this.#steps++;
    this.#examples += examples;
    this.#pushedBytes += bytes;
    const waitMs = this.#stepWaitMs;
    this.#stepWaitMs = 0;
    this.#options.onStep({ step, clock, outcome, duplicate, version, delay, metrics, examples, waitMs });
  }

  #waited(since: number): void {
    const waitMs = monotonicNow() - since;
    this.#waitMs += waitMs;
    this.#stepWaitMs += waitMs;
  }

  /** Leaves the clock table. Never rejects: what the loop ended with is of more interest. */
  async end(): Promise<void> {
    const { signal, source } = this.#options;
    signal?.removeEventListener('abort', this.#onAbort);
    this.#pull?.cancel(new PsError('PS_ABORTED', 'the run has ended'));
    try {
      source.close();
    } catch {
      // The data's own end failed; the run is over all the same.
    }
    const { core } = this.#host;
    if (core.hasEnded) return;
    const left = quiet(this.#host.call({ kind: 'clock', operation: 'leave' }).answer);
    // Without a connection it is told later, before anything else.
    if (!core.isOpen) return;
    const enough = new AbortController();
    const isLeft = left.then(
      () => enough.abort(),
      () => enough.abort(),
    );
    await Promise.race([isLeft, sleep(LEAVE_MS, enough.signal).catch(() => {})]);
  }

  summary(): RunSummary {
    return {
      steps: this.#steps,
      examples: this.#examples,
      seconds: (monotonicNow() - this.#startedAt) / 1000,
      waitSeconds: this.#waitMs / 1000,
      pulledBytes: this.#pulledBytes,
      pushedBytes: this.#pushedBytes,
      endedBy: this.#endedBy,
      ...(this.#endedBy === 'finish' ? { finishReason: this.#finishReason ?? '' } : {}),
    };
  }

  #throwIfFailed(): void {
    if (this.#failure.signal.aborted) throw this.#failure.signal.reason;
  }
}
