/**
 * RMSProp (Tieleman & Hinton 2012, lecture 6e).
 */
import { type BuiltInKind, describe, fraction, positive, stepOnly } from './builtIn.js';
import type { LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `rmsprop`. */
export interface RmspropOptions {
  /** Default 0.001. */
  readonly learningRate?: LearningRate;
  /** ρ, the part of the mean square that is kept, in [0, 1). Default 0.9. */
  readonly rho?: number;
  /** > 0. Default 1e-8. */
  readonly epsilon?: number;
}

/** A description made by `rmsprop`. */
export interface Rmsprop extends BuiltInOptimizer {
  readonly name: 'rmsprop';
  readonly rho: number;
  readonly epsilon: number;
}

/**
 * RMSProp: a ← ρ·a + (1 − ρ)·g²; p ← p − lr·g / (√a + ε). One slot, `meanSquare`.
 * The lecture has no ε. Outside the root as here it is in PyTorch (whose ρ is 0.99); Keras takes √(a + ε).
 * Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function rmsprop(options: RmspropOptions = {}): Rmsprop {
  return describe(rmspropKind, options) as Rmsprop;
}

/** What `updateRuleOf` knows of `rmsprop`. */
export const rmspropKind: BuiltInKind = {
  name: 'rmsprop',
  slots: ['meanSquare'],
  learningRate: 0.001,
  hyperparameters: { rho: fraction(0.9), epsilon: positive(1e-8) },
  rule(optimizer): UpdateRule {
    const { rho, epsilon } = optimizer as Rmsprop;
    return {
      name: 'rmsprop',
      slots: optimizer.slots,
      slotStart: [0],
      ...stepOnly,
      update({ kernels, out, parameter, gradient, slots, learningRate }) {
        const [meanSquare] = slots as [Float32Array];
        kernels.rmsprop(out, parameter, gradient, meanSquare, learningRate, rho, epsilon);
      },
    };
  },
};
