/**
 * SGD, momentum and Nesterov, by the formulas of kernels.ts.
 */
import {
  flush,
  keepAll,
  keepMagnitude,
  keepSmallest,
  pairsOf,
  storeRest,
  TWO,
  VECTOR,
  vectorsOf,
} from './lanes';

// @ts-ignore: decorator
@inline
function descended(p: v128, g: v128, rate: v128): v128 {
  return f32x4.sub(p, f32x4.mul(rate, g));
}

export function sgd(out: usize, parameter: usize, gradient: usize, length: i32, learningRate: f32): void {
  const rate = keepAll(0, learningRate);
  let i: usize = 0;
  for (const pairs = pairsOf(length); i < pairs; i += TWO) {
    const p = parameter + i;
    const g = gradient + i;
    v128.store(out + i, descended(v128.load(p), v128.load(g), rate));
    v128.store(out + i, descended(v128.load(p, VECTOR), v128.load(g, VECTOR), rate), VECTOR);
  }
  const whole = vectorsOf(length);
  let p: v128;
  while (true) {
    p = descended(v128.load(parameter + i), v128.load(gradient + i), rate);
    if (i >= whole) break;
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(out + i, p, length);
}

/** flush(μ·v − s), with s = lr·g */
// @ts-ignore: decorator
@inline
function velocityOf(v: v128, s: v128, mu: v128, smallest: v128, magnitude: v128): v128 {
  return flush(f32x4.sub(f32x4.mul(mu, v), s), smallest, magnitude);
}

export function momentum(
  out: usize,
  parameter: usize,
  gradient: usize,
  velocity: usize,
  length: i32,
  learningRate: f32,
  momentum: f32,
): void {
  const rate = keepAll(0, learningRate);
  const mu = keepAll(1, momentum);
  const smallest = keepSmallest(2);
  const magnitude = keepMagnitude(3);
  let i: usize = 0;
  for (const pairs = pairsOf(length); i < pairs; i += TWO) {
    const p = parameter + i;
    const g = gradient + i;
    const a = velocity + i;
    const s0 = f32x4.mul(rate, v128.load(g));
    const s1 = f32x4.mul(rate, v128.load(g, VECTOR));
    const v0 = velocityOf(v128.load(a), s0, mu, smallest, magnitude);
    const v1 = velocityOf(v128.load(a, VECTOR), s1, mu, smallest, magnitude);
    v128.store(a, v0);
    v128.store(a, v1, VECTOR);
    v128.store(out + i, f32x4.add(v128.load(p), v0));
    v128.store(out + i, f32x4.add(v128.load(p, VECTOR), v1), VECTOR);
  }
  const whole = vectorsOf(length);
  let v: v128, p: v128;
  while (true) {
    const s = f32x4.mul(rate, v128.load(gradient + i));
    v = velocityOf(v128.load(velocity + i), s, mu, smallest, magnitude);
    p = f32x4.add(v128.load(parameter + i), v);
    if (i >= whole) break;
    v128.store(velocity + i, v);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(velocity + i, v, length);
  storeRest(out + i, p, length);
}

/** p + (μ·v − s) */
// @ts-ignore: decorator
@inline
function lookedAhead(p: v128, v: v128, s: v128, mu: v128): v128 {
  return f32x4.add(p, f32x4.sub(f32x4.mul(mu, v), s));
}

export function nesterov(
  out: usize,
  parameter: usize,
  gradient: usize,
  velocity: usize,
  length: i32,
  learningRate: f32,
  momentum: f32,
): void {
  const rate = keepAll(0, learningRate);
  const mu = keepAll(1, momentum);
  const smallest = keepSmallest(2);
  const magnitude = keepMagnitude(3);
  let i: usize = 0;
  for (const pairs = pairsOf(length); i < pairs; i += TWO) {
    const p = parameter + i;
    const g = gradient + i;
    const a = velocity + i;
    const s0 = f32x4.mul(rate, v128.load(g));
    const s1 = f32x4.mul(rate, v128.load(g, VECTOR));
    const v0 = velocityOf(v128.load(a), s0, mu, smallest, magnitude);
    const v1 = velocityOf(v128.load(a, VECTOR), s1, mu, smallest, magnitude);
    v128.store(a, v0);
    v128.store(a, v1, VECTOR);
    v128.store(out + i, lookedAhead(v128.load(p), v0, s0, mu));
    v128.store(out + i, lookedAhead(v128.load(p, VECTOR), v1, s1, mu), VECTOR);
  }
  const whole = vectorsOf(length);
  let v: v128, p: v128;
  while (true) {
    const s = f32x4.mul(rate, v128.load(gradient + i));
    v = velocityOf(v128.load(velocity + i), s, mu, smallest, magnitude);
    p = lookedAhead(v128.load(parameter + i), v, s, mu);
    if (i >= whole) break;
    v128.store(velocity + i, v);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(velocity + i, v, length);
  storeRest(out + i, p, length);
}
