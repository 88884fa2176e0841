/** The shells' time. The cores have none of their own. */

/** Monotonic time in milliseconds. */
export function monotonicNow(): number {
  return performance.now();
}

/** The longest that a timer can be set to, about 25 days: a longer one would go off at once. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
