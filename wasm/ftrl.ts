/**
 * FTRL-Proximal, by the formula of kernels.ts. Two square roots and a division per vector bound it. What only
 * elements without a gradient so far need is passed over where a vector has none of them.
 */
import { keepAll, storeRest, VECTOR, vectorsOf } from './lanes';

export function ftrl(
  out: usize,
  parameter: usize,
  gradient: usize,
  z: usize,
  n: usize,
  length: i32,
  inverseRate: f32,
  inverseRateChange: f32,
  beta: f32,
  l1: f32,
  l2: f32,
): void {
  const rate = keepAll(0, inverseRate);
  const change = keepAll(1, inverseRateChange);
  const smooth = keepAll(2, beta);
  const bound = keepAll(3, l1);
  const ridge = keepAll(4, l2);
  const firstWeight = keepAll(5, beta * inverseRate + l2);
  const zero = keepAll(6, 0);
  const signBit = keepAll(7, -0.0);
  const whole = vectorsOf(length);
  let i: usize = 0;
  let zAfter: v128, nAfter: v128, p: v128;
  while (true) {
    const g = v128.load(gradient + i);
    p = v128.load(parameter + i);
    const nBefore = v128.load(n + i);
    nAfter = f32x4.add(nBefore, f32x4.mul(g, g));
    const s = f32x4.sqrt(nBefore);
    const t = f32x4.sqrt(nAfter);
    let start = f32x4.sub(v128.load(z + i), f32x4.mul(f32x4.mul(f32x4.add(smooth, s), change), p));
    const isNew = f32x4.eq(s, zero);
    const hasNew = v128.any_true(isNew);
    if (hasNew) {
      const pull = v128.and(withSignOf(p, bound, signBit), f32x4.ne(p, zero));
      const fresh = f32x4.sub(zero, f32x4.add(f32x4.mul(p, firstWeight), pull));
      start = v128.bitselect(fresh, start, isNew);
    }
    zAfter = f32x4.sub(f32x4.add(start, g), f32x4.mul(f32x4.mul(f32x4.sub(t, s), rate), p));
    const weight = f32x4.add(f32x4.mul(f32x4.add(smooth, t), rate), ridge);
    const moved = f32x4.div(f32x4.sub(withSignOf(zAfter, bound, signBit), zAfter), weight);
    const held = v128.andnot(moved, f32x4.le(v128.andnot(zAfter, signBit), bound));
    // t is 0 only where s was.
    p = hasNew ? v128.bitselect(p, held, f32x4.eq(t, zero)) : held;
    if (i >= whole) break;
    v128.store(z + i, zAfter);
    v128.store(n + i, nAfter);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(z + i, zAfter, length);
  storeRest(n + i, nAfter, length);
  storeRest(out + i, p, length);
}

/** ±magnitude, with the sign of `x`. */
// @ts-ignore: decorator
@inline
function withSignOf(x: v128, magnitude: v128, signBit: v128): v128 {
  return v128.xor(magnitude, v128.and(x, signBit));
}
