/**
 * Nesterov's accelerated gradient as momentum (Sutskever et al. 2013, eq. 3–4), written for the point where
 * the gradient is taken (Bengio et al. 2013, eq. 6–7): workers compute gradients at the parameters
 * they pull, so the parameters held are the point that looks ahead, θ + μ·v.
 */
import { type BuiltInKind, describe, fraction, stepOnly } from './builtIn.js';
import type { LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `nesterov`. */
export interface NesterovOptions {
  /** Default 0.01. */
  readonly learningRate?: LearningRate;
  /** μ, the part of the velocity that is kept, in [0, 1). Default 0.9. */
  readonly momentum?: number;
}

/** A description made by `nesterov`. */
export interface Nesterov extends BuiltInOptimizer {
  readonly name: 'nesterov';
  readonly momentum: number;
}

/**
 * Nesterov momentum: v ← μ·v − lr·g; p ← p + μ·v − lr·g. One slot, `velocity`.
 * Keras does as here; PyTorch keeps v without the learning rate.
 * Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function nesterov(options: NesterovOptions = {}): Nesterov {
  return describe(nesterovKind, options) as Nesterov;
}

/** What `updateRuleOf` knows of `nesterov`. */
export const nesterovKind: BuiltInKind = {
  name: 'nesterov',
  slots: ['velocity'],
  learningRate: 0.01,
  hyperparameters: { momentum: fraction(0.9) },
  rule(optimizer): UpdateRule {
    const { momentum: mu } = optimizer as Nesterov;
    return {
      name: 'nesterov',
      slots: optimizer.slots,
      slotStart: [0],
      ...stepOnly,
      update({ kernels, out, parameter, gradient, slots, learningRate }) {
        const [velocity] = slots as [Float32Array];
        kernels.nesterov(out, parameter, gradient, velocity, learningRate, mu);
      },
    };
  },
};
