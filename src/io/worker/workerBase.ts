/**
 * The public `Worker`, but for the platform's way to connect, which each entry point adds. It checks
 * arguments, turns calls into requests of the core, and answers into results by name. A promise of
 * its that nobody awaits never ends the process.
 */

import { EventEmitter } from 'eventemitter3';
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import type { RowIdList } from '../../core/tensor/rowIds.js';
import type { Tensor } from '../../core/tensor/tensor.js';
import type { WorkerObservation } from '../../core/worker/events.js';
import { randomHex } from '../randomHex.js';
import type { ServerReport } from '../serverReport.js';
import { abortedError, quiet, whenAborted } from './abort.js';
import { callControl, callStats, type StatsOptions } from './asks.js';
import {
  callClock,
  callPull,
  callPush,
  callPushPull,
  type NotModified,
  type PullManner,
  type PullOptions,
  type PullResult,
  type PushOptions,
  type TickResult,
} from './calls.js';
import { TaskHandling } from './handleTasks.js';
import { Intermission } from './intermission.js';
import { makeHost } from './makeHost.js';
import { newLoop } from './newLoop.js';
import { pageListenerOf } from './pageListener.js';
import type { DestinationsOf, GradientsOf, TensorsOf } from './parameters.js';
import type { Platform } from './platform.js';
import { callPullRows, type PullRowsOptions, type Rows } from './rows.js';
import type { RunSummary } from './runSummary.js';
import type { WorkerUrl } from './serverUrls.js';
import type { StepLoop } from './stepLoop.js';
import type { TaskHandler, TasksOptions, TasksSummary } from './taskRunner.js';
import {
  type GradientFunction,
  iterateSteps,
  type PushResult,
  pushResultOf,
  type RunOptions,
  runSteps,
  type Step,
} from './training.js';
import { type Asker, type WatchOptions, type WatchResult, watchParameters } from './watch.js';
import { type RowChanges, type WatchRowsOptions, watchTable } from './watchRows.js';
import { eventOf, type StepEvent, tellListeners, type WorkerEvents } from './workerEvents.js';
import type { WorkerHost } from './workerHost.js';
import { type CheckedWorkerOptions, checkWorkerOptions, type WorkerOptions } from './workerOptions.js';

/** What `Worker` does on every platform; `P` names the parameters. */
export class WorkerBase<P = Record<string, Tensor>> extends EventEmitter<WorkerEvents> {
  /** The stable name of this worker. */
  readonly id: string;
  readonly #options: CheckedWorkerOptions;
  readonly #host: WorkerHost;
  readonly #taskHandling: TaskHandling;
  readonly #asker: Asker;
  readonly #intermission = new Intermission(() => this.#stepOut());
  /** The run that is under way. */
  #loop: Pick<StepLoop<unknown>, 'fail' | 'onFinish' | 'onRollback'> | undefined;
  #closing: Promise<void> | undefined;
  /** The server wants every run to end, and so said on this connection. */
  #finishReason: string | undefined;

