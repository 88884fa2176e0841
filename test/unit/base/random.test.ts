import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { checkSeed, Random } from '../../../src/core/base/random.js';

const draw = (random: Random, count: number): number[] =>
  Array.from({ length: count }, () => random.nextUint32());

/** Pearson's statistic of `counts` against equal frequencies. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('seeds', () => {
  it('the same seed gives the same stream, another seed another', () => {
    expect(draw(new Random(5), 8)).toEqual(draw(new Random(5), 8));
    expect(draw(new Random(5), 8)).not.toEqual(draw(new Random(6), 8));
    expect(draw(new Random(5), 8)).not.toEqual(draw(new Random(5 + 2 ** 32), 8));
  });

  it.each([-1, 0.5, Number.NaN, Infinity, 2 ** 53])('refuses %d', (seed) => {
    expect(() => new Random(seed)).toThrow(PsError);
    expect(() => checkSeed('seed', seed)).toThrow('seed must be an integer in [0, 2^53)');
  });

  it.each(['7', undefined, null, {}])('checkSeed refuses %s', (seed) => {
    expect(() => checkSeed('seed', seed)).toThrow(expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' }));
  });

  it('refuses a key of zeros, from which xoshiro would never leave', () => {
    expect(() => new Random(new Uint32Array(4))).toThrow(PsError);
  });
});

describe('fork', () => {
  it('does not depend on how many numbers were drawn, and draws none', () => {
    const [fresh, used] = [new Random(9), new Random(9)];
    draw(used, 100);
    expect(draw(used.fork('a'), 8)).toEqual(draw(fresh.fork('a'), 8));
    expect(draw(fresh, 8)).toEqual(draw(new Random(9), 8));
  });

  it('gives each path of labels a stream of its own', () => {
    const root = new Random(1);
    const paths = [
      root,
      root.fork('a'),
      root.fork('b'),
      root.fork('ab'),
      root.fork('a').fork('b'),
      root.fork(''),
    ];
    paths.push(root.fork(0), root.fork(1), root.fork('1'), root.fork(2 ** 32), root.fork(2 ** 32 + 1));
    expect(new Set(paths.map((random) => draw(random, 2).join())).size).toBe(paths.length);
  });

  it('refuses numbers that are no labels', () => {
    expect(() => new Random(1).fork(-1)).toThrow(PsError);
    expect(() => new Random(1).fork(1.5)).toThrow(PsError);
  });
});

describe('nextFloat', () => {
  it('is in [0, 1), spread evenly', () => {
    const random = new Random(2);
    const counts = new Array<number>(100).fill(0);
    let outside = 0;
    for (let i = 0; i < 100_000; i++) {
      const value = random.nextFloat();
      if (!(value >= 0 && value < 1)) outside++;
      const cell = Math.floor(value * 100);
      counts[cell] = (counts[cell] as number) + 1;
    }
    expect(outside).toBe(0);
    // 99 degrees of freedom: 99.9 % of samples lie below 149.
    expect(chiSquare(counts)).toBeLessThan(149);
  });
});

describe('nextInt', () => {
  it.each([1, 2, 6, 7, 100, 2 ** 31 + 1, 2 ** 32])('stays below %d', (bound) => {
    const random = new Random(3);
    for (let i = 0; i < 1000; i++) {
      const value = random.nextInt(bound);
      expect(Number.isInteger(value) && value >= 0 && value < bound).toBe(true);
    }
  });

  it('favours nobody where 2^32 is no multiple of the bound', () => {
    // Without drawing again, the lower half of this bound would come twice as often as the upper.
    const bound = 3 * 2 ** 30;
    const random = new Random(4);
    let upper = 0;
    for (let i = 0; i < 30_000; i++) if (random.nextInt(bound) >= bound / 2) upper++;
    expect(Math.abs(upper / 30_000 - 0.5)).toBeLessThan(0.012);
  });

  it.each([0, -1, 1.5, 2 ** 32 + 1, Number.NaN])('refuses the bound %d', (bound) => {
    expect(() => new Random(1).nextInt(bound)).toThrow(PsError);
  });
});

describe('nextNormal', () => {
  it('has the moments and the tails of the normal distribution', () => {
    const random = new Random(5);
    const count = 200_000;
    const values = Array.from({ length: count }, () => random.nextNormal());
    const moment = (k: number): number => values.reduce((sum, value) => sum + value ** k, 0) / count;
    expect(Math.abs(moment(1))).toBeLessThan(0.01);
    expect(Math.abs(moment(2) - 1)).toBeLessThan(0.01);
    expect(Math.abs(moment(3))).toBeLessThan(0.03);
    expect(Math.abs(moment(4) - 3)).toBeLessThan(0.08);
    const share = (limit: number): number => values.filter((value) => Math.abs(value) < limit).length / count;
    expect(share(1)).toBeCloseTo(0.6827, 2);
    expect(share(2)).toBeCloseTo(0.9545, 2);
    expect(share(3)).toBeCloseTo(0.9973, 2);
  });
});

describe('shuffle', () => {
  it('keeps the items, in place', () => {
    const items = [1, 2, 3, 4, 5, 6, 7, 8];
    const shuffled = new Random(6).shuffle(items);
    expect(shuffled).toBe(items);
    expect([...shuffled].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect([...new Random(6).shuffle(Uint32Array.of(1, 2, 3, 4, 5, 6, 7, 8))]).toEqual(shuffled);
    expect(new Random(6).shuffle([])).toEqual([]);
  });

  it('makes all orders equally likely', () => {
    const random = new Random(7);
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = random.shuffle([1, 2, 3, 4]).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    // 23 degrees of freedom: 99.9 % of samples lie below 50.
    expect(chiSquare([...counts.values()])).toBeLessThan(50);
  });
});
