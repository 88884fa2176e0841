/**
 * Stale synchronous parallel and asynchronous parallel (Ho et al., "More Effective Distributed ML via
 * a Stale Synchronous Parallel Parameter Server", NIPS 2013, section 3). ASP is the bound at infinity.
 *
 * A pull at clock c is answered iff minClock ≥ c − s: it then sees every update of every worker with
 * timestamp ≤ c − s − 1. Updates are applied as they arrive. Only pulls block.
 */
import type { ClockTable } from './clockTable.js';
import type { ConsistencyPolicy, UpdateRoute } from './policy.js';

/** SSP with a bound of `staleness` clocks on the lead; Infinity never blocks. */
export class SspPolicy implements ConsistencyPolicy {
  readonly #staleness: number;
  readonly entryFloor = 0;

  constructor(staleness: number) {
    this.#staleness = staleness;
  }

  mayPull(clock: number, table: ClockTable): boolean {
    return table.minClock >= clock - this.#staleness;
  }

  mayReadOld(clock: number, minClockThen: number): boolean {
    return minClockThen >= clock - this.#staleness;
  }

  awaitedBelow(clock: number): number {
    return clock - this.#staleness;
  }

  route(): UpdateRoute {
    return 'apply';
  }

  closable(): undefined {
    return undefined;
  }

  onClosed(): number {
    return 0;
  }

  save(): readonly number[] {
    return [];
  }

  restore(): void {}
}
