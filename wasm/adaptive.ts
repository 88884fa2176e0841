/**
 * Adagrad and RMSProp, by the formulas of kernels.ts. A division and a square root per vector bound them;
 * everything else passes beside these.
 */
import { flushSquare, keepAll, keepSmallest, storeRest, VECTOR, vectorsOf } from './lanes';

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
