/**
 * Adagrad, RMSProp, Adam and AdamW, by the formulas of kernels.ts. A division and a square root per vector
 * bound them; everything else passes beside these.
 */
import {
  flush,
  flushSquare,
  keepAll,
  keepMagnitude,
  keepSmallest,
  storeRest,
  VECTOR,
  vectorsOf,
} from './lanes';

/** p − (lr·g) / (√a + ε) */
// @ts-ignore: decorator
@inline
function scaledDescent(p: v128, g: v128, a: v128, rate: v128, eps: v128): v128 {
  return f32x4.sub(p, f32x4.div(f32x4.mul(rate, g), f32x4.add(f32x4.sqrt(a), eps)));
}

export function adagrad(
  out: usize,
  parameter: usize,
  gradient: usize,
  accumulator: usize,
  length: i32,
  learningRate: f32,
  epsilon: f32,
): void {
  const rate = keepAll(0, learningRate);
  const eps = keepAll(1, epsilon);
  const whole = vectorsOf(length);
  let i: usize = 0;
  let a: v128, p: v128;
  while (true) {
    const g = v128.load(gradient + i);
    a = f32x4.add(v128.load(accumulator + i), f32x4.mul(g, g));
    p = scaledDescent(v128.load(parameter + i), g, a, rate, eps);
    if (i >= whole) break;
    v128.store(accumulator + i, a);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(accumulator + i, a, length);
  storeRest(out + i, p, length);
}

export function rmsprop(
  out: usize,
  parameter: usize,
  gradient: usize,
  meanSquare: usize,
  length: i32,
  learningRate: f32,
  rho: f32,
  epsilon: f32,
): void {
  const rate = keepAll(0, learningRate);
  const kept = keepAll(1, rho);
  const taken = keepAll(2, 1 - rho);
  const eps = keepAll(3, epsilon);
  const smallest = keepSmallest(4);
  const whole = vectorsOf(length);
  let i: usize = 0;
  let a: v128, p: v128;
  while (true) {
    const g = v128.load(gradient + i);
    a = f32x4.add(f32x4.mul(kept, v128.load(meanSquare + i)), f32x4.mul(taken, f32x4.mul(g, g)));
    a = flushSquare(a, smallest);
    p = scaledDescent(v128.load(parameter + i), g, a, rate, eps);
    if (i >= whole) break;
    v128.store(meanSquare + i, a);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(meanSquare + i, a, length);
  storeRest(out + i, p, length);
}

export function adam(
  out: usize,
  parameter: usize,
  gradient: usize,
  firstMoment: usize,
  secondMoment: usize,
  length: i32,
  beta1: f32,
  beta2: f32,
  stepSize: f32,
  rootCorrection: f32,
  epsilon: f32,
  decay: f32,
): void {
  const kept1 = keepAll(0, beta1);
  const kept2 = keepAll(1, beta2);
  const taken1 = keepAll(2, 1 - beta1);
  const taken2 = keepAll(3, 1 - beta2);
  const size = keepAll(4, stepSize);
  const correction = keepAll(5, rootCorrection);
  const eps = keepAll(6, epsilon);
  const smallest = keepSmallest(7);
  const magnitude = keepMagnitude(8);
  const shrink = keepAll(9, decay);
  const whole = vectorsOf(length);
  let i: usize = 0;
  let m: v128, v: v128, p: v128;
  while (true) {
    const g = v128.load(gradient + i);
    m = f32x4.add(f32x4.mul(kept1, v128.load(firstMoment + i)), f32x4.mul(taken1, g));
    m = flush(m, smallest, magnitude);
    v = f32x4.add(f32x4.mul(kept2, v128.load(secondMoment + i)), f32x4.mul(taken2, f32x4.mul(g, g)));
    v = flushSquare(v, smallest);
    const denominator = f32x4.add(f32x4.mul(f32x4.sqrt(v), correction), eps);
    let move = f32x4.div(f32x4.mul(size, m), denominator);
    p = v128.load(parameter + i);
    if (decay != 0) move = f32x4.add(f32x4.mul(shrink, p), move);
    p = f32x4.sub(p, move);
    if (i >= whole) break;
    v128.store(firstMoment + i, m);
    v128.store(secondMoment + i, v);
    v128.store(out + i, p);
    i += VECTOR;
  }
  storeRest(firstMoment + i, m, length);
  storeRest(secondMoment + i, v, length);
  storeRest(out + i, p, length);
}