  /** Throws `PS_INVALID_ARGUMENT` for a wrong url or option, by its name. Connects to nothing yet. */
  constructor(platform: Platform, url: WorkerUrl, options: WorkerOptions = {}) {
    super();
    const checked = checkWorkerOptions(url, options);
    this.#options = checked;
    this.id = checked.id ?? `worker-${randomHex(4)}`;
    this.#host = makeHost(this.id, checked, platform, (each) => this.#onObservation(each));
    this.#asker = { host: this.#host, whenConnected: (...given) => this.#whenConnected(...given) };
    this.#taskHandling = new TaskHandling(this.#host, checked);
    const forget = whenAborted(checked.signal, (reason) => {
      this.#closing ??= this.#close('aborted', abortedError(reason));
    });
    this.once('close', forget);
    const isLeaving = checked.whenHidden === 'leave';
    const page = pageListenerOf(this.#host, this.#intermission, isLeaving, () => void this.close());
    const unwatch = platform.watchPage?.(page);
    if (unwatch !== undefined) this.once('close', unwatch);
  }

  /** Iterations completed, as the server has confirmed them. */
  get clock(): number {
    return this.#host.core.clock;
  }

  /** Whether it only reads. */
  get readOnly(): boolean {
    return this.#options.readOnly;
  }

  /** Whether a connection is open. */
  get connected(): boolean {
    return this.#host.core.isOpen;
  }

  /**
   * Connects; the server need not listen yet. Other methods do so by themselves. Rejects with
   * `PS_CONNECT_TIMEOUT` (its cause says why), or at once with what the server refused it for.
   */
  connect(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return quiet(this.#host.call<undefined>({ kind: 'connect' }, options.signal).answer);
  }

  /**
   * The parameters `names`, or all, of one version. A worker that is not `readOnly` enters the clock table
   * and waits until the consistency model allows the pull; with `PS_PULL_TIMEOUT`, which names who it waits
   * for, when it has waited too long. Throws `PS_UNKNOWN_TENSOR`, `PS_WRONG_LENGTH` (of `into`).
   * With `ifNewerThan` the result may be that there is nothing newer (`modified: false`).
   */
  pull<N extends keyof P & string>(
    names: readonly N[] | undefined,
    options: PullOptions<P> & { readonly ifNewerThan: number },
  ): Promise<PullResult<TensorsOf<Pick<P, N>>> | NotModified>;
  pull<N extends keyof P & string>(
    names?: readonly N[],
    options?: PullOptions<P>,
  ): Promise<PullResult<TensorsOf<Pick<P, N>>>>;
  pull(names?: readonly string[], options: PullOptions<P> = {}): Promise<PullResult<unknown> | NotModified> {
    return this.#whenConnected(async (catalogue) => {
      return callPull<P>(this.#host, catalogue, names, options, this.#manner()).answer;
    }, options.signal);
  }

  /** Rows of a sparse table, for ids in any order. Waits, and rejects, as `pull` does. */
  pullRows(table: string, ids: RowIdList, options: PullRowsOptions = {}): Promise<Rows> {
    return this.#whenConnected(
      async (catalogue) => callPullRows(this.#host, catalogue, table, ids, this.#manner(), options),
      options.signal,
    );
  }

  /**
   * Sends gradients, by name, to be applied. They must not change until this settles. Rejects with
   * `PS_UNKNOWN_TENSOR`, `PS_WRONG_LENGTH`, `PS_GRADIENT_INVALID`, `PS_NOT_TRAINABLE`, `PS_NOT_FINITE`, and
   * nothing is changed; with `PS_OUTCOME_UNKNOWN` if the worker ends before it is answered.
   */
  push(gradients: GradientsOf<P>, options: PushOptions = {}): Promise<PushResult> {
    return this.#whenConnected(async (catalogue) => {
      this.#mustTrain('push');
      return pushResultOf(await callPush(this.#host, catalogue, gradients, false, options).answer);
    }, options.signal);
  }

  /** Completes an iteration: raises the worker's clock by 1. */
  tick(options: { readonly signal?: AbortSignal } = {}): Promise<TickResult> {
    return this.#changeClock('tick', options.signal);
  }

  /** Leaves the clock table until the next pull, push or tick: nobody waits for it meanwhile. `run` does this at its end. */
  leave(options: { readonly signal?: AbortSignal } = {}): Promise<TickResult> {
    return this.#changeClock('leave', options.signal);
  }

  /** Push, tick and pull in one exchange. Rejects as `push` and `pull` do. */
  pushPull(
    gradients: GradientsOf<P>,
    options: PushOptions & { readonly into?: DestinationsOf<P>; readonly consistent?: boolean } = {},
  ): Promise<{ readonly push: PushResult; readonly pull: PullResult<TensorsOf<P>> }> {
    return this.#whenConnected(async (catalogue) => {
      this.#mustTrain('pushPull');
      const { push, pull } = await callPushPull<P>(this.#host, catalogue, gradients, options, this.#manner());
      return { push: pushResultOf(push), pull };
    }, options.signal);
  }

