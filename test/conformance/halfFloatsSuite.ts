/**
 * Conversions to and from bfloat16 and binary16, to the bit: all 65,536 halves, and every place where rounding
 * turns. What a half is worth is computed here from its fields, in float64.
 */
import { describe, expect, it } from 'vitest';
import type { Kernels } from '../../src/core/kernels/kernels.js';
import type { KernelsUnderTest } from './kernelsSuite.js';

interface Format {
  readonly name: 'bfloat16' | 'float16';
  readonly mantissaBits: number;
  readonly bias: number;
  to(kernels: Kernels): Kernels['toFloat16'];
  from(kernels: Kernels): Kernels['fromFloat16'];
}

const FORMATS: readonly Format[] = [
  {
    name: 'bfloat16',
    mantissaBits: 7,
    bias: 127,
    to: (kernels) => (out, x) => kernels.toBfloat16(out, x),
    from: (kernels) => (out, x) => kernels.fromBfloat16(out, x),
  },
  {
    name: 'float16',
    mantissaBits: 10,
    bias: 15,
    to: (kernels) => (out, x) => kernels.toFloat16(out, x),
    from: (kernels) => (out, x) => kernels.fromFloat16(out, x),
  },
];
const ALL = 65_536;

/** The number that the bits of a half stand for; as if exponents went on, so that infinity has a neighbour's distance. */
function worth(half: number, { mantissaBits, bias }: Format, isUnbounded = false): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half & 0x7fff) >> mantissaBits;
  const fraction = half & ((1 << mantissaBits) - 1);
  const unit = 2 ** (Math.max(1, exponent) - bias - mantissaBits);
  if (exponent === 0x7fff >> mantissaBits && !isUnbounded)
    return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * unit * (exponent === 0 ? fraction : fraction + (1 << mantissaBits));
}

/** The quiet NaN of a format. */
function quietNaN({ mantissaBits }: Format): number {
  return 0x7fff & ~((1 << (mantissaBits - 1)) - 1);
}

/** The float32 next to `x` (finite, not 0) away from 0, or towards it. */
function neighbour(x: number, step: 1 | -1): number {
  const bits = new Int32Array(Float32Array.of(x).buffer);
  bits[0] = (bits[0] as number) + step;
  return new Float32Array(bits.buffer)[0] as number;
}

/** Declares the tests of one implementation. */
export function describeHalfFloats({ kernels, allocate }: KernelsUnderTest): void {
  const halvesOf = (length: number): Uint16Array => {
    const floats = allocate(Math.ceil(length / 2));
    return new Uint16Array(floats.buffer, floats.byteOffset, length);
  };

  const encode = (format: Format, values: readonly number[]): number[] => {
    const x = allocate(values.length);
    x.set(values);
    const out = halvesOf(values.length);
    format.to(kernels)(out, x);
    return [...out];
  };

  describe.each(FORMATS)('$name', (format) => {
    const positive = Array.from({ length: 0x7f80 }, (_, half) => half).filter(
      (half) => half < 0x7fff - ((1 << format.mantissaBits) - 1),
    );
    const infinity = positive.length;

    it('reads all 65,536 halves', () => {
      const halves = halvesOf(ALL).map((_, i) => i);
      const x = halvesOf(ALL);
      x.set(halves);
      const out = allocate(ALL);
      format.from(kernels)(out, x);
      const wrong = halves.filter((half, i) => !Object.is(out[i], worth(half, format)));
      expect([...wrong]).toEqual([]);
    });

    it('gives every half back, NaN as the quiet one of its sign', () => {
      const x = halvesOf(ALL);
      x.forEach((_, i) => {
        x[i] = i;
      });
      const floats = allocate(ALL);
      format.from(kernels)(floats, x);
      const out = halvesOf(ALL);
      format.to(kernels)(out, floats);
      const wrong = [...out].filter((half, i) => {
        const isNumber = (i & 0x7fff) <= infinity;
        return half !== (isNumber ? i : (i & 0x8000) | quietNaN(format));
      });
      expect(wrong).toEqual([]);
    });

    it('rounds to nearest and ties to even between all neighbours', () => {
      const cases = positive.flatMap((half) => {
        const middle = (worth(half, format) + worth(half + 1, format, true)) / 2;
        const even = half % 2 === 0 ? half : half + 1;
        return [
          [middle, even],
          [neighbour(middle, -1), half],
          [neighbour(middle, 1), half + 1],
        ] as [number, number][];
      });
      const values = cases.map(([value]) => value);
      const expected = cases.map(([, half]) => half);
      const wrong = encode(format, values).filter((half, i) => half !== expected[i]);
      expect(wrong).toEqual([]);
      const negative = encode(
        format,
        values.map((value) => -value),
      );
      expect(negative.filter((half, i) => half !== ((expected[i] as number) | 0x8000))).toEqual([]);
    });

    it('makes infinity of what is too large, zero of what is too small, and keeps signs', () => {
      const largest = 3.4028234663852886e38;
      expect(encode(format, [largest, Infinity, 2 ** -149, 0])).toEqual([infinity, infinity, 0, 0]);
      expect(encode(format, [-largest, -Infinity, -(2 ** -149), -0])).toEqual(
        [infinity, infinity, 0, 0].map((half) => half | 0x8000),
      );
    });

    it('makes the quiet NaN of every NaN', () => {
      const words = [0x7f800001, 0x7fc00000, 0x7fffffff, 0xff800001, 0xffc12345, 0x7f80ffff];
      const x = allocate(words.length);
      new Uint32Array(x.buffer, x.byteOffset, x.length).set(words);
      const out = halvesOf(words.length);
      format.to(kernels)(out, x);
      expect([...out]).toEqual(words.map((word) => ((word >>> 16) & 0x8000) | quietNaN(format)));
    });

    it('converts every length from 0 to 67 at any alignment, and writes nothing around it', () => {
      const [halves, floats] = [halvesOf(100), allocate(100)];
      for (let length = 0; length <= 67; length++) {
        for (let at = 0; at < 8; at++) {
          halves.fill(7);
          floats.fill(3);
          const values = Array.from({ length }, (_, i) => (i + 1) / 8);
          floats.set(values, at + 1);
          const x = floats.subarray(at + 1, at + 1 + length);
          const out = halves.subarray(at + 2, at + 2 + length);
          format.to(kernels)(out, x);
          const inside = (i: number): boolean => i >= at + 2 && i < at + 2 + length;
          expect(halves.every((half, i) => inside(i) || half === 7)).toBe(true);
          x.fill(0);
          format.from(kernels)(x, out);
          expect([...x]).toEqual(values);
          expect(floats.every((value, i) => (i > at && i <= at + length) || value === 3)).toBe(true);
        }
      }
    });
  });
}
