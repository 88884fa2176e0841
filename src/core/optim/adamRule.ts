/**
 * The update rule behind Adam and AdamW. Its scalars are [t, β1^t, β2^t]: the powers are running
 * products in float64, so that a state that was saved and restored goes on with the same bits.
 */
import { countStep } from './builtIn.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** Hyperparameters of the rule. */
export interface AdamHyperparameters {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** 0 for Adam. */
  readonly weightDecay: number;
}

/** The rule of `optimizer`, an Adam or AdamW with these hyperparameters. */
export function adamRule(optimizer: BuiltInOptimizer, hyperparameters: AdamHyperparameters): UpdateRule {
  const { epsilon, weightDecay } = hyperparameters;
  // The powers are of the betas that the kernel uses, or the corrections would not quite fit the averages.
  const beta1 = Math.fround(hyperparameters.beta1);
  const beta2 = Math.fround(hyperparameters.beta2);
  return {
    name: optimizer.name,
    slots: optimizer.slots,
    slotStart: [0, 0],
    newScalars: () => [0, 1, 1],
    advance(scalars) {
      countStep(scalars);
      scalars[1] = (scalars[1] as number) * beta1;
      scalars[2] = (scalars[2] as number) * beta2;
    },
    update({ kernels, out, parameter, gradient, slots, scalars, learningRate }) {
      const [firstMoment, secondMoment] = slots as [Float32Array, Float32Array];
      kernels.adam(out, parameter, gradient, firstMoment, secondMoment, {
        beta1,
        beta2,
        stepSize: learningRate / (1 - (scalars[1] as number)),
        rootCorrection: 1 / Math.sqrt(1 - (scalars[2] as number)),
        epsilon,
        decay: learningRate * weightDecay,
      });
    },
  };
}
