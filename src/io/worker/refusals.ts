/**
 * Steps of a training loop whose push was refused and that may be taken again: how often, and after how long. It
 * takes none itself.
 */
import { PsError } from '../../core/base/errors.js';

/** Pushes of data shards that are refused one after the other before a run gives up. */
const MAX_REFUSALS = 3;
/** Bound of the first pause before a server that has no room is asked again; it doubles with each. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** The refusals since the last push that was taken. */
export class Refusals {
  readonly #maxMs: number;
  #count = 0;
  #since = 0;

  /** `maxMs`: how long a server may have no room before it counts as lost. */
  constructor(maxMs: number) {
    this.#maxMs = maxMs;
  }

  /** A push was taken. */
  settled(): void {
    this.#count = 0;
  }

  /**
   * A push was refused with `error`. Returns how many milliseconds to wait before its step is taken again, or
   * undefined: the run ends. `canDiffer`: whether other parameters may give a gradient that is taken.
   */
  next(error: unknown, canDiffer: boolean, now: number): number | undefined {
    if (this.#count === 0) this.#since = now;
    const count = ++this.#count;
    const code = error instanceof PsError ? error.code : undefined;
    // The disk is full, now.
    if (code === 'PS_STORAGE' && now - this.#since <= this.#maxMs) {
      return Math.random() * Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(count - 1, 30));
    }
    // Behind a push that was refused, the next of a pipeline is of a clock that was not reached.
    if (code === 'PS_CLOCK' && count > 1) return 0;
    return canDiffer && count < MAX_REFUSALS ? 0 : undefined;
  }
}
