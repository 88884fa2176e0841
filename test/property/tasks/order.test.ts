import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexSet } from '../../../src/core/tasks/indexSet.js';
import { examplesAt, ShuffledOrder, seedOfEpoch } from '../../../src/core/tasks/shuffledOrder.js';

describe('the order of an epoch', () => {
  it('has every example once, whatever the size and the seed', () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 70 }), fc.integer({ min: 1, max: 5000 }));
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (size, seed) => {
        const seen = new Set(examplesAt(0, size, size, seed));
        expect(seen.size).toBe(size);
        expect(Math.max(...seen)).toBe(size - 1);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('is the same in every part, whoever asks for it', () => {
    const whole = examplesAt(0, 1000, 1000, 99);
    expect([...examplesAt(300, 310, 1000, 99)]).toEqual([...whole.subarray(300, 310)]);
  });

  it('stays within sizes that need more than 32 bits', () => {
    const size = 2 ** 40 + 12_345;
    const order = new ShuffledOrder(size, 5);
    const seen = new Set(Array.from({ length: 1000 }, (_, i) => order.at(size - 1 - i)));
    expect(seen.size).toBe(1000);
    for (const each of seen) expect(each >= 0 && each < size && Number.isInteger(each)).toBe(true);
  });

  it('puts every example at every place about as often, over the seeds', () => {
    const counts = Array.from({ length: 10 }, () => new Array<number>(10).fill(0));
    const seeds = 5000;
    for (let epoch = 0; epoch < seeds; epoch++) {
      for (const [at, example] of examplesAt(0, 10, 10, seedOfEpoch(1, 1, epoch)).entries()) {
        (counts[at] as number[])[example] = ((counts[at] as number[])[example] ?? 0) + 1;
      }
    }
    // Mean 500, standard deviation 21: 100 cells within 5 of them.
    for (const count of counts.flat()) expect(Math.abs(count - seeds / 10)).toBeLessThan(5 * 21.3);
  });

  it('leaves no example beside the one that it stood beside before', () => {
    const order = examplesAt(0, 10_000, 10_000, 3);
    let neighbours = 0;
    for (let i = 1; i < order.length; i++) {
      if (Math.abs((order[i] as number) - (order[i - 1] as number)) === 1) neighbours++;
    }
    // Two are expected of a random order.
    expect(neighbours).toBeLessThan(15);
  });
});

describe('a set of numbers', () => {
  it('holds what was added, in the fewest ranges', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 60 })), (numbers) => {
        const set = new IndexSet();
        const expected = new Set<number>();
        for (const each of numbers) {
          expect(set.add(each)).toBe(!expected.has(each));
          expected.add(each);
        }
        for (let i = 0; i < 62; i++) expect(set.has(i)).toBe(expected.has(i));
        expect(set.size).toBe(expected.size);
        const { ranges } = set;
        for (let i = 1; i < ranges.length; i++)
          expect(ranges[i]?.[0]).toBeGreaterThan(ranges[i - 1]?.[1] as number);
        const again = new IndexSet();
        again.restore(ranges);
        expect(again.ranges).toEqual(ranges);
        expect(again.size).toBe(set.size);
      }),
      { seed: 2, numRuns: 300 },
    );
  });
});
