/**
 * What every implementation of `Kernels` must do, to the bit.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Kernels, SUM_SQUARES_BLOCK } from '../../src/core/kernels/kernels.js';
import {
  sumSquaresByDefinition,
  UPDATE_KERNELS,
  type UpdateKernel,
  VECTOR_KERNELS,
} from './kernelDefinitions.js';

/** An implementation, and where the arrays that it works on come from. */
export interface KernelsUnderTest {
  readonly kernels: Kernels;
  /** A Float32Array of zeros in the memory that the kernels work in. */
  allocate(length: number): Float32Array;
}

const LARGEST = 3.4028234663852886e38;
/** Numbers at which float32 arithmetic turns: zeros, subnormals, the normal limits, overflow, no number. */
const SPECIAL = [
  0,
  -0,
  1,
  -1,
  0.1,
  -0.1,
  1.1,
  1e-3,
  -7.5,
  2 ** -149,
  -(2 ** -149),
  2 ** -127,
  2 ** -126,
  -(2 ** -126),
  1e-23,
  1e-19,
  1e19,
  -1e19,
  1e25,
  LARGEST,
  -LARGEST,
  Infinity,
  -Infinity,
  Number.NaN,
];
const element = fc.oneof(
  fc.float({ noNaN: true, noDefaultInfinity: true }),
  fc.float({ min: -2, max: 2, noNaN: true }),
  fc.constantFrom(...SPECIAL),
);

/** The bits of each number; all NaN are one. */
function bitsOf(values: ArrayLike<number>): number[] {
  const floats = Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer);
  return Array.from(bits, (word, i) => (Number.isNaN(floats[i]) ? 0x7fc00000 : word));
}

/** Second-moment slots are never negative: the kernels may rely on it. */
function slotValue(kernel: UpdateKernel, slot: number, value: number): number {
  const isSquare = /^(adagrad|rmsprop)/.test(kernel.name) || (/^(adam|ftrl)/.test(kernel.name) && slot === 1);
  return isSquare ? Math.abs(value) : value;
}

/** Declares the tests of one implementation. */
export function describeKernels({ kernels, allocate }: KernelsUnderTest): void {
  const place = (values: ArrayLike<number>, at = 0): Float32Array => {
    const array = allocate(values.length + at + 3).subarray(at, at + values.length);
    array.set(values);
    return array;
  };

  /** Runs `kernel` on copies, at an offset of `at` elements; returns the bits of what it wrote. */
  const runUpdate = (
    kernel: UpdateKernel,
    rows: readonly (readonly number[])[],
    { at = 0, inPlace = false, cuts = [] as readonly number[] } = {},
  ): number[][] => {
    const p = place(
      rows.map((row) => row[0] as number),
      at,
    );
    const g = place(
      rows.map((row) => row[1] as number),
      at,
    );
    const slots = Array.from({ length: kernel.slotCount }, (_, k) =>
      place(
        rows.map((row) => slotValue(kernel, k, row[k + 2] as number)),
        at,
      ),
    );
    const out = inPlace
      ? p
      : place(
          p.map(() => 99),
          at,
        );
    const [before, gradient] = [bitsOf(p), bitsOf(g)];
    const edges = [0, ...[...cuts].sort((a, b) => a - b), rows.length];
    edges.slice(1).forEach((end, i) => {
      const part = (array: Float32Array): Float32Array => array.subarray(edges[i], end);
      kernel.call(kernels, part(out), part(p), part(g), slots.map(part));
    });
    expect(bitsOf(g), 'gradient is read only').toEqual(gradient);
    if (!inPlace) expect(bitsOf(p), 'parameter is read only').toEqual(before);
    return [bitsOf(out), ...slots.map(bitsOf)];
  };

  const defined = (kernel: UpdateKernel, rows: readonly (readonly number[])[]): number[][] => {
    const elements = rows.map(([p, g, ...slots]) =>
      kernel.define(
        p as number,
        g as number,
        slots.map((value, k) => slotValue(kernel, k, value)),
      ),
    );
    const slots = Array.from({ length: kernel.slotCount }, (_, k) =>
      elements.map((e) => e.slots[k] as number),
    );
    return [elements.map((e) => e.p), ...slots].map(bitsOf);
  };

  /** Rows (parameter, gradient, slots…) of float32 numbers. */
  const rowsOf = (kernel: UpdateKernel, maxLength: number): fc.Arbitrary<number[][]> =>
    fc.array(
      fc.array(element.map(Math.fround), {
        minLength: kernel.slotCount + 2,
        maxLength: kernel.slotCount + 2,
      }),
      {
        maxLength,
      },
    );

  describe.each(UPDATE_KERNELS)('$name', (kernel) => {
    it('gives the bits of its formula for every combination of special values', () => {
      const few = SPECIAL.map(Math.fround);
      const rows = few.flatMap((p) =>
        few.flatMap((g) => few.map((slot, i) => [p, g, slot, few[(i * 7 + 3) % few.length] as number])),
      );
      expect(runUpdate(kernel, rows)).toEqual(defined(kernel, rows));
    });

    it('gives the bits of its formula at any length and alignment, in place or not', () => {
      fc.assert(
        fc.property(rowsOf(kernel, 40), fc.nat(4), fc.boolean(), (rows, at, inPlace) => {
          expect(runUpdate(kernel, rows, { at, inPlace })).toEqual(defined(kernel, rows));
        }),
        { seed: 1, numRuns: 100 },
      );
    });

    it('gives the same bits however the range is cut', () => {
      const cut = rowsOf(kernel, 60).chain((rows) =>
        fc.record({ rows: fc.constant(rows), cuts: fc.array(fc.nat(rows.length), { maxLength: 5 }) }),
      );
      fc.assert(
        fc.property(cut, fc.boolean(), ({ rows, cuts }, inPlace) => {
          expect(runUpdate(kernel, rows, { cuts, inPlace })).toEqual(runUpdate(kernel, rows));
        }),
        { seed: 2, numRuns: 100 },
      );
    });

    it('writes nothing outside its range', () => {
      const arrays = Array.from({ length: 3 + kernel.slotCount }, () =>
        place(new Float32Array(30).fill(0.5)),
      );
      const [out, p, g, ...slots] = arrays.map((array) => array.subarray(7, 20));
      kernel.call(kernels, out as Float32Array, p as Float32Array, g as Float32Array, slots);
      for (const array of arrays) {
        expect([...array.subarray(0, 7), ...array.subarray(20)]).toEqual(new Array(17).fill(0.5));
      }
    });
  });

  describe.each(VECTOR_KERNELS)('$name', (kernel) => {
    it('gives the bits of its formula at any length and alignment', () => {
      const pair = fc.tuple(element.map(Math.fround), element.map(Math.fround));
      fc.assert(
        fc.property(fc.array(pair, { maxLength: 40 }), fc.nat(4), (pairs, at) => {
          const values = place(
            pairs.map(([value]) => value),
            at,
          );
          const others = place(
            pairs.map(([, other]) => other),
            at,
          );
          kernel.call(kernels, values, others);
          expect(bitsOf(values)).toEqual(bitsOf(pairs.map(([value, other]) => kernel.define(value, other))));
          expect(bitsOf(others)).toEqual(bitsOf(pairs.map(([, other]) => other)));
        }),
        { seed: 3, numRuns: 300 },
      );
    });

    it('writes nothing outside its range', () => {
      const [values, others] = [place(new Float32Array(30).fill(5)), place(new Float32Array(30).fill(6))];
      kernel.call(kernels, values.subarray(7, 20), others.subarray(7, 20));
      expect([...values.subarray(0, 7), ...values.subarray(20)]).toEqual(new Array(17).fill(5));
    });
  });

  describeSumSquares(kernels, place);
}

