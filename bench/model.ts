/**
 * The model of the benchmarks: its first values, the gradient that every push carries, and what the
 * parameters must be after any number of rounds. All values are multiples of 2^-10 small enough for
 * float32 to hold them exactly, so that the expected result is one number and not a tolerance.
 * `c/round.c` has the same formulas.
 */

/** How many bytes of parameters, in how many tensors. */
export interface ModelPlan {
  readonly bytes: number;
  /** Equal parts, but for rounding. Default 1. */
  readonly tensors?: number;
  /** A further tensor of so many bytes, which is pulled and never pushed. */
  readonly smallBytes?: number;
}

/** One tensor of the model; `offset` counts the elements before it. */
export interface Part {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
  /** Rounds push a gradient for it. */
  readonly isPushed: boolean;
}

/** Of the server's SGD: a power of two, so that a step is exact. */
export const LEARNING_RATE: number = 2 ** -10;
/** From here on a step could round. */
const MAX_ROUNDS = 3_900_000;
// Primes, so that no piece of the model looks like another one of the same size.
const VALUE_PERIOD = 1021;
const GRADIENT_PERIOD = 1019;

/** The tensors of a model, in order. */
export function partsOf(plan: ModelPlan): Part[] {
  const elements = Math.floor(plan.bytes / 4);
  const count = plan.tensors ?? 1;
  const parts: Part[] = [];
  for (let k = 0; k < count; k++) {
    const offset = Math.floor((elements * k) / count);
    const length = Math.floor((elements * (k + 1)) / count) - offset;
    parts.push({ name: `w${k}`, offset, length, isPushed: true });
  }
  if (plan.smallBytes !== undefined) {
    parts.push({ name: 'small', offset: elements, length: plan.smallBytes / 4, isPushed: false });
  }
  return parts;
}

/** The first value of element `i`: an integer from -510 to 510. */
export function initialValue(i: number): number {
  return (i % VALUE_PERIOD) - 510;
}

/** The gradient of element `i`: an integer from 1 to 4. */
function gradientValue(i: number): number {
  return ((i % GRADIENT_PERIOD) & 3) + 1;
}

/** First values of a part. */
export function initialValues(part: Part): Float32Array {
  return new Float32Array(part.length).map((_, i) => initialValue(part.offset + i));
}

/** The gradient of a part. */
export function gradientOf(part: Part): Float32Array {
  return new Float32Array(part.length).map((_, i) => gradientValue(part.offset + i));
}

/** Throws unless `values` are those of `part` after `rounds` applied gradients. */
export function checkValues(part: Part, values: Float32Array, rounds: number): void {
  if (!Number.isInteger(rounds) || rounds > MAX_ROUNDS) throw new Error(`${rounds} rounds can't be checked`);
  if (values.length !== part.length) throw new Error(`${part.name} has ${values.length} elements`);
  const step = part.isPushed ? rounds * LEARNING_RATE : 0;
  for (let i = 0; i < values.length; i++) {
    const expected = initialValue(part.offset + i) - step * gradientValue(part.offset + i);
    if (values[i] !== expected) {
      throw new Error(`${part.name}[${i}] is ${values[i]} after ${rounds} rounds, expected ${expected}`);
    }
  }
}

/** How many rounds were applied, going by the first element of a part. */
export function roundsIn(part: Part, values: Float32Array): number {
  const moved = initialValue(part.offset) - (values[0] as number);
  return moved / (LEARNING_RATE * gradientValue(part.offset));
}

/** Throws unless `values` are the gradient from element `offset` on. */
export function checkGradient(values: Float32Array, offset: number): void {
  for (let i = 0; i < values.length; i++) {
    if (values[i] !== gradientValue(offset + i)) {
      throw new Error(`a gradient arrived as ${values[i]} at element ${offset + i}`);
    }
  }
}
