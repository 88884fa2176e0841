/** Promises and AbortSignals: an abort is `PS_ABORTED`, with the signal's reason as its cause. */
import { PsError } from '../../core/base/errors.js';

/** What an aborted call rejects with. */
export function abortedError(reason: unknown): PsError {
  return new PsError('PS_ABORTED', 'the call was aborted', { cause: reason });
}

/** `promise`, unless `signal` is aborted first: then its reason, as it is. */
export function raceAbort<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    const forget = () => signal.removeEventListener('abort', onAbort);
    signal.addEventListener('abort', onAbort);
    promise.then(
      (value) => {
        forget();
        resolve(value);
      },
      (error) => {
        forget();
        reject(error);
      },
    );
    if (signal.aborted) onAbort();
  });
}

/** Resolves after `ms`; rejects with the reason of `signal` if it is aborted first. */
export function sleep(ms: number, signal: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout>;
  const wait = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return raceAbort(wait, signal).finally(() => clearTimeout(timer));
}

/** Marks a rejection of `promise` as seen: one that nobody awaits does not end the process. */
export function quiet<T extends PromiseLike<unknown>>(promise: T): T {
  promise.then(undefined, () => {});
  return promise;
}

/** Whether `value` can be awaited. */
export function isPromiseLike<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return value !== null && typeof value === 'object' && 'then' in value && typeof value.then === 'function';
}

/** Calls `action` with the reason when `signal` is aborted, now or later. Returns what makes it forget that. */
export function whenAborted(signal: AbortSignal | undefined, action: (reason: unknown) => void): () => void {
  if (signal === undefined) return () => {};
  const onAbort = (): void => action(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => signal.removeEventListener('abort', onAbort);
}
