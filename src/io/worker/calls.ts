/** `pull` and `push` as one call each: arguments by name → a request → a result by name. */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import type { ClockAnswer, PullAnswer, PullCommand, PushAnswer } from '../../core/worker/events.js';
import { checkExamples, checkGradients, checkMetrics } from '../../core/worker/gradients.js';
import { quiet } from './abort.js';
import { type DestinationsOf, destinationsOf, selectNames, type TensorsOf, tensorsOf } from './parameters.js';
import type { Call, WorkerHost } from './workerHost.js';

/** How to pull. */
export interface PullOptions<P> {
  /**
   * Where to put the parameters, by name; those left out come in fresh arrays. What stands there is not
   * to be relied on after a pull that failed.
   */
  readonly into?: DestinationsOf<P>;
  /** A version that this worker pulled: if there is no newer one, nothing is sent. */
  readonly ifNewerThan?: number;
  /** False: parts of the answer may be of different versions. Default true. What a `cache` serves may be, in any case. */
  readonly consistent?: boolean;
  readonly signal?: AbortSignal;
}

/** Parameters of one version; with a `cache`, perhaps of several. */
export interface PullResult<T> {
  readonly modified: true;
  /** By name. Fresh arrays of one pull stand in one ArrayBuffer. */
  readonly tensors: T;
  /** Updates that the server had applied; of several versions, to the oldest part. */
  readonly version: number;
  /** The worker's clock. */
  readonly clock: number;
}

/** There is no newer version than `ifNewerThan`. */
export interface NotModified {
  readonly modified: false;
  readonly tensors: Readonly<Record<string, never>>;
  readonly version: number;
  readonly clock: number;
}

/** How to push. */
export interface PushOptions {
  /** At most 32 numbers for the server's `metrics` event. */
  readonly metrics?: Readonly<Record<string, number>>;
  /** Training examples that the gradients cover. */
  readonly examples?: number;
  /**
   * Its abort gives up waiting, as soon as the gradients' memory is free; a push that was sent may be
   * applied all the same.
   */
  readonly signal?: AbortSignal;
}

/** The clocks after a tick. */
export interface TickResult {
  /** The worker's clock. */
  readonly clock: number;
  /** The smallest clock in the clock table. */
  readonly minClock: number;
}

/** How the worker pulls, whoever asks. */
export type PullManner = Pick<
  PullCommand,
  'training' | 'wait' | 'versions' | 'withinMs' | 'timeoutMs' | 'countsOffline'
>;

/** Pulls `names`. Throws `PS_UNKNOWN_TENSOR`, `PS_WRONG_LENGTH`, `PS_INVALID_ARGUMENT`. */
export function callPull<P>(
  host: WorkerHost,
  catalogue: Catalogue,
  names: readonly string[] | undefined,
  options: PullOptions<P>,
  manner: PullManner,
): Call<PullResult<TensorsOf<P>> | NotModified> {
  const { into, ifNewerThan, consistent = true, signal } = options;
  const { entries, tensors } = selectNames(catalogue, names);
  if (ifNewerThan !== undefined && !(Number.isSafeInteger(ifNewerThan) && ifNewerThan >= 0)) {
    throw invalidArgument('ifNewerThan', ifNewerThan, 'a version');
  }
  const destinations = destinationsOf(catalogue, entries, into);
  const call = host.call<PullAnswer>(
    { kind: 'pull', tensors, into: destinations, ifNewerThan, consistent, ...manner },
    signal,
  );
  const answer = call.answer.then(({ arrays, version, clock }): PullResult<TensorsOf<P>> | NotModified => {
    if (arrays === undefined) return { modified: false, tensors: {}, version, clock };
    return { modified: true, tensors: tensorsOf<P>(entries, arrays), version, clock };
  });
  return { answer, cancel: call.cancel };
}

/** Push with tick, and the pull behind it. */
export async function callPushPull<P>(
  host: WorkerHost,
  catalogue: Catalogue,
  gradients: unknown,
  options: PushOptions & PullOptions<P>,
  manner: PullManner,
): Promise<{ readonly push: PushAnswer; readonly pull: PullResult<TensorsOf<P>> }> {
  const push = callPush(host, catalogue, gradients, true, options);
  const pull = callPull<P>(host, catalogue, undefined, options, manner);
  void quiet(pull.answer);
  try {
    const pushed = await push.answer;
    return { push: pushed, pull: (await pull.answer) as PullResult<TensorsOf<P>> };
  } catch (error) {
    pull.cancel(new PsError('PS_ABORTED', 'the push failed'));
    throw error;
  }
}

/** Pushes `gradients`, and ticks if `tick`. Throws as `checkGradients` does. */
export function callPush(
  host: WorkerHost,
  catalogue: Catalogue,
  gradients: unknown,
  tick: boolean,
  options: PushOptions,
): Call<PushAnswer> {
  const lent: Float32Array[] = [];
  const { tensors, values, rows } = checkGradients(catalogue, gradients, (length) => {
    const sums = host.rowBuffers.take(length);
    lent.push(sums);
    return sums;
  });
  const metrics = checkMetrics(options.metrics);
  const examples = checkExamples(options.examples);
  const call = host.call<PushAnswer>(
    { kind: 'push', tensors, values, rows, tick, metrics, examples },
    options.signal,
  );
  // Until then they are read, as the caller's own arrays may be.
  const giveBack = (): void => {
    for (const sums of lent) host.rowBuffers.give(sums);
  };
  if (lent.length > 0) void call.answer.then(giveBack, giveBack);
  return call;
}

/** Ticks, or leaves the clock table, behind everything that was asked before. */
export async function callClock(
  host: WorkerHost,
  operation: 'tick' | 'leave',
  signal: AbortSignal | undefined,
): Promise<TickResult> {
  const { clock, minClock } = await host.call<ClockAnswer>({ kind: 'clock', operation }, signal).answer;
  return { clock, minClock };
}
