import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import {
  checkInitialValues,
  fansOf,
  INITIALISERS,
  initialise,
  type TensorStart,
} from '../../../src/core/tensor/initialise.js';
import { lengthOfShape } from '../../../src/core/tensor/tensor.js';

function valuesOf(tensor: Partial<TensorStart>, seed = 1): Float32Array {
  const whole: TensorStart = { name: 'kernel', shape: [10], ...tensor };
  const target = new Float32Array(lengthOfShape(whole.shape));
  initialise(target, whole, seed);
  return target;
}

/** Mean and standard deviation. */
function statistics(values: Float32Array): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const square = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, deviation: Math.sqrt(square) };
}

describe('named rules', () => {
  it('zeros is the default', () => {
    expect(valuesOf({})).toEqual(new Float32Array(10));
    expect(valuesOf({ init: 'zeros' })).toEqual(new Float32Array(10));
    const used = new Float32Array(3).fill(7);
    initialise(used, { name: 'bias', shape: [3] }, 1);
    expect([...used]).toEqual([0, 0, 0]);
  });

  it('ones', () => {
    expect([...valuesOf({ init: 'ones', shape: [3] })]).toEqual([1, 1, 1]);
  });

  it.each([
    { init: 'normal', shape: [300, 100], deviation: 0.05 },
    { init: 'heNormal', shape: [300, 100], deviation: Math.sqrt(2 / 300) },
    { init: 'heNormal', shape: [3, 3, 30, 100], deviation: Math.sqrt(2 / 270) },
  ] as const)('$init of [$shape] has mean 0 and deviation $deviation', ({ init, shape, deviation }) => {
    const found = statistics(valuesOf({ init, shape }));
    expect(Math.abs(found.mean)).toBeLessThan(0.02 * deviation);
    expect(Math.abs(found.deviation / deviation - 1)).toBeLessThan(0.015);
  });

  it.each([
    { init: 'uniform', shape: [300, 100], bound: 0.05 },
    { init: 'glorotUniform', shape: [300, 100], bound: Math.sqrt(6 / 400) },
    { init: 'glorotUniform', shape: [5, 5, 20, 60], bound: Math.sqrt(6 / (25 * 80)) },
  ] as const)('$init of [$shape] fills [−$bound, $bound]', ({ init, shape, bound }) => {
    const values = valuesOf({ init, shape });
    const { mean, deviation } = statistics(values);
    expect(Math.max(...values)).toBeLessThanOrEqual(Math.fround(bound));
    expect(Math.max(...values)).toBeGreaterThan(0.999 * bound);
    expect(Math.min(...values)).toBeLessThan(-0.999 * bound);
    expect(Math.abs(mean)).toBeLessThan(0.02 * bound);
    expect(Math.abs((deviation * Math.sqrt(3)) / bound - 1)).toBeLessThan(0.015);
  });

  it.each([
    [[], 1, 1],
    [[7], 7, 7],
    [[4, 6], 4, 6],
    [[3, 4, 6], 12, 18],
    [[3, 5, 4, 6], 60, 90],
  ])('fans of %j are %i and %i', (shape, fanIn, fanOut) => {
    expect(fansOf(shape)).toEqual({ fanIn, fanOut });
  });

  it('fills a scalar, and leaves an empty tensor empty', () => {
    for (const init of INITIALISERS) {
      expect(Number.isFinite(valuesOf({ init, shape: [] })[0])).toBe(true);
      expect(valuesOf({ init, shape: [0, 4] })).toHaveLength(0);
    }
  });
});

