/** The shells' time. The cores have none of their own. */

/** Monotonic time in milliseconds. */
export function monotonicNow(): number {
  return performance.now();
}

/** `ms`, as a timer can be set to it: at most about 25 days, since for longer it would go off at once. */
export function timerMs(ms: number): number {
  return Math.min(ms, 2 ** 31 - 1);
}
