/**
 * The worker's clock: how many iterations the server has confirmed, and how many are aimed at by
 * ticks that are still under way. A pull behind a tick is for the clock that is aimed at.
 */
export class TrainingClock {
  #reached = 0;
  #aimed = 0;
  #minClock = 0;

  /** Iterations completed, as the server confirmed. */
  get reached(): number {
    return this.#reached;
  }

  /** The clock after all ticks under way. */
  get aimed(): number {
    return this.#aimed;
  }

  /** The smallest clock in the clock table, as last heard. */
  get minClock(): number {
    return this.#minClock;
  }

  /** The target of a new tick. */
  nextTarget(): number {
    this.#aimed++;
    return this.#aimed;
  }

  /** The server is being told that this worker is at `clock` at least. */
  aim(clock: number): void {
    this.#aimed = Math.max(this.#aimed, clock);
  }

  /** The server says where this worker is; it may be further than the worker thought. */
  adopt(clock: number, minClock: number): void {
    this.#reached = Math.max(this.#reached, clock);
    this.#aimed = Math.max(this.#aimed, this.#reached);
    this.#minClock = Math.max(this.#minClock, minClock);
  }

  /** A tick to `target` was refused: the clock stays below it. */
  refuse(target: number): void {
    this.#aimed = Math.max(this.#reached, Math.min(this.#aimed, target - 1));
  }

  /** After a rollback the server's clocks hold, whatever was reached before. */
  reset(clock: number, minClock: number): void {
    this.#reached = clock;
    this.#aimed = clock;
    this.#minClock = minClock;
  }
}
