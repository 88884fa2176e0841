/**
 * The training loop behind `run` and `steps`: pull → (the caller computes) → push and tick, in the clock
 * table from its begin to its end. The next pull leaves right behind the push, so a step costs one
 * exchange. With a pipeline of k steps the exchange runs under the computing of the next ones: the pull
 * behind the push of step t is for step t + k + 1. It computes nothing itself.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { DataRange } from '../../core/tasks/dataProgress.js';
import type { CatalogueEntry } from '../../core/tensor/catalogue.js';
import type { PushAnswer, Rollback } from '../../core/worker/events.js';
import type { CheckedGradients } from '../../core/worker/gradients.js';
import { monotonicNow } from '../time.js';
import { abortedError, isPromiseLike, quiet, raceAbort, sleep } from './abort.js';
import { type BatchItem, type BatchPart, partOf, rangeOf } from './batchSource.js';
import { leaveTable } from './leaveTable.js';
import type { LoopOptions } from './loopOptions.js';
import { PullsAhead } from './pullsAhead.js';
import { PushesBehind, type StepAnswer } from './pushesBehind.js';
import { Refusals } from './refusals.js';
import { type RunSummary, RunTally } from './runSummary.js';
import type { Call, WorkerHost } from './workerHost.js';

/** What the gradients of a step come with. */
export interface StepReport {
  readonly metrics: Readonly<Record<string, number>> | undefined;
  readonly examples: number | undefined;
}

/** A step whose push is not answered. */
interface SentStep<B> {
  readonly call: Call<StepAnswer>;
  readonly step: number;
  readonly item: BatchItem<B> | undefined;
  readonly bytes: number;
  readonly report: StepReport;
}

/** One training loop of one worker. */
export class StepLoop<B> {
  readonly #host: WorkerHost;
  readonly #options: LoopOptions<B>;
  readonly #pulls: PullsAhead<B>;
  readonly #pushes: PushesBehind;
  /** Aborted when the loop fails; the reason is the error. */
  readonly #failure = new AbortController();
  /** Aborted when the loop fails or is to take no further step. */
  readonly #halt = new AbortController();
  readonly #tally = new RunTally();
  /** The next step's batch, already asked for. */
  #ahead: BatchItem<B> | Promise<BatchItem<B>> | undefined;
  #current: BatchItem<B> | undefined;
  /** The server lost its state after these parameters were pulled. */
  #rollback: Rollback | undefined;
  #finishReason: string | undefined;
  /** Batches of steps that are taken again. */
  readonly #again: BatchItem<B>[] = [];
  readonly #refusals: Refusals;
  /** Over when the server may be asked again after a refusal. */
  #pause: Promise<void> | undefined;
  #endedBy: RunSummary['endedBy'] = 'steps';
  /** The number of the present step. */
  #step = 0;

  /** Throws `PS_INVALID_ARGUMENT` if the server's consistency model allows no such pipeline. */
  constructor(host: WorkerHost, entries: readonly CatalogueEntry[], options: LoopOptions<B>) {
    const { pipeline, pullTimeoutMs: timeoutMs, rowsOf } = options;
    const { staleness } = host.core;
    if (pipeline > staleness) {
      const expected = `at most ${staleness}: the server lets nobody be further ahead`;
      throw invalidArgument('pipeline', pipeline, expected);
    }
    this.#host = host;
    this.#options = options;
    this.#pulls = new PullsAhead(host, { entries, pipeline, timeoutMs, rowsOf });
    this.#pushes = new PushesBehind(host, entries, pipeline);
    this.#refusals = new Refusals(options.reconnect.maxOfflineMs);
  }

  /** The parameters and rows of the present step; the arrays are overwritten once it has been pushed. */
  get pulled(): Pick<PullsAhead<B>, 'arrays' | 'rows'> {
    return this.#pulls;
  }

  /** Aborted when the loop fails or is aborted. */
  get signal(): AbortSignal {
    return this.#failure.signal;
  }

  /** The number of the present step. */
  get step(): number {
    return this.#step;
  }

