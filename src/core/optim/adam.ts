/**
 * Adam (Kingma & Ba 2015, algorithm 1).
 */
import { adamRule } from './adamRule.js';
import { type BuiltInKind, describe, fraction, positive } from './builtIn.js';
import type { LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `adam`. */
export interface AdamOptions {
  /** Default 0.001. */
  readonly learningRate?: LearningRate;
  /** β1, the part of the mean that is kept, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** β2, the part of the mean square that is kept, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** > 0. Default 1e-8. */
  readonly epsilon?: number;
}

/** A description made by `adam`. */
export interface Adam extends BuiltInOptimizer {
  readonly name: 'adam';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/**
 * Adam: m ← β1·m + (1 − β1)·g; v ← β2·v + (1 − β2)·g²; p ← p − lr·m̂ / (√v̂ + ε), where
 * m̂ = m / (1 − β1^t) and v̂ = v / (1 − β2^t). Slots `firstMoment` and `secondMoment`.
 * ε is added after the correction, as in algorithm 1 and PyTorch; Keras adds it before (the ε̂ of section 2).
 * Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function adam(options: AdamOptions = {}): Adam {
  return describe(adamKind, options) as Adam;
}

/** What `updateRuleOf` knows of `adam`. */
export const adamKind: BuiltInKind = {
  name: 'adam',
  slots: ['firstMoment', 'secondMoment'],
  learningRate: 0.001,
  hyperparameters: { beta1: fraction(0.9), beta2: fraction(0.999), epsilon: positive(1e-8) },
  rule(optimizer): UpdateRule {
    return adamRule(optimizer, { ...(optimizer as Adam), weightDecay: 0 });
  },
};