  /**
   * Trains: pull → gradient → push → tick per step, through lost connections, until the steps are done, the
   * data has ended, or the server says so. Rejects with what the gradient function or the data throws, with
   * `PS_GRADIENT_INVALID` for a result that is none, with `PS_STATE_LOST` if the server lost updates (see
   * `onRollback`), and as `pull` and `push` do. One run at a time.
   */
  run<B = undefined>(gradientFn: GradientFunction<P, B>, options: RunOptions<B> = {}): Promise<RunSummary> {
    return this.#whenConnected(async (catalogue) => {
      if (typeof gradientFn !== 'function') throw invalidArgument('gradientFn', gradientFn, 'a function');
      const loop = this.#startLoop(catalogue, options);
      try {
        return await runSteps(loop, catalogue, () => this.clock, gradientFn);
      } finally {
        await this.#endLoop(loop);
      }
    }, options.signal);
  }

  /** As `run`, for a loop of your own: `for await (const step of worker.steps({ … })) await step.push(…)`. */
  async *steps<B = undefined>(options: RunOptions<B> = {}): AsyncGenerator<Step<P, B>, void, undefined> {
    const catalogue = await this.#whenConnected(async (known) => known, options.signal);
    const loop = this.#startLoop(catalogue, options);
    yield* iterateSteps<P, B>(
      loop,
      catalogue,
      () => this.clock,
      () => this.#endLoop(loop),
    );
  }

  /**
   * The parameters, now and whenever there is a newer version; only what has changed is sent, and versions in between
   * are passed over. It holds nobody back. Ends when the worker is closed or `signal` is aborted.
   */
  watch<N extends keyof P & string>(
    names?: readonly N[],
    options: WatchOptions = {},
  ): AsyncGenerator<WatchResult<TensorsOf<Pick<P, N>>>, void, undefined> {
    return watchParameters<Pick<P, N>>(this.#asker, names, options);
  }

  /**
   * What has changed in a sparse table: first all rows that were ever updated, then those that are, in parts of bounded
   * size; see `RowChanges`. It goes on after reconnects where it was, and begins anew after a restart of the server.
   * Holds nobody back; of a slow reader the server remembers nothing. Ends as `watch`.
   */
  watchRows(table: string, options: WatchRowsOptions = {}): AsyncGenerator<RowChanges, void, undefined> {
    return watchTable(this.#asker, table, options);
  }

  /** The server's counts and who is connected. Any role may ask, `monitor` and up. */
  stats(options: StatsOptions = {}): Promise<ServerReport> {
    return this.#whenConnected(() => callStats(this.#host, options), options.signal);
  }

  /**
   * Asks the server for an action (`docs/protocol.md`, "Controls"), which the role `admin` may. Resolves when it is
   * done. Rejects with `PS_FORBIDDEN`, `PS_INVALID_ARGUMENT`, `PS_OUTCOME_UNKNOWN` (the connection was lost before the
   * answer), or what the action fails with.
   */
  control(
    action: string,
    argument?: Readonly<Record<string, unknown>>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.#whenConnected(
      () => callControl(this.#host, action, argument, options.signal),
      options.signal,
    );
  }

  /**
   * Handles generic tasks of the server (`server.tasks.map`), out of the clock table, until its `finish`, an abort, or
   * the worker's end. A handler that throws fails its task, not this. One handler at a time.
   */
  tasks<I = unknown, R = unknown>(
    handler: TaskHandler<I, R>,
    options: TasksOptions = {},
  ): Promise<TasksSummary> {
    return this.#whenConnected(async () => {
      this.#mustTrain('tasks');
      return this.#taskHandling.run(handler, options);
    }, options.signal);
  }

  /** Ends the worker for good: it leaves the clock table, and what is pending rejects. Never rejects. */
  close(): Promise<void> {
    this.#closing ??= this.#close('closed', undefined);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #close(reason: string, error: PsError | undefined): Promise<void> {
    return quiet(this.#host.call<undefined>({ kind: 'close', reason, error }).answer);
  }

  #changeClock(operation: 'tick' | 'leave', signal: AbortSignal | undefined): Promise<TickResult> {
    return this.#whenConnected(async () => {
      this.#mustTrain(operation);
      return callClock(this.#host, operation, signal);
    }, signal);
  }

  /** Out of the clock table until the next training pull, push or tick. */
  #stepOut(): void {
    if (!this.#options.readOnly) void quiet(this.#host.call({ kind: 'clock', operation: 'leave' }).answer);
  }

  /** `action`, at once if the model is known, else after connecting. */
  #whenConnected<T>(
    action: (catalogue: Catalogue) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const { catalogue } = this.#host.core;
    if (signal?.aborted) return quiet(Promise.reject(abortedError(signal.reason)));
    if (catalogue !== undefined) return quiet(action(catalogue));
    const connected = this.connect(signal === undefined ? {} : { signal });
    return quiet(connected.then(() => action(this.#host.core.catalogue as Catalogue)));
  }

  #manner(): PullManner {
    const { readOnly, pullTimeoutMs } = this.#options;
    return { training: !readOnly, wait: false, timeoutMs: pullTimeoutMs };
  }

  #mustTrain(method: string): void {
    if (this.#options.readOnly) throw new PsError('PS_FORBIDDEN', `${method}: this worker is readOnly`);
  }

  #startLoop<B>(catalogue: Catalogue, options: RunOptions<B>): StepLoop<B> {
    this.#mustTrain('run');
    if (this.#loop !== undefined) {
      throw new PsError('PS_INVALID_ARGUMENT', 'this worker is already in a run: one at a time');
    }
    const parts = { host: this.#host, entries: catalogue.entries, intermission: this.#intermission };
    const onStep = (event: StepEvent) => this.#emit('step', event);
    const loop = newLoop<B>({ ...parts, onStep }, this.#options, options);
    this.#loop = loop;
    if (this.#finishReason !== undefined) loop.onFinish(this.#finishReason);
    return loop;
  }

  async #endLoop(loop: Pick<StepLoop<unknown>, 'end'>): Promise<void> {
    await loop.end();
    this.#loop = undefined;
  }

  /** Tells the loop and the listeners. */
  #onObservation(observation: WorkerObservation): void {
    const { logger } = this.#options;
    if (observation.kind === 'open') this.#finishReason = undefined;
    if (observation.kind === 'finish') {
      this.#finishReason = observation.reason;
      this.#loop?.onFinish(observation.reason);
    }
    if (observation.kind === 'rollback') this.#loop?.onRollback(observation.rollback);
    if (observation.kind === 'closed') {
      this.#loop?.fail(observation.error ?? new PsError('PS_CLOSED', 'the worker is closed'));
      const isOwn = observation.error !== undefined && observation.error.code !== 'PS_ABORTED';
      if (isOwn) this.#emit('error', observation.error);
    }
    this.#taskHandling.onObservation(observation);
    const { level, text, name, event } = eventOf(observation);
    logger?.[level](`worker ${this.id}: ${text}`);
    if (name !== undefined) this.#emit(name, event as never);
  }

  #emit<E extends keyof WorkerEvents>(name: E, event: Parameters<WorkerEvents[E]>[0]): void {
    tellListeners(this, name, event, (text) => this.#options.logger?.error(`worker ${this.id}: ${text}`));
  }
}
