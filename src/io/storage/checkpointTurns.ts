/**
 * One checkpoint at a time. Who asks for one while one is taken gets the next, together with all others
 * who do: what each asked for before is in it. How a checkpoint is taken stands elsewhere.
 *
 *     ask ──▶ capture (the core's part) ──captured──▶ written (the disk's part) ──▶ answered
 */
import type { PsError } from '../../core/base/errors.js';

/** A checkpoint that was taken. */
export interface CheckpointReport {
  readonly path: string;
  readonly bytes: number;
  /** Updates in it. */
  readonly version: number;
}

/** Hears how a checkpoint ended. */
export type CheckpointDone = (error: PsError | null, report?: CheckpointReport) => void;

/** Takes checkpoints one after the other. */
export class CheckpointTurns {
  readonly #take: (answer: CheckpointDone) => void;
  /** Who waits for a checkpoint that has not begun. */
  #waiting: CheckpointDone[] = [];
  #onIdle: (() => void)[] = [];
  #isTaking = false;
  /** Ends the checkpoint whose capture is under way. */
  #giveUp: CheckpointDone | undefined;
  #stopped: PsError | undefined;

  /** `take` takes one, says `captured` on the way, and calls `answer` once. */
  constructor(take: (answer: CheckpointDone) => void) {
    this.#take = take;
  }

  /** Whether one is being taken. */
  get isTaking(): boolean {
    return this.#isTaking;
  }

  /** Takes one, now or after the one that is being taken. */
  ask(done: CheckpointDone): void {
    this.#waiting.push(done);
    this.#next();
  }

  /** All that is still needed for the one being taken is a disk. */
  captured(): void {
    this.#giveUp = undefined;
  }

  /** Calls `then` when none is being taken and nobody waits for one. */
  whenIdle(then: () => void): void {
    if (this.#isTaking) this.#onIdle.push(then);
    else then();
  }

  /** There is no core any more that a state could be captured of: ends what waits for it, and what will be asked. */
  stop(error: PsError): void {
    this.#stopped = error;
    this.#giveUp?.(error);
  }

  #next(): void {
    if (this.#isTaking || this.#waiting.length === 0) return;
    const waiting = this.#waiting.splice(0);
    const answer: CheckpointDone = (error, report) => {
      this.#isTaking = false;
      this.#giveUp = undefined;
      for (const done of waiting) done(error, report);
      this.#next();
      if (!this.#isTaking) for (const then of this.#onIdle.splice(0)) then();
    };
    this.#isTaking = true;
    if (this.#stopped !== undefined) {
      answer(this.#stopped);
      return;
    }
    this.#giveUp = answer;
    this.#take(answer);
  }
}
