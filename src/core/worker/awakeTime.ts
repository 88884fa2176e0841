/**
 * Time as far as this process was there to see it. The shell wakes the core at the time it asked
 * for; if it comes later, the event loop was blocked (a synchronous gradient, a sleeping laptop),
 * and answers may lie unread. So the delay counts for nothing: no deadline passes unseen, and a
 * worker that computes for a minute finds its connection alive afterwards.
 */
export class AwakeTime {
  #skippedMs = 0;
  #wakeAt = Number.POSITIVE_INFINITY;
  /** `#wakeAt` in the shell's time. */
  #dueAt = Number.POSITIVE_INFINITY;

  /** The awake time at `now`. Mutates: what lies past the last `wakeAt` is skipped for good. */
  read(now: number): number {
    if (now < this.#dueAt) return Math.min(now - this.#skippedMs, this.#wakeAt);
    // Not computed from `now`: by a rounding error the time that was asked for would not have come, again and again.
    this.#skippedMs = now - this.#wakeAt;
    return this.#wakeAt;
  }

  /** Sets when the core wants to be woken, in awake time; returns it in the shell's time. */
  wakeAt(awake: number): number {
    this.#wakeAt = awake;
    this.#dueAt = awake + this.#skippedMs;
    return this.#dueAt;
  }
}
