/**
 * The kernels without an optimizer in them: `add`, `scale`, `divide`, `clipValue`, `zeroNonFinite`.
 */
import { keepAll, pairsOf, storeRest, TWO, VECTOR, vectorsOf } from './lanes';

export function add(accumulator: usize, x: usize, length: i32): void {
  let i: usize = 0;
  for (const pairs = pairsOf(length); i < pairs; i += TWO) {
    const a = accumulator + i;
    const b = x + i;
    v128.store(a, f32x4.add(v128.load(a), v128.load(b)));
    v128.store(a, f32x4.add(v128.load(a, VECTOR), v128.load(b, VECTOR)), VECTOR);
  }
  const whole = vectorsOf(length);
  let sum: v128;
  while (true) {
    sum = f32x4.add(v128.load(accumulator + i), v128.load(x + i));
    if (i >= whole) break;
    v128.store(accumulator + i, sum);
    i += VECTOR;
  }
  storeRest(accumulator + i, sum, length);
}

export function scale(values: usize, length: i32, factor: f32): void {
  const by = keepAll(0, factor);
  let i: usize = 0;
  for (const pairs = pairsOf(length); i < pairs; i += TWO) {
    const a = values + i;
    v128.store(a, f32x4.mul(v128.load(a), by));
    v128.store(a, f32x4.mul(v128.load(a, VECTOR), by), VECTOR);
  }
  const whole = vectorsOf(length);
  let product: v128;
  while (true) {
    product = f32x4.mul(v128.load(values + i), by);
    if (i >= whole) break;
    v128.store(values + i, product);
    i += VECTOR;
  }
  storeRest(values + i, product, length);
}

export function divide(values: usize, length: i32, divisor: f32): void {
  const by = keepAll(0, divisor);
  const whole = vectorsOf(length);
  let i: usize = 0;
  let quotient: v128;
  while (true) {
    quotient = f32x4.div(v128.load(values + i), by);
    if (i >= whole) break;
    v128.store(values + i, quotient);
    i += VECTOR;
  }
  storeRest(values + i, quotient, length);
}

/** pmin and pmax take the constant only where the comparison says so: NaN stays. */
// @ts-ignore: decorator
@inline
function clipped(x: v128, low: v128, high: v128): v128 {
  return f32x4.pmax(f32x4.pmin(x, high), low);
}

export function clipValue(values: usize, length: i32, limit: f32): void {
  const high = keepAll(0, limit);
  const low = keepAll(1, -limit);
  let i: usize = 0;
  for (const pairs = pairsOf(length); i < pairs; i += TWO) {
    const a = values + i;
    v128.store(a, clipped(v128.load(a), low, high));
    v128.store(a, clipped(v128.load(a, VECTOR), low, high), VECTOR);
  }
  const whole = vectorsOf(length);
  let x: v128;
  while (true) {
    x = clipped(v128.load(values + i), low, high);
    if (i >= whole) break;
    v128.store(values + i, x);
    i += VECTOR;
  }
  storeRest(values + i, x, length);
}

/** x − x is 0 for finite x, else NaN, which equals nothing. */
// @ts-ignore: decorator
@inline
function zeroed(x: v128): v128 {
  const difference = f32x4.sub(x, x);
  return v128.and(x, f32x4.eq(difference, difference));
}

export function zeroNonFinite(values: usize, length: i32): void {
  let i: usize = 0;
  for (const pairs = pairsOf(length); i < pairs; i += TWO) {
    const a = values + i;
    v128.store(a, zeroed(v128.load(a)));
    v128.store(a, zeroed(v128.load(a, VECTOR)), VECTOR);
  }
  const whole = vectorsOf(length);
  let x: v128;
  while (true) {
    x = zeroed(v128.load(values + i));
    if (i >= whole) break;
    v128.store(values + i, x);
    i += VECTOR;
  }
  storeRest(values + i, x, length);
}
