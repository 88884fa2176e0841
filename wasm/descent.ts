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
  const whole = vectorsOf(length);
  let i: usize = 0;
  let v: v128, p: v128;
  while (true) {
    v = f32x4.sub(f32x4.mul(mu, v128.load(velocity + i)), f32x4.mul(rate, v128.load(gradient + i)));
    v = flush(v, smallest, magnitude);
    p = f32x4.add(v128.load(parameter + i), v);
    if (i >= whole) break;
    v128.store(velocity + i, v);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(velocity + i, v, length);
  storeRest(out + i, p, length);
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
  const whole = vectorsOf(length);
  let i: usize = 0;
  let v: v128, p: v128;
  while (true) {
    const s = f32x4.mul(rate, v128.load(gradient + i));
    v = flush(f32x4.sub(f32x4.mul(mu, v128.load(velocity + i)), s), smallest, magnitude);
    p = f32x4.add(v128.load(parameter + i), f32x4.sub(f32x4.mul(mu, v), s));
    if (i >= whole) break;
    v128.store(velocity + i, v);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(velocity + i, v, length);
  storeRest(out + i, p, length);
}
