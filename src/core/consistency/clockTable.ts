/**
 * The clock table: the workers that train now, and how many iterations each has completed.
 *
 * Invariants: minClock never falls; it is the smallest clock in the table, and keeps its value while
 * the table is empty; nobody's clock is below it.
 */
import { invariant } from '../base/invariant.js';

/** Clocks of the workers that train now. */
export class ClockTable {
  readonly #clocks = new Map<string, number>();
  /** How many workers stand at each clock, so that minClock costs O(distinct clocks) to move. */
  readonly #counts = new Map<number, number>();
  #minClock = 0;
  /** Told when a worker's clock changes; undefined stands for outside the table. */
  onMove: ((id: string, from: number | undefined, to: number | undefined) => void) | undefined;

  /** The smallest clock; O(1). */
  get minClock(): number {
    return this.#minClock;
  }

  /** Workers in the table. */
  get size(): number {
    return this.#clocks.size;
  }

  /** Whether worker `id` is in the table. */
  has(id: string): boolean {
    return this.#clocks.has(id);
  }

  /** The clock of `id`, or undefined if it is not in the table. */
  clockOf(id: string): number | undefined {
    return this.#clocks.get(id);
  }

  /** Puts `id` in at max(minClock, clock) and returns that; a worker that is in stays where it is. */
  enter(id: string, clock: number): number {
    const present = this.#clocks.get(id);
    if (present !== undefined) return present;
    const entry = Math.max(this.#minClock, clock);
    this.#clocks.set(id, entry);
    this.#count(entry, 1);
    this.#raise();
    this.onMove?.(id, undefined, entry);
    return entry;
  }

  /** Raises the clock of `id`. REQUIRES: in the table, `clock` not below its own. */
  advance(id: string, clock: number): void {
    const present = this.#clocks.get(id);
    invariant(present !== undefined && clock >= present, `clock of ${id} goes from ${present} to ${clock}`);
    if (clock === present) return;
    this.#clocks.set(id, clock);
    this.#count(present, -1);
    this.#count(clock, 1);
    this.#raise();
    this.onMove?.(id, present, clock);
  }

  /** Takes `id` out at once. */
  leave(id: string): void {
    const present = this.#clocks.get(id);
    if (present === undefined) return;
    this.#clocks.delete(id);
    this.#count(present, -1);
    this.#raise();
    this.onMove?.(id, present, undefined);
  }

  /** How many stand above `clock`. O(distinct clocks). */
  countAbove(clock: number): number {
    let count = 0;
    for (const [each, workers] of this.#counts) if (each > clock) count += workers;
    return count;
  }

  /** The workers below `clock`, slowest first, ties by id. O(size). */
  below(clock: number): { id: string; clock: number }[] {
    const found: { id: string; clock: number }[] = [];
    if (this.#clocks.size === 0 || this.#minClock >= clock) return found;
    for (const [id, each] of this.#clocks) if (each < clock) found.push({ id, clock: each });
    return found.sort((a, b) => a.clock - b.clock || (a.id < b.id ? -1 : 1));
  }

  /** The largest clock, minClock if the table is empty. */
  maxClock(): number {
    let max = this.#minClock;
    for (const clock of this.#counts.keys()) if (clock > max) max = clock;
    return max;
  }

  /** All entries, in order of entry. */
  entries(): IterableIterator<[id: string, clock: number]> {
    return this.#clocks.entries();
  }

  /** Replaces everything: recovery of a saved table. */
  restore(entries: Iterable<readonly [id: string, clock: number]>, minClock: number): void {
    this.#clocks.clear();
    this.#counts.clear();
    for (const [id, clock] of entries) {
      this.#clocks.set(id, clock);
      this.#count(clock, 1);
    }
    this.#minClock = minClock;
    this.#raise();
  }

  #count(clock: number, change: number): void {
    const count = (this.#counts.get(clock) ?? 0) + change;
    if (count === 0) this.#counts.delete(clock);
    else this.#counts.set(clock, count);
  }

  #raise(): void {
    if (this.#counts.size === 0 || this.#counts.has(this.#minClock)) return;
    let min = Number.POSITIVE_INFINITY;
    for (const clock of this.#counts.keys()) if (clock < min) min = clock;
    invariant(min > this.#minClock, 'minClock falls');
    this.#minClock = min;
  }
}
