/**
 * Generic tasks: what waits, who works on what, and how often each was tried. A task that comes back is
 * tried again before others; one that was tried too often has failed. It lives in memory: whoever gave the
 * tasks waits for their results in the same process.
 */
import { type Lease, LeaseBook } from './leaseBook.js';

/** One task. `I` is its input. */
export interface PoolTask<I> {
  readonly id: number;
  readonly input: I;
  /** How often it may be tried. */
  readonly maxAttempts: number;
  /** How long one attempt may take; Infinity: as long as it likes. */
  readonly timeoutMs: number;
  /** Attempts that have failed. */
  attempts: number;
  /** When the present attempt began; undefined: it has not, as far as can be known. */
  startedAt: number | undefined;
}

/** The tasks of one server. */
export class TaskPool<I> {
  readonly leases: LeaseBook<PoolTask<I>> = new LeaseBook();
  /** Tasks that wait, from `#head` on. */
  #waiting: PoolTask<I>[] = [];
  #head = 0;
  readonly #returned: PoolTask<I>[] = [];
  readonly #cancelled = new Set<number>();

  /** Tasks that wait for a worker. */
  get waiting(): number {
    return this.#waiting.length - this.#head + this.#returned.length;
  }

  add(task: PoolTask<I>): void {
    this.#waiting.push(task);
  }

  /** The next task, without taking it. */
  peek(): PoolTask<I> | undefined {
    this.#dropCancelled();
    return this.#returned[0] ?? this.#waiting[this.#head];
  }

  /** Gives the next task to `holder`. REQUIRES: there is one. */
  take(holder: string): Lease<PoolTask<I>> {
    const task = this.peek() as PoolTask<I>;
    if (this.#returned.length > 0) this.#returned.shift();
    else {
      this.#head++;
      if (this.#head > 1024 && this.#head * 2 > this.#waiting.length) {
        this.#waiting = this.#waiting.slice(this.#head);
        this.#head = 0;
      }
    }
    task.startedAt = undefined;
    return this.leases.give(holder, task);
  }

  /** The lease ends with its task done, or given up. */
  finish(lease: number, holder: string): PoolTask<I> | undefined {
    return this.leases.find(lease, holder) === undefined ? undefined : this.leases.end(lease)?.task;
  }

  /**
   * The lease ends without its task being done. `counts`: it was an attempt. Returns the task if it has failed
   * for good; else it waits again.
   */
  giveBack(lease: number, counts: boolean): PoolTask<I> | undefined {
    const task = this.leases.end(lease)?.task;
    if (task === undefined) return undefined;
    if (counts) task.attempts++;
    if (task.attempts >= task.maxAttempts) return task;
    this.#returned.push(task);
    return undefined;
  }

  /**
   * The leases of `holder` that it works on now, when it works on `concurrency` at a time: it takes them in the
   * order in which it got them. Those without a start begin at `now`.
   */
  running(holder: string, concurrency: number, now: number): Lease<PoolTask<I>>[] {
    const running = this.leases.of(holder).slice(0, concurrency);
    for (const { task } of running) task.startedAt ??= now;
    return running;
  }

  /** Nobody wants these tasks any more. Returns the leases that end with it. */
  cancel(ids: ReadonlySet<number>): Lease<PoolTask<I>>[] {
    const out = [...this.leases].filter(({ task }) => ids.has(task.id));
    for (const { number } of out) this.leases.end(number);
    const isOut = new Set(out.map(({ task }) => task.id));
    for (const id of ids) if (!isOut.has(id)) this.#cancelled.add(id);
    this.#dropCancelled();
    // What is left in the set was done before.
    if (this.waiting === 0) this.#cancelled.clear();
    return out;
  }

  #dropCancelled(): void {
    while (this.#cancelled.size > 0) {
      const list = this.#returned.length > 0 ? this.#returned : undefined;
      const task = list?.[0] ?? this.#waiting[this.#head];
      if (task === undefined || !this.#cancelled.delete(task.id)) return;
      if (list !== undefined) list.shift();
      else this.#head++;
    }
  }
}
