/**
 * Stochastic gradient descent (Robbins & Monro 1951).
 */
import { type BuiltInKind, describe, stepOnly } from './builtIn.js';
import type { LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `sgd`. */
export interface SgdOptions {
  /** Default 0.01. */
  readonly learningRate?: LearningRate;
}

/** A description made by `sgd`. */
export interface Sgd extends BuiltInOptimizer {
  readonly name: 'sgd';
}

/**
 * Stochastic gradient descent: p ← p − lr·g. No slots.
 * Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function sgd(options: SgdOptions = {}): Sgd {
  return describe(sgdKind, options) as Sgd;
}

/** What `updateRuleOf` knows of `sgd`. */
export const sgdKind: BuiltInKind = {
  name: 'sgd',
  slots: [],
  learningRate: 0.01,
  hyperparameters: {},
  rule(): UpdateRule {
    return {
      name: 'sgd',
      slots: [],
      slotStart: [],
      ...stepOnly,
      update({ kernels, out, parameter, gradient, learningRate }) {
        kernels.sgd(out, parameter, gradient, learningRate);
      },
    };
  },
};
