/**
 * FTRL-Proximal with per-coordinate learning rates (McMahan et al. 2013, algorithm 1), for sparse linear
 * models learned online: the parameters follow from the slots z and n, and l1 makes them exactly 0.
 *
 * Two cases that the paper leaves open. The learning rate α may change: σ is taken as the difference of
 * consecutive inverse rates (β + √n)/α, so that with l1 = l2 = 0 every update is p − g·α/(β + √n), with its own α.
 * Parameters may begin elsewhere than 0: z begins at the value from which they follow.
 */
import { type BuiltInKind, countStep, describe, notNegative } from './builtIn.js';
import type { LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Options of `ftrl`. */
export interface FtrlOptions {
  /** α of the paper. Default 0.1. At 0 an update changes nothing. */
  readonly learningRate?: LearningRate;
  /** β of the paper, ≥ 0: more makes the first steps smaller. Default 1. */
  readonly beta?: number;
  /** λ1 of the paper, ≥ 0: how strongly parameters are held at 0. Default 0. */
  readonly l1?: number;
  /** λ2 of the paper, ≥ 0. Default 0. */
  readonly l2?: number;
}

/** A description made by `ftrl`. */
export interface Ftrl extends BuiltInOptimizer {
  readonly name: 'ftrl';
  readonly beta: number;
  readonly l1: number;
  readonly l2: number;
}

/**
 * FTRL-Proximal: σ ← (√(n + g²) − √n)/α; z ← z + g − σ·p; n ← n + g²;
 * p ← 0 if |z| ≤ l1, else −(z − sgn(z)·l1) / ((β + √n)/α + l2). Slots `z` and `n`.
 * TensorFlow's l2 counts twice (2·λ2), and its β joins l2 as β/(2α).
 * Throws `PS_INVALID_ARGUMENT` for an unknown or unusable option.
 */
export function ftrl(options: FtrlOptions = {}): Ftrl {
  return describe(ftrlKind, options) as Ftrl;
}

/** What `updateRuleOf` knows of `ftrl`. */
export const ftrlKind: BuiltInKind = {
  name: 'ftrl',
  slots: ['z', 'n'],
  learningRate: 0.1,
  hyperparameters: { beta: notNegative(1), l1: notNegative(0), l2: notNegative(0) },
  rule: (optimizer) => ftrlRule(optimizer as Ftrl),
};

/** The scalars are [t, 1/α of the last update before this one that was not 0 (or 0 if none), 1/α or 0]. */
function ftrlRule({ slots: slotNames, beta, l1, l2 }: Ftrl): UpdateRule {
  return {
    name: 'ftrl',
    slots: slotNames,
    slotStart: [0, 0],
    newScalars: () => [0, 0, 0],
    advance(scalars, learningRate) {
      countStep(scalars);
      if (scalars[2] !== 0) scalars[1] = scalars[2] as number;
      scalars[2] = inverseOf(learningRate);
    },
    update({ kernels, out, parameter, gradient, slots, scalars }) {
      const [z, n] = slots as [Float32Array, Float32Array];
      const [, before, inverseRate] = scalars as [number, number, number];
      if (inverseRate === 0) {
        if (out !== parameter) kernels.copy(out, parameter);
        return;
      }
      const inverseRateChange = before === 0 ? 0 : inverseRate - before;
      kernels.ftrl(out, parameter, gradient, z, n, { inverseRate, inverseRateChange, beta, l1, l2 });
    },
  };
}

/** 1/α in float32; 0 stands for an α that is 0, or so small that its inverse is not finite. */
function inverseOf(learningRate: number): number {
  const inverse = Math.fround(1 / learningRate);
  return Number.isFinite(inverse) ? inverse : 0;
}
