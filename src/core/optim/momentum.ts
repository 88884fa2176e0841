/**
 * Gradient descent with momentum (Polyak 1964), in the form of Sutskever et al. 2013, eq. 1–2.
 */
import { type BuiltInKind, describe, fraction, stepOnly } from './builtIn.js';
import type { LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `momentum`. */
export interface MomentumOptions {
  /** Default 0.01. */
  readonly learningRate?: LearningRate;
  /** μ, the part of the velocity that is kept, in [0, 1). Default 0.9. */
  readonly momentum?: number;
}

/** A description made by `momentum`. */
export interface Momentum extends BuiltInOptimizer {
  readonly name: 'momentum';
  readonly momentum: number;
}

/**
 * Classical momentum: v ← μ·v − lr·g; p ← p + v. One slot, `velocity`.
 * PyTorch keeps v without the learning rate instead (v ← μ·v + g; p ← p − lr·v), which differs while
 * the rate changes; Keras does as here. Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function momentum(options: MomentumOptions = {}): Momentum {
  return describe(momentumKind, options) as Momentum;
}

/** What `updateRuleOf` knows of `momentum`. */
export const momentumKind: BuiltInKind = {
  name: 'momentum',
  slots: ['velocity'],
  learningRate: 0.01,
  hyperparameters: { momentum: fraction(0.9) },
  rule(optimizer): UpdateRule {
    const { momentum: mu } = optimizer as Momentum;
    return {
      name: 'momentum',
      slots: optimizer.slots,
      slotStart: [0],
      ...stepOnly,
      update({ kernels, out, parameter, gradient, slots, learningRate }) {
        const [velocity] = slots as [Float32Array];
        kernels.momentum(out, parameter, gradient, velocity, learningRate, mu);
      },
    };
  },
};
