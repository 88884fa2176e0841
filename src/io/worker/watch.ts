/** `watch`: pulls again and again, each time waiting for a newer version. It holds nothing between pulls. */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import { sleep } from './abort.js';
import { callPull, type PullResult } from './calls.js';
import type { TensorsOf } from './parameters.js';
import type { WorkerHost } from './workerHost.js';

/** How to watch. */
export interface WatchOptions {
  /** Least time between two versions. Default 0. */
  readonly minIntervalMs?: number;
  /** A version comes when it is newer than the one before by so many; after `pullTimeoutMs` if by any. Default 1. */
  readonly withinVersions?: number;
  /** Its abort ends the iteration. */
  readonly signal?: AbortSignal;
}

/** What asks for a watcher, once the model is known. */
export interface Asker {
  readonly host: WorkerHost;
  whenConnected<T>(action: (catalogue: Catalogue) => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
}

const MANNER = { training: false, wait: true, timeoutMs: Number.POSITIVE_INFINITY };

/** Each newer version of the parameters `names`, until `options.signal` is aborted or the worker is closed. */
export async function* watchParameters<P>(
  { host, whenConnected }: Asker,
  names: readonly string[] | undefined,
  options: WatchOptions,
): AsyncGenerator<PullResult<TensorsOf<P>>, void, undefined> {
  const { minIntervalMs = 0, withinVersions = 1, signal = new AbortController().signal } = options;
  if (typeof minIntervalMs !== 'number' || !(minIntervalMs >= 0)) {
    throw invalidArgument('minIntervalMs', minIntervalMs, 'a number from 0');
  }
  checkVersions(withinVersions);
  const manner = { ...MANNER, versions: withinVersions === 1 ? undefined : withinVersions };
  let version: number | undefined;
  while (!signal.aborted) {
    const given = version === undefined ? { signal } : { signal, ifNewerThan: version };
    const pull = async (catalogue: Catalogue) => callPull<P>(host, catalogue, names, given, manner).answer;
    const result = await whenConnected(pull, signal).catch((error: unknown) => {
      if (isEnd(error, signal)) return undefined;
      // Nothing new for as long as the server lets a pull wait: ask again.
      if (error instanceof PsError && error.code === 'PS_PULL_TIMEOUT') return 'nothing' as const;
      throw error;
    });
    if (result === undefined) return;
    if (result === 'nothing' || !result.modified) continue;
    version = result.version;
    yield result;
    if (minIntervalMs > 0) await sleep(minIntervalMs, signal).catch(() => {});
  }
}

/** Whether `error` only says that the watching is over. */
export function isEnd(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted || (error instanceof PsError && error.code === 'PS_CLOSED');
}

/** Throws `PS_INVALID_ARGUMENT` for what is no number of versions. */
export function checkVersions(versions: number): void {
  if (Number.isSafeInteger(versions) && versions > 0) return;
  throw invalidArgument('withinVersions', versions, 'an integer from 1');
}
