/** The shells' time. The cores have none of their own. */

/** Monotonic time in milliseconds. */
export function monotonicNow(): number {
  return performance.now();
}
