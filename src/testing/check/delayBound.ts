/** With one pull, then one push per clock and P workers that neither come nor go, τ ≤ (P − 1)(2s + 1). */
import type { Check, CheckContext } from './check.js';

/** Holds the largest delay of a run under SSP against its bound. */
export class DelayBound implements Check {
  readonly #context: CheckContext;

  constructor(context: CheckContext) {
    this.#context = context;
  }

  atEnd(): void {
    const { schedule, history, violations } = this.#context;
    const { isUniform, consistency, workers } = schedule;
    // A copy of a worker's own lacks what it has pushed since, too.
    if (!isUniform || consistency.name !== 'ssp' || schedule.hasCache) return;
    const bound = (workers.length - 1) * (2 * consistency.staleness + 1);
    if (history.maxDelay <= bound) return;
    violations.add('delay bound', `an update had delay ${history.maxDelay}, the bound is ${bound}`);
  }
}
