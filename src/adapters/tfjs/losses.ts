/** Losses by the names that `LayersModel.compile` knows, as functions of targets and outputs. */
import { metrics, oneHot, type Tensor, tidy } from '@tensorflow/tfjs';
import { invalidArgument } from '../../core/base/errors.js';

/** The loss of a batch, as one number or one for each example, which is then averaged. */
export type LossFunction = (targets: Tensor, outputs: Tensor) => Tensor;

/** A loss by name. */
export type LossName =
  | 'categoricalCrossentropy'
  | 'sparseCategoricalCrossentropy'
  | 'binaryCrossentropy'
  | 'meanSquaredError'
  | 'meanAbsoluteError';

const LOSSES: Readonly<Record<LossName, LossFunction>> = {
  categoricalCrossentropy: (targets, outputs) => metrics.categoricalCrossentropy(targets, outputs),
  sparseCategoricalCrossentropy: (targets, outputs) => sparseCrossentropy(targets, outputs),
  binaryCrossentropy: (targets, outputs) => metrics.binaryCrossentropy(targets, outputs),
  meanSquaredError: (targets, outputs) => metrics.meanSquaredError(targets, outputs),
  meanAbsoluteError: (targets, outputs) => metrics.meanAbsoluteError(targets, outputs),
};

/** Keeps logarithms finite, as tfjs does. */
const EPSILON = 1e-7;

/** The function of a loss. Throws `PS_INVALID_ARGUMENT` for a name that is none. */
export function lossFunctionOf(loss: unknown): LossFunction {
  if (typeof loss === 'function') return loss as LossFunction;
  if (typeof loss === 'string' && Object.hasOwn(LOSSES, loss)) return LOSSES[loss as LossName];
  throw invalidArgument('loss', loss, `a function, or one of ${Object.keys(LOSSES).join(', ')}`);
}

/** Cross-entropy of probabilities against labels from 0. */
function sparseCrossentropy(labels: Tensor, probabilities: Tensor): Tensor {
  return tidy(() => {
    const classes = probabilities.shape.at(-1) ?? 1;
    const right = oneHot(labels.flatten().toInt(), classes).reshape(probabilities.shape);
    return right
      .mul(probabilities.clipByValue(EPSILON, 1 - EPSILON).log())
      .sum(-1)
      .neg();
  });
}
