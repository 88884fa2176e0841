/**
 * What the kernels share: how they walk through arrays, constants that stay in registers, `flush`.
 *
 * A kernel works on vectors of 4 float32 lanes, at offset `i` of each array. The last one is also computed
 * where the arrays end inside it, or before it, and only the lanes that they still have are stored. So up to
 * 32 bytes behind the end of an array are read (REQUIRED: they are inside the memory), and nothing behind it
 * is written. The short kernels take two vectors at a time as far as that goes, with half the work on addresses.
 *
 * Arguments of kernels are the addresses of the arrays, then their `length` in elements, then scalars.
 */

/** Bytes of a vector, and of two. */
export const VECTOR: usize = 16;
export const TWO: usize = 32;

/** 2^-126: `SMALLEST_NORMAL` of kernels.ts. */
const SMALLEST_NORMAL: f32 = 1.1754943508222875e-38;
/** All bits of a float32 but the sign. */
const MAGNITUDE: i32 = 0x7fffffff;

/** Bytes of the whole vectors in `length` elements. */
// @ts-ignore: decorator
@inline
export function vectorsOf(length: i32): usize {
  return (<usize>length & ~3) << 2;
}

/** Bytes of the whole pairs of vectors in `length` elements. */
// @ts-ignore: decorator
@inline
export function pairsOf(length: i32): usize {
  return (<usize>length & ~7) << 2;
}

/** Stores the lanes of `x` that the last `length` mod 4 elements of an array take. */
export function storeRest(at: usize, x: v128, length: i32): void {
  if (length & 2) {
    v128.store64_lane(at, x, 0);
    if (length & 1) v128.store32_lane(at, x, 2, 8);
  } else if (length & 1) {
    v128.store32_lane(at, x, 0);
  }
}

/**
 * Returns `x`, and sees to it that it stays in a register throughout a loop. V8 moves the making of a constant
 * vector into the loop, to where it is used, but never a load: so the vector goes through the memory,
 * in the first 256 bytes, which belong to the module. `place`: 0 to 15, another for each constant of a kernel.
 */
// @ts-ignore: decorator
@inline
function keep(place: usize, x: v128): v128 {
  v128.store(place * VECTOR, x);
  return v128.load(place * VECTOR);
}

/** A kept constant: `value` in each lane. */
// @ts-ignore: decorator
@inline
export function keepAll(place: usize, value: f32): v128 {
  return keep(place, f32x4.splat(value));
}

/** A kept constant: `bits` in each lane. */
// @ts-ignore: decorator
@inline
export function keepBits(place: usize, bits: i32): v128 {
  return keep(place, i32x4.splat(bits));
}

/** A kept constant of `flush`. */
// @ts-ignore: decorator
@inline
export function keepSmallest(place: usize): v128 {
  return keepAll(place, SMALLEST_NORMAL);
}

/** The other kept constant of `flush`. */
// @ts-ignore: decorator
@inline
export function keepMagnitude(place: usize): v128 {
  return keepBits(place, MAGNITUDE);
}

/** `flush` of kernels.ts: +0 in the lanes that are below the smallest normal number. */
// @ts-ignore: decorator
@inline
export function flush(x: v128, smallest: v128, magnitude: v128): v128 {
  return v128.andnot(x, f32x4.lt(v128.and(x, magnitude), smallest));
}

/** `flush` of lanes that are not negative. */
// @ts-ignore: decorator
@inline
export function flushSquare(x: v128, smallest: v128): v128 {
  return v128.andnot(x, f32x4.lt(x, smallest));
}