function describeSumSquares(
  kernels: Kernels,
  place: (values: ArrayLike<number>, at?: number) => Float32Array,
): void {
  /** Numbers of sizes from 2^-20 to 2^20, so that neither float32 nor float64 adds exactly and every other order shows. */
  const uneven = (length: number): Float32Array =>
    Float32Array.from(
      { length },
      (_, i) => Math.sin(i * i + 1) * 2 ** (((i * 7 + Math.floor(i / 512) * 11) % 41) - 20),
    );

  describe('sumSquares', () => {
    it.each([0, 1, 3, 4, 15, 511, 512, 513, 1024, 1030, 16_383, 16_384, 16_385, 16_384 * 2 + 512 + 5])(
      'adds %i numbers in the order that is laid down',
      (length) => {
        const values = place(uneven(length), length % 4);
        expect(kernels.sumSquares(values)).toBe(sumSquaresByDefinition(values));
        expect(kernels.sumSquares(values, 0.1)).toBe(sumSquaresByDefinition(values, 0.1));
      },
    );

    it('chains: parts cut at whole blocks give the bits of the whole', () => {
      const values = place(uneven(SUM_SQUARES_BLOCK * 5 + 77));
      const whole = kernels.sumSquares(values);
      for (const blocks of [[1, 2, 3, 4], [2], [3, 4]]) {
        const edges = [0, ...blocks.map((block) => block * SUM_SQUARES_BLOCK), values.length];
        const chained = edges
          .slice(1)
          .reduce((sum, end, i) => kernels.sumSquares(values.subarray(edges[i], end), sum), 0);
        expect(chained).toBe(whole);
      }
    });

    it('is close to the exact sum', () => {
      const values = place(uneven(100_000));
      const exact = values.reduce((sum, value) => sum + value * value, 0);
      expect(Math.abs(kernels.sumSquares(values) / exact - 1)).toBeLessThan(1e-8);
    });

    it.each([0, 5, 511, 512, 700, 16_383, 16_384, 17_500])(
      'is finite for the largest numbers and not for what is no number, at position %i',
      (position) => {
        for (const value of [LARGEST, -LARGEST, 2e19, -0, 2 ** -149]) {
          const values = place(uneven(17_501));
          values[position] = value;
          const sum = kernels.sumSquares(values);
          expect(Number.isFinite(sum)).toBe(true);
          expect(sum).toBe(sumSquaresByDefinition(values));
        }
        for (const value of [Infinity, -Infinity, Number.NaN]) {
          const values = place(uneven(17_501));
          values[position] = value;
          expect(Number.isFinite(kernels.sumSquares(values))).toBe(false);
        }
      },
    );

    it('is finite when every number is the largest', () => {
      const values = place(new Float32Array(20_000).fill(LARGEST));
      expect(kernels.sumSquares(values) / (20_000 * LARGEST * LARGEST)).toBeCloseTo(1, 12);
    });

    it('does not see numbers whose squares float32 cannot hold, in whole groups', () => {
      expect(kernels.sumSquares(place(new Float32Array(512).fill(1e-23)))).toBe(0);
      expect(kernels.sumSquares(place(new Float32Array(511).fill(1e-23)))).toBeGreaterThan(0);
    });

    it('hands an initial value that is not finite on', () => {
      expect(kernels.sumSquares(place([1, 2]), Number.NaN)).toBeNaN();
      expect(kernels.sumSquares(place([]), Infinity)).toBe(Infinity);
      expect(kernels.sumSquares(place([]), 7)).toBe(7);
    });
  });
}
