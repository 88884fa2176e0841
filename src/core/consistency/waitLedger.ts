/**
 * Who makes others wait, and for how long. A pull that waits for minClock to reach `needed` waits for
 * everyone below that clock; each millisecond of its wait is shared equally by those whom it still
 * awaits. What a worker is charged says how much waiting would go if it alone were fast.
 *
 * Pulls that wait for the same clock wait for the same workers, so they are one group with one sum per
 * awaited worker: a tick costs O(clocks that are waited for), and nothing while nobody waits.
 */
import type { ClockTable } from './clockTable.js';

interface Group {
  /** Pulls that wait for this clock. */
  pulls: number;
  /** Workers below it. */
  awaited: number;
  /** What each of them has been charged since the group began, in milliseconds. */
  charge: number;
  /** When `charge` was last brought up to date. */
  at: number;
  /** The charge before those came who entered the table later. */
  readonly before: Map<string, number>;
}

/** Charges waits to those who are awaited. */
export class WaitLedger {
  readonly #table: ClockTable;
  readonly #now: () => number;
  readonly #charge: (worker: string, milliseconds: number) => void;
  readonly #groups = new Map<number, Group>();

  /** Listens to `table`; `charge` is told what a worker has cost others when it no longer does. */
  constructor(table: ClockTable, now: () => number, charge: (worker: string, milliseconds: number) => void) {
    this.#table = table;
    this.#now = now;
    this.#charge = charge;
    table.onMove = (id, from, to) => this.#moved(id, from, to);
  }

  /** A pull begins to wait for minClock ≥ `needed`. */
  begin(needed: number): void {
    let group = this.#groups.get(needed);
    if (group === undefined) {
      const awaited = this.#table.size - this.#table.countAbove(needed - 1);
      if (awaited === 0) return;
      group = { pulls: 0, awaited, charge: 0, at: this.#now(), before: new Map() };
      this.#groups.set(needed, group);
    }
    this.#advance(group);
    group.pulls++;
  }

  /** It waits no longer: it was answered, has ended, or was taken back. */
  end(needed: number): void {
    const group = this.#groups.get(needed);
    if (group === undefined) return;
    this.#advance(group);
    group.pulls = Math.max(0, group.pulls - 1);
  }

  /** What `worker`, which stands at `clock`, has cost others and has not been charged yet. O(clocks waited for). */
  pending(worker: string, clock: number): number {
    let sum = 0;
    for (const [needed, group] of this.#groups) {
      if (clock >= needed) continue;
      this.#advance(group);
      sum += group.charge - (group.before.get(worker) ?? 0);
    }
    return sum;
  }

  #moved(id: string, from: number | undefined, to: number | undefined): void {
    for (const [needed, group] of this.#groups) {
      const wasBelow = from !== undefined && from < needed;
      const isBelow = to !== undefined && to < needed;
      if (wasBelow === isBelow) continue;
      this.#advance(group);
      if (isBelow) {
        group.awaited++;
        group.before.set(id, group.charge);
        continue;
      }
      const milliseconds = group.charge - (group.before.get(id) ?? 0);
      if (milliseconds > 0) this.#charge(id, milliseconds);
      group.before.delete(id);
      group.awaited--;
      if (group.awaited === 0) this.#groups.delete(needed);
    }
  }

  #advance(group: Group): void {
    const now = this.#now();
    group.charge += (group.pulls * (now - group.at)) / group.awaited;
    group.at = now;
  }
}
