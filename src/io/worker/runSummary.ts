/** What a training loop has done so far: counted while it runs, summed up at its end. */
import { monotonicNow } from '../time.js';

/** What a loop has done. */
export interface RunSummary {
  /** Steps whose push was answered. */
  readonly steps: number;
  readonly examples: number;
  readonly seconds: number;
  /** The part of `seconds` that was spent waiting for pulls and pushes. */
  readonly waitSeconds: number;
  readonly pulledBytes: number;
  readonly pushedBytes: number;
  /** What ended it: the number of steps, the end of the data, or the server's `finish`. */
  readonly endedBy: 'steps' | 'data' | 'finish';
  /** The reason that the server gave, if it was `finish`. */
  readonly finishReason?: string;
}

/** The counts of one loop. */
export class RunTally {
  readonly #startedAt = monotonicNow();
  #steps = 0;
  #examples = 0;
  #waitMs = 0;
  #stepWaitMs = 0;
  /** Since when the loop waits for a push. */
  #waitingSince: number | undefined;
  #pulledBytes = 0;
  #pushedBytes = 0;

  /** Steps whose push was answered. */
  get steps(): number {
    return this.#steps;
  }

  /** Parameters have come, after a wait since `since`. */
  pulled(bytes: number, since: number): void {
    this.#pulledBytes += bytes;
    this.#waited(since);
  }

  /** From now on the loop waits for a push, if it does not already. */
  startWaiting(): void {
    this.#waitingSince ??= monotonicNow();
  }

  /** The loop waits no more. */
  stopWaiting(): void {
    if (this.#waitingSince !== undefined) this.#waited(this.#waitingSince);
    this.#waitingSince = undefined;
  }

  /** A step's push was answered. Returns how long was waited since the step before, in milliseconds. */
  answered(bytes: number, examples: number): number {
    const isWaiting = this.#waitingSince !== undefined;
    this.stopWaiting();
    if (isWaiting) this.startWaiting();
    this.#steps++;
    this.#examples += examples;
    this.#pushedBytes += bytes;
    const waitMs = this.#stepWaitMs;
    this.#stepWaitMs = 0;
    return waitMs;
  }

  /** The counts until now. */
  summary(endedBy: RunSummary['endedBy'], finishReason: string | undefined): RunSummary {
    return {
      steps: this.#steps,
      examples: this.#examples,
      seconds: (monotonicNow() - this.#startedAt) / 1000,
      waitSeconds: this.#waitMs / 1000,
      pulledBytes: this.#pulledBytes,
      pushedBytes: this.#pushedBytes,
      endedBy,
      ...(endedBy === 'finish' ? { finishReason: finishReason ?? '' } : {}),
    };
  }

  #waited(since: number): void {
    const waitMs = monotonicNow() - since;
    this.#waitMs += waitMs;
    this.#stepWaitMs += waitMs;
  }
}
