/**
 * AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2).
 */
import type { AdamOptions } from './adam.js';
import { adamRule } from './adamRule.js';
import { type BuiltInKind, describe, fraction, notNegative, positive } from './builtIn.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `adamw`. */
export interface AdamwOptions extends AdamOptions {
  /** The part of each parameter taken off per update is this times the learning rate; ≥ 0. Default 0.01. */
  readonly weightDecay?: number;
}

/** A description made by `adamw`. */
export interface Adamw extends BuiltInOptimizer {
  readonly name: 'adamw';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
}

/**
 * AdamW: p ← p − lr·weightDecay·p − (the step of `adam`). Slots `firstMoment` and `secondMoment`.
 * Departs from the paper as PyTorch and Keras do: the paper's λ is scaled by the schedule η alone, here
 * the decay is scaled by the whole learning rate, η·α; so λ = α·weightDecay.
 * Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function adamw(options: AdamwOptions = {}): Adamw {
  return describe(adamwKind, options) as Adamw;
}

/** What `updateRuleOf` knows of `adamw`. */
export const adamwKind: BuiltInKind = {
  name: 'adamw',
  slots: ['firstMoment', 'secondMoment'],
  learningRate: 0.001,
  hyperparameters: {
    beta1: fraction(0.9),
    beta2: fraction(0.999),
    epsilon: positive(1e-8),
    weightDecay: notNegative(0.01),
  },
  rule(optimizer): UpdateRule {
    return adamRule(optimizer, optimizer as Adamw);
  },
};
