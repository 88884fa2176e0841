/**
 * A process as the operating system sees it: it runs, is stopped and goes on (SIGSTOP, a sleeping laptop,
 * a blocked event loop), or is dead. What happens to a stopped process waits for it; what happens to a
 * dead one is nothing. Its monotonic clock starts somewhere of its own.
 */
import type { Timeline } from './timeline.js';

/** One life of one process. */
export class SimProcess {
  readonly name: string;
  readonly #timeline: Timeline;
  readonly #clockStart: number;
  readonly #waiting: (() => void)[] = [];
  #stops = 0;
  #isAlive = true;

  /** `clockStart`: what its monotonic clock shows at virtual time 0. */
  constructor(name: string, timeline: Timeline, clockStart: number) {
    this.name = name;
    this.#timeline = timeline;
    this.#clockStart = clockStart;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isStopped(): boolean {
    return this.#stops > 0;
  }

  /** Its monotonic clock, in milliseconds. */
  get now(): number {
    return this.#timeline.now + this.#clockStart;
  }

  /** Runs `action` in the process: now, when it goes on, or never. */
  run(action: () => void): void {
    if (!this.#isAlive) return;
    if (this.#stops > 0) this.#waiting.push(action);
    else action();
  }

  /** Runs `action` in the process at virtual time `time`, or as soon after it as the process can. */
  at(time: number, action: () => void): { isCancelled: boolean } {
    return this.#timeline.at(Math.max(time, this.#timeline.now), action, this);
  }

  /** Runs `action` in the process `delayMs` from now. */
  after(delayMs: number, action: () => void): { isCancelled: boolean } {
    return this.at(this.#timeline.now + delayMs, action);
  }

  /** Stops it. Stops add up: it goes on after as many calls of `resume`. */
  stop(): void {
    this.#stops++;
  }

  /** Lets it go on with what has waited, in order. */
  resume(): void {
    this.#stops--;
    while (this.#isAlive && this.#stops === 0 && this.#waiting.length > 0) {
      (this.#waiting.shift() as () => void)();
    }
  }

  /** Blocks its event loop for `ms`; then `then` runs before anything that has waited. */
  block(ms: number, then: () => void): void {
    this.stop();
    this.#timeline.after(ms, () => {
      this.#waiting.unshift(then);
      this.resume();
    });
  }

  /** Virtual time at which its clock shows `now`. */
  timeOf(now: number): number {
    return now - this.#clockStart;
  }

  kill(): void {
    this.#isAlive = false;
    this.#waiting.length = 0;
  }
}
