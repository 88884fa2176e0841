/**
 * `watch`: a copy of parameters that is asked for again and again, each time for what has changed, waiting for a newer
 * version.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import { sleep } from './abort.js';
import type { PullManner, PullResult } from './calls.js';
import type { TensorsOf } from './parameters.js';
import { TensorCopy } from './tensorCopy.js';
import type { WorkerHost } from './workerHost.js';

/** How to watch. */
export interface WatchOptions {
  /** Least time between two versions. Default 0. */
  readonly minIntervalMs?: number;
  /**
   * A version comes when it is newer than the one before by so many; after the server's `pullTimeoutMs` if by any. Default
   * 1; with `withinMs` alone, however many there are by then.
   */
  readonly withinVersions?: number;
  /** An answer comes after so long, also if there is nothing newer. At most the server's `pullTimeoutMs`. Default: none. */
  readonly withinMs?: number;
  /** Its abort ends the iteration. */
  readonly signal?: AbortSignal;
}

/** Parameters as they are now. Tensors that have not changed are those of the result before: don't write to them. */
export interface WatchResult<T> extends PullResult<T> {
  /** Names of the tensors that have changed; at first all. */
  readonly changed: readonly (keyof T & string)[];
}

/** What asks for a watcher, once the model is known. */
export interface Asker {
  readonly host: WorkerHost;
  whenConnected<T>(action: (catalogue: Catalogue) => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
}

/** Each newer version of the parameters `names`, until `options.signal` is aborted or the worker is closed. */
export async function* watchParameters<P>(
  { host, whenConnected }: Asker,
  names: readonly string[] | undefined,
  options: WatchOptions,
): AsyncGenerator<WatchResult<TensorsOf<P>>, void, undefined> {
  const { minIntervalMs = 0, withinMs, signal = new AbortController().signal } = options;
  if (typeof minIntervalMs !== 'number' || !(minIntervalMs >= 0)) {
    throw invalidArgument('minIntervalMs', minIntervalMs, 'a number from 0');
  }
  const bounds = checkBounds(options);
  const manner: PullManner = {
    ...{ training: false, wait: true, timeoutMs: Number.POSITIVE_INFINITY },
    versions: bounds.versions === 1 ? undefined : bounds.versions,
    withinMs: bounds.withinMs,
  };
  let copy: TensorCopy | undefined;
  while (!signal.aborted) {
    const refresh = (catalogue: Catalogue) => {
      copy ??= new TensorCopy(host, catalogue, names);
      return copy.refresh(manner, signal);
    };
    const found = await whenConnected(async (catalogue) => refresh(catalogue), signal).catch(
      (error: unknown) => {
        if (isEnd(error, signal)) return undefined;
        // No version was free for as long as the server lets a pull wait: ask again.
        if (error instanceof PsError && error.code === 'PS_PULL_TIMEOUT') return 'nothing' as const;
        throw error;
      },
    );
    if (found === undefined) return;
    if (found === 'nothing' || !(found.isNewer || withinMs !== undefined)) continue;
    const { tensors, changed, version, clock } = found;
    yield { modified: true, tensors, changed, version, clock } as unknown as WatchResult<TensorsOf<P>>;
    if (minIntervalMs > 0) await sleep(minIntervalMs, signal).catch(() => {});
  }
}

/** Whether `error` only says that the watching is over. */
export function isEnd(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted || (error instanceof PsError && error.code === 'PS_CLOSED');
}

/** What is fresh enough, as it goes on the wire. Throws `PS_INVALID_ARGUMENT`. */
export function checkBounds({ withinMs, withinVersions }: WatchOptions): {
  readonly versions: number;
  readonly withinMs: number | undefined;
} {
  if (withinMs !== undefined && !(typeof withinMs === 'number' && withinMs >= 0)) {
    throw invalidArgument('withinMs', withinMs, 'a number from 0');
  }
  const versions = withinVersions ?? (withinMs === undefined ? 1 : Number.MAX_SAFE_INTEGER);
  if (!(Number.isSafeInteger(versions) && versions > 0)) {
    throw invalidArgument('withinVersions', versions, 'an integer from 1');
  }
  return { versions, withinMs: withinMs === undefined ? undefined : Math.min(Math.ceil(withinMs), 2 ** 31) };
}
