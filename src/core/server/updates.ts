/**
 * Everything that changes parameters, one after the other: complete pushes in the order in which their
 * turn came, clocks that close, and changes of settings. Each is decided when its turn comes, recorded,
 * and carried out as a job in slices; then it is acknowledged, as soon as its record is committed.
 */
import { type Budget, type Job, JobThen, SLICE_ELEMENTS, TimedJob } from '../table/job.js';
import type { CoreContext } from './context.js';
import type { CloseRecord } from './records.js';

/**
 * A slice ends after so long, which is looked at after so many elements: memory that was never written to may take
 * twenty times as long as other, and what the user's own optimizer takes nobody knows.
 */
const SLICE_MS = 4;
const PART_ELEMENTS = 65_536;

/** Begins one change; returns the job that is left to do. */
export type Change = () => Job | undefined;

/** The queue of changes of one shard. */
export class UpdateQueue {
  readonly #context: CoreContext;
  readonly #changes: Change[] = [];
  #active: Job | undefined;
  #isContinuing = false;
  #isGateOpen = false;
  readonly #onChanged: () => void;

  /** `onChanged`: a change is complete, and nothing has been decided since. */
  constructor(context: CoreContext, onChanged: () => void = () => {}) {
    this.#context = context;
    this.#onChanged = onChanged;
  }

  /** Whether nothing is under way or waiting. */
  get isIdle(): boolean {
    return this.#active === undefined && this.#changes.length === 0 && this.#closable() === undefined;
  }

  /** Appends a change. It begins when those before it are done. */
  add(change: Change): void {
    this.#changes.push(change);
  }

  /** The turn after a `continue` effect has come. */
  onContinue(): void {
    this.#isContinuing = false;
  }

  /** Works on what is queued, for one slice at most; asks for another turn if something is left. */
  run(): void {
    if (this.#isContinuing) return;
    const { stopwatch } = this.#context;
    const begun = stopwatch();
    for (let left = SLICE_ELEMENTS; left > 0; ) {
      this.#active ??= this.#next();
      if (this.#active === undefined) return;
      const part = Math.min(left, PART_ELEMENTS);
      // A change without a job costs a little too, so that a long queue of them is no endless turn.
      const budget: Budget = { elements: part - 64 };
      if (this.#active.run(budget)) {
        this.#active = undefined;
        this.#onChanged();
      }
      left -= part - budget.elements;
      if (stopwatch() - begun >= SLICE_MS) break;
    }
    if (this.isIdle) return;
    this.#isContinuing = true;
    this.#context.emit({ kind: 'continue' });
  }

  /** A clock that can close goes first: nothing of the next clock may come before. */
  #next(): Job | undefined {
    const close = this.#close();
    if (close !== undefined) return close;
    while (this.#changes.length > 0) {
      const job = (this.#changes.shift() as Change)();
      this.#context.isDirty = true;
      if (job !== undefined) return job;
      this.#onChanged();
    }
    return this.#close();
  }

  #closable(): number | undefined {
    const { state, options, commits } = this.#context;
    if (commits.failure !== undefined) return undefined;
    this.#isGateOpen ||= state.joinedWorkers >= options.minWorkers;
    return this.#isGateOpen ? state.policy.closable(state.clocks, state.firstBuffered) : undefined;
  }

  #close(): Job | undefined {
    const { state, observe, commits } = this.#context;
    const clock = this.#closable();
    if (clock === undefined) return undefined;
    const workers = state.buffers.get(clock)?.contributions.map((each) => each.worker) ?? [];
    const record: CloseRecord = { kind: 'close', clock, rates: this.#rates() };
    const versionBefore = state.version;
    const timed = new TimedJob(state.apply(record, this.#context.now), this.#context.stopwatch);
    return new JobThen(timed, () => {
      // The same version: nobody pushed, or the user's optimizer failed.
      const isUpdated = state.version > versionBefore;
      commits.append(isUpdated || workers.length === 0 ? record : { ...record, isFailed: true });
      this.#context.isDirty = true;
      if (!isUpdated) return;
      const applyMs = timed.elapsed;
      observe({ kind: 'update', version: state.version, workers, clock, delay: 0, scaled: false, applyMs });
    });
  }

  /** Rates for a clock that must close whatever a schedule says: one that fails leaves the parameters alone. */
  #rates(): number[] {
    const { table, onFailure } = this.#context.state;
    try {
      return table.ratesNow(1);
    } catch (error) {
      onFailure(error);
      return table.groups.map(() => 0);
    }
  }
}