  /** Steps that may still be taken, if no push under way is lost. */
  get #left(): number {
    return this.#options.maxSteps - this.#tally.steps - this.#pushes.count;
  }

  /** Enters the clock table. */
  async begin(): Promise<void> {
    const { signal } = this.#options;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener('abort', this.#onAbort);
    // Who waits for its first data shard enters with its first pull.
    if (this.#options.source.waitsOutside === true) this.#throwIfFailed();
    else await this.orFailure(this.#host.call({ kind: 'clock', operation: 'enter' }).answer);
  }

  readonly #onAbort = (): void => this.fail(abortedError(this.#options.signal?.reason));

  /** Ends the loop with `error`, whatever it waits for. */
  fail(error: PsError): void {
    this.#failure.abort(error);
    this.#halt.abort(error);
    this.#pulls.cancel(error);
    this.#pushes.cancel(error);
  }

  /** The server wants every run to end after its step. */
  onFinish(reason: string): void {
    this.#finishReason = reason;
    const error = new PsError('PS_ABORTED', 'the run is finished');
    this.#halt.abort(error);
    this.#pulls.cancel(error);
  }

  onRollback(rollback: Rollback): void {
    if (this.#options.onRollback === 'continue') {
      this.#rollback = rollback;
      this.#options.source.onRollback?.();
      this.#pulls.forgetAnswered();
      return;
    }
    const count = `${rollback.lostPushes} pushes of this worker`;
    this.fail(new PsError('PS_STATE_LOST', `the server went back to an older state, without ${count}`));
  }

  /** Waits until the next step can be computed; resolves with its batch, or undefined at the end. */
  async next(): Promise<{ readonly batch: B } | undefined> {
    this.#throwIfFailed();
    try {
      if (this.#left <= 0) await this.#allAnswered();
      if (this.#left <= 0) return undefined;
      if (this.#finishReason !== undefined) throw this.#halt.signal.reason;
      await this.#pause;
      this.#ahead ??= this.#read();
      const item = isPromiseLike(this.#ahead) ? await raceAbort(this.#ahead, this.#halt.signal) : this.#ahead;
      this.#ahead = undefined;
      if (item.done) {
        await this.#allAnswered();
        if (this.#again.length > 0) return await this.next();
        this.#endedBy = 'data';
        return undefined;
      }
      this.#current = item;
      this.#startPulls(item);
      const { batch } = item;
      const ready = isPromiseLike(batch) ? await raceAbort(batch, this.#halt.signal) : batch;
      await this.#takePull(item, ready);
      return { batch: ready };
    } catch (error) {
      this.#throwIfFailed();
      if (this.#finishReason === undefined) throw error;
      this.#endedBy = 'finish';
      await this.#allAnswered();
      return undefined;
    }
  }

  async #takePull(item: BatchItem<B> & { readonly done: false }, batch: B): Promise<void> {
    const since = monotonicNow();
    const bytes = await this.#pulls.take(item, batch, this.#left);
    this.#tally.pulled(bytes, since);
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
   * Resolves with what happened to the push; the next step need not wait for that, but for `room`.
   * Gradients of parameters that the server lost meanwhile are not sent, and the step is taken again.
   */
  async endStep(
    gradients: CheckedGradients | undefined,
    report: StepReport,
  ): Promise<PushAnswer | undefined> {
    this.#throwIfFailed();
    const item = this.#current;
    const part = partOf(item);
    if (this.#rollback !== undefined) {
      // A batch of a data shard belongs to the server that was.
      this.#ahead = part === undefined ? item : undefined;
      this.#pulls.release();
      return this.#lost(this.#rollback);
    }
    const computedFrom = this.#pulls.pulled;
    // A gradient computed in place stands where the next pull will write.
    const data = part === undefined ? undefined : this.#range(part, gradients, report);
    const sent = data === undefined ? report : { ...report, examples: data.to - data.from, data };
    const call = this.#pushes.send(gradients, { ...sent, computedFrom }, (each) => this.#pulls.holds(each));
    const step = this.#step++;
    // Without a pipeline the caller waits from now on, whatever else it does.
    if (this.#options.pipeline === 0) this.#tally.startWaiting();
    this.#pulls.release();
    this.#prepareNext();
    return this.#outcome({ call, step, item, bytes: gradients?.bytes ?? 0, report: sent });
  }

  /** Resolves when the next step may begin; rejects if the loop has failed. */
  async room(): Promise<void> {
    this.#tally.startWaiting();
    await this.#pushes.room();
    this.#tally.stopWaiting();
    this.#throwIfFailed();
  }

  async #allAnswered(): Promise<void> {
    await this.#pushes.none();
    this.#throwIfFailed();
  }

  async #outcome({ call, step, item, bytes, report }: SentStep<B>): Promise<PushAnswer | undefined> {
    const part = partOf(item);
    try {
      const answer = await call.answer;
      const push = 'outcome' in answer ? answer : undefined;
      this.#refusals.settled();
      this.#settle(part, push);
      this.#count(step, push, bytes, report);
      return push;
    } catch (error) {
      this.#throwIfFailed();
      // Its push was lost with the server's state, and the caller wants to go on.
      const rollback = this.#rollback as Rollback | undefined;
      const isLost =
        rollback !== undefined && error instanceof PsError && error.code === 'PS_OUTCOME_UNKNOWN';
      const pauseMs = isLost ? 0 : this.#refusals.next(error, part !== undefined, monotonicNow());
      this.#settle(part, undefined);
      if (pauseMs === undefined) {
        this.fail(error as PsError);
        throw error;
      }
      if (!isLost) this.#takeAgain(item, pauseMs);
      return this.#lost(rollback ?? { version: 0 });
    }
  }

  /** The step of `item` was refused, with its tick, and is taken again. */
  #takeAgain(item: BatchItem<B> | undefined, pauseMs: number): void {
    // The data shard itself gives its batch again.
    if (item !== undefined && partOf(item) === undefined) this.#again.push(item);
    if (pauseMs > 0) this.#pause = quiet(sleep(pauseMs, this.#halt.signal));
    this.#pulls.giveUp();
  }

  /** The examples of a batch of a data shard. */
  #range(part: BatchPart, gradients: CheckedGradients | undefined, report: StepReport): DataRange {
    try {
      return rangeOf(part, gradients, report);
    } catch (error) {
      this.fail(error as PsError);
      throw error;
    }
  }

  /** What was read ahead of a batch that is not counted is void. */
  #settle(part: BatchPart | undefined, push: PushAnswer | undefined): void {
    if (part?.settled(push) === false) this.#ahead = undefined;
  }

  /** What is said of a push whose parameters the server has lost. */
  #lost({ version }: Pick<Rollback, 'version'>): PushAnswer {
    const { clock } = this.#host.core;
    return { outcome: 'dropped', duplicate: false, version, delay: 0, clock, minClock: clock };
  }

  /** Asks for the next batch, and for its parameters as soon as there is one. */
  #prepareNext(): void {
    if (this.#left <= 0 || this.#halt.signal.aborted) return;
    this.#ahead = this.#read();
    if (!isPromiseLike(this.#ahead)) {
      if (!this.#ahead.done) this.#startPulls(this.#ahead);
      return;
    }
    const startPulls = (item: BatchItem<B>) => {
      if (!item.done) this.#startPulls(item);
    };
    this.#ahead.then(startPulls, () => {});
  }

  /** The next item of the data; never throws. */
  #read(): BatchItem<B> | Promise<BatchItem<B>> {
    const again = this.#again.shift();
    if (again !== undefined) return again;
    try {
      const item = this.#options.source.next(this.#step);
      if (isPromiseLike(item)) return quiet(item);
      if (!item.done && isPromiseLike(item.batch)) void quiet(item.batch);
      return item;
    } catch (error) {
      return quiet(Promise.reject(error));
    }
  }

  #startPulls(item: BatchItem<B> & { readonly done: false }): void {
    if (!this.#halt.signal.aborted) this.#pulls.ask(this.#left, item);
  }

  #count(step: number, push: PushAnswer | undefined, bytes: number, report: StepReport): void {
    const { metrics, examples = 0 } = report;
    const { clock } = this.#host.core;
    const { outcome, duplicate = false, version, delay } = push ?? {};
    const waitMs = this.#tally.answered(bytes, examples);
    this.#options.onStep({ step, clock, outcome, duplicate, version, delay, metrics, examples, waitMs });
  }

  /** Leaves the clock table. Never rejects: what the loop ended with is of more interest. */
  async end(): Promise<void> {
    const { signal, source } = this.#options;
    signal?.removeEventListener('abort', this.#onAbort);
    this.#pulls.cancel(new PsError('PS_ABORTED', 'the run has ended'));
    try {
      source.close();
    } catch {
      // The data's own end failed; the run is over all the same.
    }
    await leaveTable(this.#host);
  }

  summary(): RunSummary {
    return this.#tally.summary(this.#endedBy, this.#finishReason);
  }

  #throwIfFailed(): void {
    if (this.#failure.signal.aborted) throw this.#failure.signal.reason;
  }
}
