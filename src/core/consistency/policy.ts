/**
 * What a consistency model decides: when a training pull may be answered, and what becomes of an
 * update. Policies see clocks, never tensors or connections. Which one rules is a value that users
 * write (`ssp({ staleness: 3 })`); the object with its state is made from it by `policyOf`.
 */
import type { ClockTable } from './clockTable.js';

/** What becomes of an update: applied now, kept until its clock closes, or too late for its clock. */
export type UpdateRoute = 'apply' | 'buffer' | 'late';

/** One consistency model at work. Its state is plain numbers, saved with the clocks. */
export interface ConsistencyPolicy {
  /**
   * Whether a training pull for clock `clock` may be answered now. Monotone: once true for a clock it
   * stays true, as minClock never falls.
   */
  mayPull(clock: number, table: ClockTable): boolean;

  /** Whether a version that was current while minClock was `minClockThen` may answer a pull for `clock`. */
  mayReadOld(clock: number, minClockThen: number): boolean;

  /** The clock below which workers are awaited by a pull for `clock`. */
  awaitedBelow(clock: number, table: ClockTable): number;

  /** What becomes of an update made in clock `clock`. */
  route(clock: number, table: ClockTable): UpdateRoute;

  /**
   * The clock whose buffered updates are to be merged now, or undefined. `firstBuffered`: the lowest clock that has
   * any. Clocks below it that could close too close with it, as nothing is buffered for them.
   */
  closable(table: ClockTable, firstBuffered: number | undefined): number | undefined;

  /** `clock` has been merged, and with it all below. Workers that stand below the returned clock are moved up to it. */
  onClosed(clock: number, table: ClockTable): number;

  /** No worker enters below this clock. */
  readonly entryFloor: number;

  /** The numbers to save. */
  save(): readonly number[];

  /** Takes back what `save` gave. */
  restore(state: readonly number[]): void;
}
