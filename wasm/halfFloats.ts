/**
 * Conversions between float32 and bfloat16 or IEEE binary16 (`toBfloat16` and its neighbours in kernels.ts),
 * 8 elements at a time. The exponent of binary16 has bias 15, that of float32 127; the mantissa is 13 bits
 * shorter.
 */
import { keepBits, VECTOR } from './lanes';

/** Bytes of 8 elements in float32. */
const EIGHT: usize = 32;

/** All bits of a float32 but the sign, and the bits of infinity. */
const MAGNITUDE: i32 = 0x7fffffff;
const INFINITY_BITS: i32 = 0x7f800000;
/** In float32: 2^-14, the smallest normal binary16; 2^16, beyond the largest; 127 − 15 in the exponent; 0.5. */
const SMALLEST_HALF: i32 = 0x38800000;
const BEYOND_HALF: i32 = 0x47800000;
const REBIAS: i32 = 0x38000000;
const ONE_HALF: i32 = 0x3f000000;
/** The exponent of binary16's infinities and NaN, moved up by 13. */
const TOP_EXPONENT: i32 = 0x0f800000;

/** Stores the first `count` of 8 16-bit lanes, 0 to 7. */
function storeHalves(at: usize, x: v128, count: i32): void {
  let lanes = x;
  if (count & 4) {
    v128.store64_lane(at, lanes, 0);
    lanes = v128.shuffle<i64>(lanes, lanes, 1, 1);
    at += 8;
  }
  if (count & 2) {
    v128.store32_lane(at, lanes, 0);
    lanes = v128.shuffle<i32>(lanes, lanes, 1, 1, 1, 1);
    at += 4;
  }
  if (count & 1) v128.store16_lane(at, lanes, 0);
}

/** Stores the first `count` of the 8 lanes of `low` and `high`, 0 to 7. */
function storeFloats(at: usize, low: v128, high: v128, count: i32): void {
  let lanes = low;
  if (count & 4) {
    v128.store(at, lanes);
    lanes = high;
    at += VECTOR;
  }
  if (count & 2) {
    v128.store64_lane(at, lanes, 0);
    lanes = v128.shuffle<i64>(lanes, lanes, 1, 1);
    at += 8;
  }
  if (count & 1) v128.store32_lane(at, lanes, 0);
}

/** Rounds away 16 bits: half a unit less one is added, and one more where the unit is odd. */
// @ts-ignore: decorator
@inline
function bfloat16Of(x: v128, one: v128, half: v128, signBit: v128, quiet: v128): v128 {
  const unit = i32x4.shr_u(x, 16);
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, half), v128.and(unit, one)), 16);
  return v128.bitselect(v128.or(v128.and(unit, signBit), quiet), rounded, f32x4.ne(x, x));
}

export function toBfloat16(out: usize, x: usize, length: i32): void {
  const one = keepBits(0, 1);
  const half = keepBits(1, 0x7fff);
  const signBit = keepBits(2, 0x8000);
  const quiet = keepBits(3, 0x7fc0);
  let packed: v128;
  while (true) {
    const low = bfloat16Of(v128.load(x), one, half, signBit, quiet);
    const high = bfloat16Of(v128.load(x, VECTOR), one, half, signBit, quiet);
    packed = i16x8.narrow_i32x4_u(low, high);
    if (length < 8) break;
    v128.store(out, packed);
    out += VECTOR;
    x += EIGHT;
    length -= 8;
  }
  storeHalves(out, packed, length);
}

export function fromBfloat16(out: usize, x: usize, length: i32): void {
  let low: v128, high: v128;
  while (true) {
    const halves = v128.load(x);
    low = i32x4.shl(i32x4.extend_low_i16x8_u(halves), 16);
    high = i32x4.shl(i32x4.extend_high_i16x8_u(halves), 16);
    if (length < 8) break;
    v128.store(out, low);
    v128.store(out, high, VECTOR);
    out += EIGHT;
    x += VECTOR;
    length -= 8;
  }
  storeFloats(out, low, high, length);
}

