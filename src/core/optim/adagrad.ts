/**
 * Adagrad with a diagonal matrix (Duchi, Hazan & Singer 2011, figure 1).
 */
import { type BuiltInKind, describe, notNegative, positive, stepOnly } from './builtIn.js';
import type { LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `adagrad`. */
export interface AdagradOptions {
  /** Default 0.01. */
  readonly learningRate?: LearningRate;
  /** δ of the paper, > 0. Default 1e-10. */
  readonly epsilon?: number;
  /** What the sum of squares begins with, ≥ 0; more makes the first steps smaller. Default 0, as in the paper. */
  readonly initialAccumulator?: number;
}

/** A description made by `adagrad`. */
export interface Adagrad extends BuiltInOptimizer {
  readonly name: 'adagrad';
  readonly epsilon: number;
  readonly initialAccumulator: number;
}

/**
 * Adagrad: a ← a + g²; p ← p − lr·g / (√a + ε). One slot, `accumulator`.
 * ε is outside the root as in the paper and PyTorch; TensorFlow starts a at 0.1, Keras takes √(a + ε).
 * Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function adagrad(options: AdagradOptions = {}): Adagrad {
  return describe(adagradKind, options) as Adagrad;
}

/** What `updateRuleOf` knows of `adagrad`. */
export const adagradKind: BuiltInKind = {
  name: 'adagrad',
  slots: ['accumulator'],
  learningRate: 0.01,
  hyperparameters: { epsilon: positive(1e-10), initialAccumulator: notNegative(0) },
  rule(optimizer): UpdateRule {
    const { epsilon, initialAccumulator } = optimizer as Adagrad;
    return {
      name: 'adagrad',
      slots: optimizer.slots,
      slotStart: [initialAccumulator],
      ...stepOnly,
      update({ kernels, out, parameter, gradient, slots, learningRate }) {
        const [accumulator] = slots as [Float32Array];
        kernels.adagrad(out, parameter, gradient, accumulator, learningRate, epsilon);
      },
    };
  },
};
