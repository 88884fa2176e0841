/**
 * Disk work in order, written as it reads: a generator that yields one call at a time and goes on when it
 * has ended. An error of the disk is thrown where the call stands. No promises: on a simulated disk the
 * same work takes the same steps every time.
 *
 *     function* copyName(disk: Disk): Task<number> {
 *       const file = yield* result<DiskFile>((done) => disk.open('a', 'read', done));
 *       const size = yield* result<number>((done) => file.size(done));
 *       yield* completion((done) => file.close(done));
 *       return size;
 *     }
 */
import type { DiskDone, DiskResult } from './disk.js';

/** Begins one call, which ends with `done`. */
export type Step = (done: DiskResult<unknown>) => void;

/** Work that yields the calls it waits for. */
export type Task<T> = Generator<Step, T, unknown>;

/** Waits for a call that gives a result. */
export function* result<T>(begin: (done: DiskResult<T>) => void): Task<T> {
  return (yield begin as Step) as T;
}

/** Waits for a call that gives none. */
export function* completion(begin: (done: DiskDone) => void): Task<void> {
  yield begin as Step;
}

/** Carries `task` out; `done` gets what it returned, or what it threw. */
export function runTask<T>(task: Task<T>, done: (error: unknown, value?: T) => void): void {
  const advance: DiskResult<unknown> = (failure, given) => {
    let step: IteratorResult<Step, T>;
    try {
      step = failure === null ? task.next(given) : task.throw(failure);
    } catch (error) {
      done(error);
      return;
    }
    if (step.done === true) done(null, step.value);
    else step.value(advance);
  };
  advance(null);
}
