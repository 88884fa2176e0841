/**
 * Conversions between float32 and bfloat16 or IEEE binary16 (`toBfloat16` and its neighbours in kernels.ts), 8 elements
 * at a time. The exponent of binary16 has bias 15, that of float32 127; the mantissa is 13 bits shorter.
 */
import { keep, VECTOR } from './lanes';

/** Bytes of 8 elements in float32. */
const EIGHT: usize = 32;

/** All bits of a float32 but the sign, and the bits of infinity. */
const MAGNITUDE: i32 = 0x7fffffff;
const INFINITY_BITS: i32 = 0x7f800000;
/** In float32: 2^-14, the smallest normal binary16; 2^16, beyond the largest; 112 = 127 − 15 in the exponent; 0.5. */
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
function bfloat16Of(x: v128): v128 {
  const unit = i32x4.shr_u(x, 16);
  const odd = v128.and(unit, i32x4.splat(1));
  const rounded = i32x4.shr_u(i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd), 16);
  const quiet = v128.or(v128.and(unit, i32x4.splat(0x8000)), i32x4.splat(0x7fc0));
  return v128.bitselect(quiet, rounded, f32x4.ne(x, x));
}

export function toBfloat16(out: usize, x: usize, length: i32): void {
  let packed: v128;
  while (true) {
    packed = i16x8.narrow_i32x4_u(bfloat16Of(v128.load(x)), bfloat16Of(v128.load(x, VECTOR)));
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
 * A normal binary16 is rounded as a bfloat16 is, 13 bits; numbers from 2^16 on become infinity like 2^16. A subnormal
 * one is a multiple of 2^-24, which is the last bit of a float32 from 0.5 on: so adding 0.5 rounds it.
 */
// @ts-ignore: decorator
@inline
function float16Of(x: v128): v128 {
  const magnitude = v128.and(x, i32x4.splat(MAGNITUDE));
  const bounded = i32x4.min_u(magnitude, i32x4.splat(BEYOND_HALF));
  const odd = v128.and(i32x4.shr_u(bounded, 13), i32x4.splat(1));
  const normal = i32x4.shr_u(i32x4.add(i32x4.add(bounded, i32x4.splat(0xfff - REBIAS)), odd), 13);
  const half = i32x4.splat(ONE_HALF);
  const subnormal = i32x4.sub(f32x4.add(magnitude, half), half);
  const finite = v128.bitselect(subnormal, normal, i32x4.lt_s(magnitude, i32x4.splat(SMALLEST_HALF)));
  const isNaN = i32x4.gt_s(magnitude, i32x4.splat(INFINITY_BITS));
  const sign = i32x4.shr_u(v128.andnot(x, i32x4.splat(MAGNITUDE)), 16);
  return v128.or(v128.bitselect(i32x4.splat(0x7e00), finite, isNaN), sign);
}

export function toFloat16(out: usize, x: usize, length: i32): void {
  let packed: v128;
  while (true) {
    packed = i16x8.narrow_i32x4_u(float16Of(v128.load(x)), float16Of(v128.load(x, VECTOR)));
    if (length < 8) break;
    v128.store(out, packed);
    out += VECTOR;
    x += EIGHT;
    length -= 8;
  }
  storeHalves(out, packed, length);
}

/** `halves`: 16 bits in each lane of 32. A subnormal number is read as 2^-14 and a fraction, and 2^-14 taken off. */
// @ts-ignore: decorator
@inline
function ofFloat16(halves: v128): v128 {
  const sign = i32x4.shl(v128.and(halves, i32x4.splat(0x8000)), 16);
  const magnitude = i32x4.shl(v128.and(halves, i32x4.splat(0x7fff)), 13);
  const exponent = v128.and(magnitude, i32x4.splat(TOP_EXPONENT));
  const isTop = i32x4.eq(exponent, i32x4.splat(TOP_EXPONENT));
  const bias = v128.bitselect(i32x4.splat(2 * REBIAS), i32x4.splat(REBIAS), isTop);
  const normal = i32x4.add(magnitude, bias);
  const smallest = i32x4.splat(SMALLEST_HALF);
  const subnormal = f32x4.sub(i32x4.add(magnitude, smallest), smallest);
  return v128.or(v128.bitselect(subnormal, normal, i32x4.eq(exponent, i32x4.splat(0))), sign);
}

export function fromFloat16(out: usize, x: usize, length: i32): void {
  let low: v128, high: v128;
  while (true) {
    const halves = v128.load(x);
    low = ofFloat16(i32x4.extend_low_i16x8_u(halves));
    high = ofFloat16(i32x4.extend_high_i16x8_u(halves));
    if (length < 8) break;
    v128.store(out, low);
    v128.store(out, high, VECTOR);
    out += EIGHT;
    x += VECTOR;
    length -= 8;
  }
  storeFloats(out, low, high, length);
}
