/**
 * Bulk synchronous parallel, reproducible to the bit, with optional backup workers (Chen et al.,
 * "Revisiting Distributed Synchronous SGD", 2016).
 *
 *     pushes of clock c ──▶ buffered ──(everyone in the table has ticked past c)──▶ merged, one update
 *     pull at clock c   ──▶ waits until every clock < c is merged, and sees exactly those
 *
 * When training switches to BSP the first clock is the highest in the table at that moment; until
 * everyone has reached it the rule is SSP(0).
 */
import type { ClockTable } from './clockTable.js';
import type { ConsistencyPolicy, UpdateRoute } from './policy.js';

/** BSP from clock `firstClock` on. */
export class BspPolicy implements ConsistencyPolicy {
  readonly #backupWorkers: number;
  #firstClock: number;
  /** The clock that collects updates now; all before it are merged. */
  #openClock: number;
  /** Workers in the table when the open clock opened; 0 if nobody was. */
  #sizeAtOpen: number;

  constructor(backupWorkers: number, table: ClockTable) {
    this.#backupWorkers = backupWorkers;
    this.#firstClock = table.maxClock();
    this.#openClock = this.#firstClock;
    this.#sizeAtOpen = table.size;
  }

  get entryFloor(): number {
    return this.#openClock > this.#firstClock ? this.#openClock : 0;
  }

  mayPull(clock: number, table: ClockTable): boolean {
    if (table.minClock < this.#firstClock) return table.minClock >= clock;
    return this.#openClock >= clock;
  }

  /** A pull sees exactly the clocks before its own, so only the current version will do. */
  mayReadOld(): boolean {
    return false;
  }

  awaitedBelow(clock: number): number {
    return clock;
  }

  route(clock: number): UpdateRoute {
    if (clock < this.#firstClock) return 'apply';
    return clock < this.#openClock ? 'late' : 'buffer';
  }

  closable(table: ClockTable, firstBuffered: number | undefined): number | undefined {
    if (table.size === 0) return firstBuffered;
    // A worker may come in far ahead of the open clock: however many nobody pushed for, they close at once.
    if (table.minClock > this.#openClock) return Math.min(firstBuffered ?? Infinity, table.minClock - 1);
    if (this.#backupWorkers === 0 || table.minClock < this.#firstClock) return undefined;
    const size = this.#sizeAtOpen === 0 ? table.size : this.#sizeAtOpen;
    const needed = Math.max(1, size - this.#backupWorkers);
    return table.countAbove(this.#openClock) >= needed ? this.#openClock : undefined;
  }

  onClosed(clock: number, table: ClockTable): number {
    this.#openClock = clock + 1;
    this.#sizeAtOpen = table.size;
    return this.#openClock;
  }

  save(): readonly number[] {
    return [this.#firstClock, this.#openClock, this.#sizeAtOpen];
  }

  restore(state: readonly number[]): void {
    const [firstClock = 0, openClock = 0, sizeAtOpen = 0] = state;
    this.#firstClock = firstClock;
    this.#openClock = openClock;
    this.#sizeAtOpen = sizeAtOpen;
  }
}