/**
 * A normal binary16 is rounded as a bfloat16 is, by 13 bits; numbers from 2^16 on become infinity like 2^16. A
 * subnormal one is a multiple of 2^-24, the last bit of a float32 between 0.5 and 1: so adding 0.5 rounds it.
 */
// @ts-ignore: decorator
@inline
function float16Of(
  x: v128,
  magnitudeBits: v128,
  beyond: v128,
  rebiasAndHalf: v128,
  one: v128,
  oneHalf: v128,
  smallest: v128,
  infinity: v128,
  quiet: v128,
): v128 {
  const magnitude = v128.and(x, magnitudeBits);
  const bounded = i32x4.min_u(magnitude, beyond);
  const odd = v128.and(i32x4.shr_u(bounded, 13), one);
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(bounded, rebiasAndHalf), odd), 13);
  const subnormal = i32x4.sub(f32x4.add(magnitude, oneHalf), oneHalf);
  const finite = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, smallest));
  const sign = i32x4.shr_u(v128.andnot(x, magnitudeBits), 16);
  return v128.or(v128.bitselect(quiet, finite, i32x4.gt_s(magnitude, infinity)), sign);
}

export function toFloat16(out: usize, x: usize, length: i32): void {
  const bits = keepBits(0, MAGNITUDE);
  const beyond = keepBits(1, BEYOND_HALF);
  const rebias = keepBits(2, 0xfff - REBIAS);
  const one = keepBits(3, 1);
  const half = keepBits(4, ONE_HALF);
  const smallest = keepBits(5, SMALLEST_HALF);
  const infinity = keepBits(6, INFINITY_BITS);
  const quiet = keepBits(7, 0x7e00);
  let packed: v128;
  while (true) {
    const x0 = v128.load(x);
    const x1 = v128.load(x, VECTOR);
    const low = float16Of(x0, bits, beyond, rebias, one, half, smallest, infinity, quiet);
    const high = float16Of(x1, bits, beyond, rebias, one, half, smallest, infinity, quiet);
    packed = i16x8.narrow_i32x4_u(low, high);
    if (length < 8) break;
    v128.store(out, packed);
    out += VECTOR;
    x += EIGHT;
    length -= 8;
  }
  storeHalves(out, packed, length);
}

/** `halves`: 16 bits in each lane of 32. A subnormal number is read as 2^-14 + itself, and 2^-14 taken off. */
// @ts-ignore: decorator
@inline
function ofFloat16(
  halves: v128,
  signBit: v128,
  top: v128,
  rebias: v128,
  rebiasTop: v128,
  smallest: v128,
  zero: v128,
): v128 {
  const sign = v128.and(halves, signBit);
  const magnitude = i32x4.shl(v128.xor(halves, sign), 13);
  const exponent = v128.and(magnitude, top);
  const normal = i32x4.add(magnitude, v128.bitselect(rebiasTop, rebias, i32x4.eq(exponent, top)));
  const subnormal = f32x4.sub(i32x4.add(magnitude, smallest), smallest);
  const unsigned = v128.bitselect(subnormal, normal, i32x4.eq(exponent, zero));
  return v128.or(unsigned, i32x4.shl(sign, 16));
}

export function fromFloat16(out: usize, x: usize, length: i32): void {
  const signBit = keepBits(0, 0x8000);
  const top = keepBits(1, TOP_EXPONENT);
  const rebias = keepBits(2, REBIAS);
  const rebiasTop = keepBits(3, 2 * REBIAS);
  const smallest = keepBits(4, SMALLEST_HALF);
  const zero = keepBits(5, 0);
  let low: v128, high: v128;
  while (true) {
    const halves = v128.load(x);
    const first = i32x4.extend_low_i16x8_u(halves);
    const second = i32x4.extend_high_i16x8_u(halves);
    low = ofFloat16(first, signBit, top, rebias, rebiasTop, smallest, zero);
    high = ofFloat16(second, signBit, top, rebias, rebiasTop, smallest, zero);
    if (length < 8) break;
    v128.store(out, low);
    v128.store(out, high, VECTOR);
    out += EIGHT;
    x += VECTOR;
    length -= 8;
  }
  storeFloats(out, low, high, length);
}
