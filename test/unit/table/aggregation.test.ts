import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RobustAggregation } from '../../../src/core/consistency/aggregate.js';
import { robustMerge } from '../../../src/core/table/aggregation.js';
import { runToEnd } from '../../../src/core/table/job.js';

const float = fc.float({ noNaN: true });
const honest = fc.float({ noNaN: true, min: -10, max: 10 });

/** The merged update, worked on in slices of `slice` elements. */
function merged(sums: readonly (readonly number[])[], robust: RobustAggregation, slice?: number): number[] {
  const arrays = sums.map((sum) => Float32Array.from(sum));
  const job = robustMerge(arrays, robust);
  if (slice === undefined) runToEnd(job);
  else while (!job.run({ elements: slice })) {}
  return [...(arrays[0] as Float32Array)];
}

const columns = (count: number, value: fc.Arbitrary<number>) =>
  fc.array(fc.array(value, { minLength: 5, maxLength: 5 }), { minLength: count, maxLength: count });

describe('the median', () => {
  const median = { aggregate: 'median', faultyShare: 0.25 } as const;

  it('of an odd number is the one in the middle, of an even number the mean of two', () => {
    expect(
      merged(
        [
          [3, 1],
          [1, -1],
          [2, 9e9],
        ],
        median,
      ),
    ).toEqual([2, 1]);
    expect(merged([[4], [1], [2], [100]], median)).toEqual([3]);
    expect(merged([[7]], median)).toEqual([7]);
  });

  it('lies between two honest values, whatever a minority sends (Yin et al. 2018)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }).chain((f) => fc.tuple(columns(f + 1, honest), columns(f, float))),
        ([good, bad]) => {
          const result = merged([...bad, ...good], median);
          result.forEach((value, i) => {
            const own = good.map((each) => each[i] as number);
            expect(value).toBeGreaterThanOrEqual(Math.min(...own));
            expect(value).toBeLessThanOrEqual(Math.max(...own));
          });
        },
      ),
    );
  });
});

describe('the trimmed mean', () => {
  it('leaves out as many at each end as may be faulty', () => {
    const robust = { aggregate: 'trimmedMean', faultyShare: 0.2 } as const;
    expect(merged([[1], [2], [3], [4], [-1e30]], robust)).toEqual([2]);
    // A fifth of four is nobody.
    expect(merged([[1], [2], [3], [6]], robust)).toEqual([3]);
    const nobody = { aggregate: 'trimmedMean', faultyShare: 0 } as const;
    expect(merged([[1], [2], [6]], nobody)).toEqual([3]);
  });

  it('lies between two honest values if no more are faulty than it is told (Yin et al. 2018)', () => {
    const robust = { aggregate: 'trimmedMean', faultyShare: 0.34 } as const;
    fc.assert(
      fc.property(columns(4, honest), columns(2, float), (good, bad) => {
        merged([...good, ...bad], robust).forEach((value, i) => {
          const own = good.map((each) => each[i] as number);
          expect(value).toBeGreaterThanOrEqual(Math.min(...own));
          expect(value).toBeLessThanOrEqual(Math.max(...own));
        });
      }),
    );
  });
});

describe('Krum', () => {
  const krum = { aggregate: 'krum', faultyShare: 0.25 } as const;

  it('is the update with the nearest neighbours', () => {
    expect(
      merged(
        [
          [50, 0],
          [1, 1],
          [1.2, 1],
          [1.1, 1],
          [-50, 0],
        ],
        krum,
      ),
    ).toEqual([1.1, 1].map(Math.fround));
  });

  it('is always one of the updates, and an honest one if the others are far away (Blanchard et al. 2017)', () => {
    fc.assert(
      fc.property(
        columns(5, honest),
        columns(2, fc.oneof(fc.constant(1e30), fc.constant(-1e30), fc.float({ noNaN: true, min: 1000 }))),
        fc.nat(5),
        (good, bad, at) => {
          const all = [...good.slice(0, at), ...bad, ...good.slice(at)];
          const result = merged(all, { ...krum, faultyShare: 2 / 7 });
          expect(good.map((each) => each.map(Math.fround))).toContainEqual(result);
        },
      ),
    );
  });

  it('of one or two takes the first, of three the first of the two that are closest', () => {
    expect(merged([[5]], krum)).toEqual([5]);
    expect(merged([[5], [7]], krum)).toEqual([5]);
    expect(merged([[5], [9], [7.5]], krum)).toEqual([9]);
  });
});

describe('all of them', () => {
  it('give the same bits however they are cut, and stay numbers with infinite ones among them', () => {
    const aggregates = ['median', 'trimmedMean', 'krum'] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...aggregates),
        columns(5, float),
        fc.integer({ min: 1, max: 13 }),
        (aggregate, sums, slice) => {
          const robust = { aggregate, faultyShare: 0.25 };
          expect(merged(sums, robust, slice)).toEqual(merged(sums, robust));
        },
      ),
    );
    for (const aggregate of aggregates) {
      const infinite = [[Number.POSITIVE_INFINITY], [1], [2], [3], [4]];
      expect(Number.isFinite(merged(infinite, { aggregate, faultyShare: 0.25 })[0])).toBe(true);
    }
  });
});
