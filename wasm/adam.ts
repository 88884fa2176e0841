/**
 * Adam, and AdamW (with `decay`), by the formula of kernels.ts. A division and a square root per vector bound
 * them. The root of each vector is taken while the one before is finished, and the decision about decay is
 * taken once: together a tenth faster than to leave both to the processor.
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
): void {
  update(
    out,
    parameter,
    gradient,
    firstMoment,
    secondMoment,
    length,
    beta1,
    beta2,
    stepSize,
    rootCorrection,
    epsilon,
    0,
    false,
  );
}

export function adamw(
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
  update(
    out,
    parameter,
    gradient,
    firstMoment,
    secondMoment,
    length,
    beta1,
    beta2,
    stepSize,
    rootCorrection,
    epsilon,
    decay,
    true,
  );
}

// @ts-ignore: decorator
@inline
function update(
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
  hasDecay: bool,
): void {
  const kept1 = keepAll(0, beta1);
  const kept2 = keepAll(1, beta2);
  const taken1 = keepAll(2, 1 - beta1);
  const taken2 = keepAll(3, 1 - beta2);
  const size = keepAll(4, stepSize);
  const correction = keepAll(5, rootCorrection);
  const eps = keepAll(6, epsilon);
  const shrink = keepAll(7, decay);
  const smallest = keepSmallest(8);
  const magnitude = keepMagnitude(9);
  const whole = vectorsOf(length);
  let g = v128.load(gradient);
  let v = secondOf(v128.load(secondMoment), g, kept2, taken2, smallest);
  let root = f32x4.sqrt(v);
  let i: usize = 0;
  for (; i < whole; i += VECTOR) {
    const next = i + VECTOR;
    const nextG = v128.load(gradient + next);
    const nextV = secondOf(v128.load(secondMoment + next), nextG, kept2, taken2, smallest);
    const nextRoot = f32x4.sqrt(nextV);
    v128.store(secondMoment + i, v);
    const m = firstOf(v128.load(firstMoment + i), g, kept1, taken1, smallest, magnitude);
    v128.store(firstMoment + i, m);
    const move = f32x4.div(f32x4.mul(size, m), f32x4.add(f32x4.mul(root, correction), eps));
    const p = v128.load(parameter + i);
    v128.store(out + i, f32x4.sub(p, hasDecay ? f32x4.add(f32x4.mul(shrink, p), move) : move));
    g = nextG;
    v = nextV;
    root = nextRoot;
  }
  // Begun already, as the next vector of the last one.
  storeRest(secondMoment + i, v, length);
  const m = firstOf(v128.load(firstMoment + i), g, kept1, taken1, smallest, magnitude);
  storeRest(firstMoment + i, m, length);
  const move = f32x4.div(f32x4.mul(size, m), f32x4.add(f32x4.mul(root, correction), eps));
  const p = v128.load(parameter + i);
  storeRest(out + i, f32x4.sub(p, hasDecay ? f32x4.add(f32x4.mul(shrink, p), move) : move), length);
}

/** flush(β1·m + (1−β1)·g) */
// @ts-ignore: decorator
@inline
function firstOf(m: v128, g: v128, kept: v128, taken: v128, smallest: v128, magnitude: v128): v128 {
  return flush(f32x4.add(f32x4.mul(kept, m), f32x4.mul(taken, g)), smallest, magnitude);
}

/** flush(β2·v + (1−β2)·(g·g)) */
// @ts-ignore: decorator
@inline
function secondOf(v: v128, g: v128, kept: v128, taken: v128, smallest: v128): v128 {
  return flushSquare(f32x4.add(f32x4.mul(kept, v), f32x4.mul(taken, f32x4.mul(g, g))), smallest);
}
