/**
 * `sumSquares`, in the order of summation that kernels.ts lays down.
 */
import { VECTOR } from './lanes';

/** Elements of a block: `SUM_SQUARES_BLOCK` of kernels.ts. */
const BLOCK: i32 = 16_384;
/** Elements of a group, its bytes, and those of its 16 lanes. */
const GROUP: i32 = 512;
const GROUP_BYTES: usize = 2_048;
const ROUND: usize = 64;

/** The float64 sums of the block that is being summed: D[0] and D[1], D[2] and D[3]. */
let lowSums: v128 = f64x2.splat(0);
let highSums: v128 = f64x2.splat(0);

export function sumSquares(values: usize, length: i32, initial: f64): f64 {
  let total = initial;
  for (; length > 0; length -= BLOCK) {
    total += sumOfBlock(values, min(length, BLOCK));
    values += <usize>BLOCK << 2;
  }
  return total;
}

function sumOfBlock(values: usize, length: i32): f64 {
  lowSums = f64x2.splat(0);
  highSums = f64x2.splat(0);
  let at = values;
  let left = length;
  for (; left >= GROUP; left -= GROUP) {
    addGroup(at);
    at += GROUP_BYTES;
  }
  addSlowly(at, left);
  const sum = joined();
  if (sum - sum == 0) return sum;
  lowSums = f64x2.splat(0);
  highSums = f64x2.splat(0);
  addSlowly(values, length);
  return joined();
}

function joined(): f64 {
  const low = f64x2.extract_lane(lowSums, 0) + f64x2.extract_lane(lowSums, 1);
  return low + (f64x2.extract_lane(highSums, 0) + f64x2.extract_lane(highSums, 1));
}

/** Adds the squares of 512 values, from 16 float32 lanes. */
function addGroup(at: usize): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  for (const end = at + GROUP_BYTES; at < end; at += ROUND) {
    const x0 = v128.load(at);
    const x1 = v128.load(at, VECTOR);
    const x2 = v128.load(at, 2 * VECTOR);
    const x3 = v128.load(at, 3 * VECTOR);
    a = f32x4.add(a, f32x4.mul(x0, x0));
    b = f32x4.add(b, f32x4.mul(x1, x1));
    c = f32x4.add(c, f32x4.mul(x2, x2));
    d = f32x4.add(d, f32x4.mul(x3, x3));
  }
  const lanes = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  lowSums = f64x2.add(lowSums, f64x2.promote_low_f32x4(lanes));
  highSums = f64x2.add(highSums, f64x2.promote_low_f32x4(upper(lanes)));
}

/** Adds the squares of `length` values, in float64. Lanes behind the last add +0, which changes no sum. */
function addSlowly(at: usize, length: i32): void {
  for (; length >= 4; length -= 4) {
    addVector(v128.load(at));
    at += VECTOR;
  }
  if (length == 0) return;
  let rest = v128.load32_zero(at);
  if (length > 1) rest = v128.load64_zero(at);
  if (length > 2) rest = v128.load32_lane(at, rest, 2, 8);
  addVector(rest);
}

// @ts-ignore: decorator
@inline
function addVector(x: v128): void {
  const low = f64x2.promote_low_f32x4(x);
  const high = f64x2.promote_low_f32x4(upper(x));
  lowSums = f64x2.add(lowSums, f64x2.mul(low, low));
  highSums = f64x2.add(highSums, f64x2.mul(high, high));
}

/** The upper two lanes of `x` in place of the lower ones. */
// @ts-ignore: decorator
@inline
function upper(x: v128): v128 {
  return v128.shuffle<i64>(x, x, 1, 1);
}
