import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Job, JobSequence, JobThen, RangeJob, runToEnd } from '../../../src/core/table/job.js';

/** A job that covers [0, length) and notes each range. */
function noting(length: number): { job: Job; ranges: [number, number][] } {
  const ranges: [number, number][] = [];
  return { job: new RangeJob(length, (begin, end) => ranges.push([begin, end])), ranges };
}

/** Runs `job` with the given budgets, then to its end. */
function runWith(job: Job, budgets: readonly number[]): void {
  for (const elements of budgets) if (job.run({ elements })) return;
  runToEnd(job);
}

describe('RangeJob', () => {
  it('covers every element once, in order, whatever the budgets, also below 0', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.array(fc.integer({ min: -100, max: 60 })), (length, budgets) => {
        const { job, ranges } = noting(length);
        runWith(job, budgets);
        let at = 0;
        for (const [begin, end] of ranges) {
          expect(begin).toBe(at);
          expect(end).toBeGreaterThan(begin);
          at = end;
        }
        expect(at).toBe(length);
      }),
    );
  });

  it('stays within its budget, and an empty one costs something too', () => {
    const budget = { elements: 10 };
    expect(noting(7).job.run(budget)).toBe(true);
    expect(budget.elements).toBe(3);
    expect(noting(7).job.run(budget)).toBe(false);
    expect(budget.elements).toBe(0);
    const rest = { elements: 5 };
    expect(noting(0).job.run(rest)).toBe(true);
    expect(rest.elements).toBe(4);
  });
});

describe('JobSequence', () => {
  it('runs its jobs one after the other, and takes each only when its turn has come', () => {
    const taken: string[] = [];
    const jobs = function* (): Generator<Job> {
      for (const name of ['a', 'b', 'c']) {
        taken.push(name);
        yield new RangeJob(4, (begin, end) => taken.push(`${name}${begin}-${end}`));
      }
    };
    const sequence = new JobSequence(jobs());
    expect(sequence.run({ elements: 6 })).toBe(false);
    expect(taken).toEqual(['a', 'a0-4', 'b', 'b0-2']);
    runToEnd(sequence);
    expect(taken).toEqual(['a', 'a0-4', 'b', 'b0-2', 'b2-4', 'c', 'c0-4']);
  });

  it('without jobs is done at once', () => {
    expect(new JobSequence([]).run({ elements: 1 })).toBe(true);
  });

  it('does nothing without a budget', () => {
    expect(new JobSequence([]).run({ elements: 0 })).toBe(false);
  });
});

describe('JobThen', () => {
  it('calls back once, in the turn of the last slice', () => {
    let calls = 0;
    const job = new JobThen(noting(10).job, () => calls++);
    expect(job.run({ elements: 9 })).toBe(false);
    expect(calls).toBe(0);
    expect(job.run({ elements: 9 })).toBe(true);
    expect(calls).toBe(1);
  });

  it('without a job calls back in the first turn', () => {
    let calls = 0;
    expect(new JobThen(undefined, () => calls++).run({ elements: 0 })).toBe(true);
    expect(calls).toBe(1);
  });

  it('hands what the job throws to onFailed, and counts as done', () => {
    const told: unknown[] = [];
    const failing = new RangeJob(1, () => {
      throw new Error('no');
    });
    const job = new JobThen(
      failing,
      () => told.push('done'),
      (error) => told.push((error as Error).message),
    );
    expect(job.run({ elements: 5 })).toBe(true);
    expect(told).toEqual(['no']);
    expect(() => new JobThen(failing, () => {}).run({ elements: 5 })).toThrow('no');
  });
});