describe('random values', () => {
  it("are those of the stream of the seed, 'init', the name, and the block, for ever", () => {
    const table = JSON.parse(readFileSync(new URL('../../oracle/random.json', import.meta.url), 'utf8')) as {
      seed: number;
      labels: (string | number)[];
      words: number[];
      normals: number[];
    }[];
    const stream = table.find(({ labels }) => labels.join() === 'init,kernel,0');
    if (stream === undefined) throw new Error('the table has no such stream');
    const bound = Math.sqrt(6 / 7);
    const uniform = valuesOf({ init: 'glorotUniform', shape: [3, 4] }, stream.seed);
    expect([...uniform]).toEqual(stream.words.map((word) => Math.fround(bound * (2 * (word / 2 ** 32) - 1))));
    const normal = valuesOf({ init: 'normal', shape: [12] }, stream.seed);
    expect([...normal]).toEqual(stream.normals.map((value) => Math.fround(0.05 * value)));
  });

  it('depend on the seed and on the name', () => {
    const of = (name: string, seed: number): string => valuesOf({ name, init: 'normal' }, seed).join();
    expect(new Set([of('a', 1), of('b', 1), of('a', 2), of('b', 2)]).size).toBe(4);
    expect(of('a', 1)).toBe(of('a', 1));
  });

  it.each(['normal', 'uniform', (i: number) => i / 7] as const)(
    'are the same made whole or in parts: %s',
    (init) => {
      const tensor: TensorStart = { name: 'kernel', shape: [50, 100], init };
      const whole = valuesOf(tensor);
      fc.assert(
        fc.property(fc.nat(5000), fc.nat(5000), (a, b) => {
          const [begin, end] = [Math.min(a, b), Math.max(a, b)];
          const part = new Float32Array(end - begin);
          initialise(part, tensor, 1, begin);
          expect(part).toEqual(whole.slice(begin, end));
        }),
        { seed: 1, numRuns: 40 },
      );
    },
  );
});

describe('values of the user', () => {
  it('come from a function of the index', () => {
    expect([...valuesOf({ init: (i) => i * 0.5, shape: [2, 3] })]).toEqual([0, 0.5, 1, 1.5, 2, 2.5]);
  });

  it('are copied from data', () => {
    const data = Float32Array.of(1, 2, 3);
    const values = valuesOf({ data, shape: [3] });
    data[0] = 9;
    expect([...values]).toEqual([1, 2, 3]);
    const part = new Float32Array(2);
    initialise(part, { name: 'kernel', shape: [3], data }, 1, 1);
    expect([...part]).toEqual([2, 3]);
  });

  it.each([Number.NaN, Infinity, 1e39, '1', undefined])(
    'a function that gives %s is refused, by index',
    (value) => {
      const init = (i: number): number => (i === 3 ? (value as number) : 0);
      expect(() => valuesOf({ init })).toThrow(
        expect.objectContaining({
          code: 'PS_INVALID_ARGUMENT',
          details: { option: 'parameters.kernel.init(3)' },
        }),
      );
    },
  );

  it('what a function throws passes through', () => {
    const failure = new Error('no value');
    const init = (): number => {
      throw failure;
    };
    expect(() => valuesOf({ init })).toThrow(failure);
  });
});

describe('checkInitialValues', () => {
  const check = (tensor: object): void =>
    checkInitialValues({ name: 'kernel', shape: [2, 2], ...tensor } as TensorStart);

  it.each([
    [{ init: 'xavier' }, 'parameters.kernel.init'],
    [{ init: 3 }, 'parameters.kernel.init'],
    [{ init: null }, 'parameters.kernel.init'],
    [{ data: new Float32Array(3) }, 'parameters.kernel.data'],
    [{ data: [1, 2, 3, 4] }, 'parameters.kernel.data'],
    [{ data: new Float64Array(4) }, 'parameters.kernel.data'],
    [{ data: Float32Array.of(1, 2, Number.NaN, 4) }, 'parameters.kernel.data[2]'],
    [{ init: 'ones', data: new Float32Array(4) }, 'parameters.kernel'],
  ])('refuses %j', (tensor, option) => {
    expect(() => check(tensor)).toThrow(PsError);
    expect(() => check(tensor)).toThrow(expect.objectContaining({ details: { option } }));
  });

  it('passes what can be used', () => {
    for (const init of [...INITIALISERS, undefined, () => 1]) expect(() => check({ init })).not.toThrow();
    expect(() => check({ data: new Float32Array(4) })).not.toThrow();
  });
});
