/**
 * Conversions between float32 and the two 16-bit formats in plain JavaScript, on the bits: bfloat16 has
 * 8 bits of exponent and 7 of mantissa, IEEE 754 binary16 has 5 and 10. They are made for speed of sending,
 * not for computing: everything is computed in float32.
 */
import type { Kernels } from './kernels.js';

/** The bits of infinity in float32. */
const INFINITY_BITS = 0x7f800000;
/** 2^-14, the smallest normal binary16, and 2^16, beyond the largest, as float32 bits. */
const SMALLEST_HALF = 0x38800000;
const BEYOND_HALF = 0x47800000;
/** From the exponent bias of binary16, 15, to that of float32, 127, as float32 bits. */
const REBIAS = (127 - 15) << 23;
/** The unit of subnormal binary16. */
const HALF_UNIT = 2 ** -24;

const number = new Float32Array(1);
const bitsOfNumber = new Uint32Array(number.buffer);

/** Kernels of bfloat16 and binary16. */
export const referenceHalfFloats: Pick<Kernels, 'toBfloat16' | 'fromBfloat16' | 'toFloat16' | 'fromFloat16'> =
  {
    toBfloat16(out, x) {
      const words = wordsOf(x);
      const length = out.length;
      for (let i = 0; i < length; i++) out[i] = bfloat16Of(words[i] as number);
    },

    fromBfloat16(out, x) {
      const words = wordsOf(out);
      const length = out.length;
      for (let i = 0; i < length; i++) words[i] = (x[i] as number) << 16;
    },

    toFloat16(out, x) {
      const words = wordsOf(x);
      const length = out.length;
      for (let i = 0; i < length; i++) out[i] = float16Of(words[i] as number);
    },

    fromFloat16(out, x) {
      const words = wordsOf(out);
      const length = out.length;
      for (let i = 0; i < length; i++) words[i] = wordOfFloat16(x[i] as number);
    },
  };

function wordsOf(x: Float32Array): Uint32Array {
  return new Uint32Array(x.buffer, x.byteOffset, x.length);
}

function bfloat16Of(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  if ((word & 0x7fffffff) > INFINITY_BITS) return sign | 0x7fc0;
  return roundedShift(word, 16);
}

/** The bits `word` without the lowest `count`: half a unit less one is added, and one more to an odd unit. */
function roundedShift(word: number, count: number): number {
  const odd = (word >>> count) & 1;
  return (word + ((1 << (count - 1)) - 1) + odd) >>> count;
}

function float16Of(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > INFINITY_BITS) return sign | 0x7e00;
  if (magnitude < SMALLEST_HALF) return sign | subnormalFloat16Of(magnitude);
  // 2^16 and more become infinity; what rounds up to 2^16 carries into the exponent and does so too.
  return sign | roundedShift(Math.min(magnitude, BEYOND_HALF) - REBIAS, 13);
}

/** The number of units nearest to a number below 2^-14: adding 2^23 units, in float32, rounds it to a whole one. */
function subnormalFloat16Of(magnitude: number): number {
  bitsOfNumber[0] = magnitude;
  return Math.fround((number[0] as number) / HALF_UNIT + 2 ** 23) - 2 ** 23;
}

function wordOfFloat16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const magnitude = half & 0x7fff;
  const exponent = magnitude >>> 10;
  if (exponent === 0) {
    number[0] = magnitude * HALF_UNIT;
    return sign | (bitsOfNumber[0] as number);
  }
  const bias = exponent === 31 ? 2 * REBIAS : REBIAS;
  return sign | ((magnitude << 13) + bias);
}
