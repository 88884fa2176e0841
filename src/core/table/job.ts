/**
 * Work over a large model, cut into slices so that small messages pass between them. A small model's
 * job is one slice, and ends within the turn that began it.
 */

/** How many elements may still be worked on in this turn. */
export interface Budget {
  elements: number;
}

/** Work that is done by and by. */
export interface Job {
  /** Works until it is done (returns true) or the budget is used up (returns false: call it again). */
  run(budget: Budget): boolean;
}

/** Elements of one slice: a few milliseconds of the slowest kernel in plain JavaScript. */
export const SLICE_ELEMENTS = 524_288;

/**
 * Updates of models up to this are written in place when nobody reads: that takes two thirds to three quarters of the
 * time. A pull that comes meanwhile waits for the end, a few milliseconds; of a larger model it would be longer.
 */
export const IN_PLACE_ELEMENTS = 8_388_608;

/** A job over the elements [0, length), done range by range. */
export class RangeJob implements Job {
  readonly #length: number;
  readonly #work: (begin: number, end: number) => void;
  readonly #cost: number;
  #at = 0;

  /** `cost`: of an element, against one of an update; an integer from 1. */
  constructor(length: number, work: (begin: number, end: number) => void, cost = 1) {
    this.#length = length;
    this.#work = work;
    this.#cost = cost;
  }

  run(budget: Budget): boolean {
    const count = Math.max(0, Math.ceil(budget.elements / this.#cost));
    const end = Math.min(this.#length, this.#at + count);
    if (end > this.#at) this.#work(this.#at, end);
    // An empty piece costs a little too, so that many of them do not make one endless turn.
    budget.elements -= Math.max(1, (end - this.#at) * this.#cost);
    this.#at = end;
    return end === this.#length;
  }
}

/** Jobs one after the other; each is taken from the list when the one before is done. */
export class JobSequence implements Job {
  readonly #jobs: Iterator<Job>;
  #job: Job | undefined;

  constructor(jobs: Iterable<Job>) {
    this.#jobs = jobs[Symbol.iterator]();
  }

  run(budget: Budget): boolean {
    while (budget.elements > 0) {
      if (this.#job === undefined) {
        const next = this.#jobs.next();
        if (next.done === true) return true;
        this.#job = next.value;
      }
      if (this.#job.run(budget)) this.#job = undefined;
    }
    return false;
  }
}

/** A job, and what follows when it is done. */
export class JobThen implements Job {
  readonly #job: Job | undefined;
  readonly #onDone: () => void;
  readonly #onFailed: ((error: unknown) => void) | undefined;

  /**
   * `onDone` runs once, in the turn of the last slice; without a job, in the first. If the job throws,
   * `onFailed` runs instead, and the job counts as done; without `onFailed` the error passes through.
   */
  constructor(job: Job | undefined, onDone: () => void, onFailed?: (error: unknown) => void) {
    this.#job = job;
    this.#onDone = onDone;
    this.#onFailed = onFailed;
  }

  run(budget: Budget): boolean {
    try {
      if (this.#job !== undefined && !this.#job.run(budget)) return false;
    } catch (error) {
      if (this.#onFailed === undefined) throw error;
      this.#onFailed(error);
      return true;
    }
    this.#onDone();
    return true;
  }
}

/** A job whose time is taken, slice by slice. */
export class TimedJob implements Job {
  readonly #job: Job | undefined;
  readonly #stopwatch: () => number;
  /** What it has taken so far, in the stopwatch's unit. */
  elapsed = 0;

  constructor(job: Job | undefined, stopwatch: () => number) {
    this.#job = job;
    this.#stopwatch = stopwatch;
  }

  run(budget: Budget): boolean {
    if (this.#job === undefined) return true;
    const begun = this.#stopwatch();
    const isDone = this.#job.run(budget);
    this.elapsed += this.#stopwatch() - begun;
    return isDone;
  }
}

/** Runs a job to its end at once. */
export function runToEnd(job: Job): void {
  const budget = { elements: Number.MAX_SAFE_INTEGER };
  while (!job.run(budget)) budget.elements = Number.MAX_SAFE_INTEGER;
}
