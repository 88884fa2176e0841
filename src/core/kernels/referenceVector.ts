/**
 * The vector kernels in plain JavaScript, by the formulas in `kernels.ts`. A store into a Float32Array
 * rounds to float32, so one operation on float32 values and one store is one float32 operation.
 */
import type { Kernels } from './kernels.js';

const { fround } = Math;

/** Kernels without an optimizer in them. */
export const referenceVector: Pick<
  Kernels,
  'copy' | 'add' | 'scale' | 'divide' | 'clipValue' | 'zeroNonFinite'
> = {
  copy(out, x) {
    out.set(x);
  },

  add(accumulator, x) {
    const length = accumulator.length;
    for (let i = 0; i < length; i++) accumulator[i] = (accumulator[i] as number) + (x[i] as number);
  },

  scale(values, factor) {
    const by = fround(factor);
    const length = values.length;
    for (let i = 0; i < length; i++) values[i] = (values[i] as number) * by;
  },

  divide(values, divisor) {
    const by = fround(divisor);
    const length = values.length;
    for (let i = 0; i < length; i++) values[i] = (values[i] as number) / by;
  },

  clipValue(values, limit) {
    const high = fround(limit);
    const low = -high;
    const length = values.length;
    for (let i = 0; i < length; i++) {
      const value = values[i] as number;
      if (value > high) values[i] = high;
      else if (value < low) values[i] = low;
    }
  },

  zeroNonFinite: referenceZeroNonFinite,
};

/** What is not finite becomes 0. By itself, for workers, which have no use for the rest. */
export function referenceZeroNonFinite(values: Float32Array): void {
  const length = values.length;
  for (let i = 0; i < length; i++) {
    const value = values[i] as number;
    // NaN for NaN and the infinities, 0 for every other.
    if (value - value !== 0) values[i] = 0;
  }
}
