/** `watch`: pulls again and again, each time waiting for a newer version. It holds nothing between pulls. */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import { sleep } from './abort.js';
import type { NotModified, PullResult } from './calls.js';

/** How to watch. */
export interface WatchOptions {
  /** Least time between two versions. Default 0. */
  readonly minIntervalMs?: number;
  /** Its abort ends the iteration. */
  readonly signal?: AbortSignal;
}

/** Pulls what is newer than `version`, waiting for it. */
type PullNewer<T> = (
  version: number | undefined,
  signal: AbortSignal,
) => Promise<PullResult<T> | NotModified>;

/** Each newer result of `pull`, until `options.signal` is aborted or the worker is closed. */
export async function* watchParameters<T>(
  pull: PullNewer<T>,
  options: WatchOptions,
): AsyncGenerator<PullResult<T>, void, undefined> {
  const { minIntervalMs = 0, signal = new AbortController().signal } = options;
  if (typeof minIntervalMs !== 'number' || !(minIntervalMs >= 0)) {
    throw invalidArgument('minIntervalMs', minIntervalMs, 'a number from 0');
  }
  let version: number | undefined;
  while (!signal.aborted) {
    const result = await pull(version, signal).catch((error: unknown) => {
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

function isEnd(error: unknown, signal: AbortSignal): boolean {
  return signal.aborted || (error instanceof PsError && error.code === 'PS_CLOSED');
}
