/**
 * Virtual time: actions in a binary heap, run one after the other in the order of their times, those of
 * one time in the order in which they were planned. Nothing else makes time pass.
 */
import { invariant } from '../../core/base/invariant.js';

/** A planned action. */
export interface Timer {
  /** When it runs, in milliseconds of virtual time. */
  readonly at: number;
  /** True: it will not run. */
  isCancelled: boolean;
}

/** Where an action runs: in a process, which may be stopped or dead. */
export interface Place {
  run(action: () => void): void;
}

interface Planned extends Timer {
  readonly order: number;
  readonly action: () => void;
  readonly place: Place | undefined;
}

/** A virtual clock with its agenda. */
export class Timeline {
  readonly #heap: Planned[] = [];
  #now = 0;
  #order = 0;
  #ran = 0;

  /** Virtual milliseconds since the start. */
  get now(): number {
    return this.#now;
  }

  /** Actions that have run. */
  get ran(): number {
    return this.#ran;
  }

  /** Plans `action`, in `place` if one is given, for `time`, which may not lie in the past. O(log planned). */
  at(time: number, action: () => void, place?: Place): Timer {
    if (time < this.#now) invariant(false, `planned for ${time}, it is ${this.#now}`);
    const planned: Planned = { at: time, order: this.#order++, action, place, isCancelled: false };
    this.#push(planned);
    return planned;
  }

  /** Plans `action` for `delayMs` from now. */
  after(delayMs: number, action: () => void): Timer {
    return this.at(this.#now + delayMs, action);
  }

  /**
   * Runs what is planned until `isDone` says so (returns true) or the time is past `endMs` or nothing is
   * left (returns false).
   */
  run(endMs: number, isDone: () => boolean): boolean {
    while (!isDone()) {
      const next = this.#heap[0];
      if (next === undefined || next.at > endMs) return false;
      this.#pop();
      if (next.isCancelled) continue;
      this.#now = next.at;
      this.#ran++;
      if (next.place === undefined) next.action();
      else next.place.run(next.action);
    }
    return true;
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(planned);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      const above = heap[parent] as Planned;
      if (isBefore(above, planned)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = planned;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Planned;
    const length = heap.length;
    if (length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && isBefore(heap[child + 1] as Planned, heap[child] as Planned)) child++;
      const below = heap[child] as Planned;
      if (isBefore(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
