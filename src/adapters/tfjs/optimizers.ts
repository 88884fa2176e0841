/**
 * Optimizers of tfjs as pslib's, which run on the server. Where the two differ in a constant, tfjs's is taken. tfjs
 * adds the epsilon of Adam before the correction of the bias, pslib after it, as in the paper's algorithm 1.
 */
import type { Optimizer as TfOptimizer } from '@tensorflow/tfjs';
import { invalidArgument } from '../../core/base/errors.js';
import { adagrad } from '../../core/optim/adagrad.js';
import { adam } from '../../core/optim/adam.js';
import { momentum } from '../../core/optim/momentum.js';
import { nesterov } from '../../core/optim/nesterov.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import { rmsprop } from '../../core/optim/rmsprop.js';
import { sgd } from '../../core/optim/sgd.js';

const EXPECTED = "one of pslib's optimizers, or tf.train's sgd, momentum, adagrad, rmsprop or adam";

/** What the optimizers of tfjs say of themselves. */
interface Config {
  readonly learningRate?: number;
  readonly epsilon?: number;
  readonly momentum?: number;
  readonly useNesterov?: boolean;
  readonly initialAccumulatorValue?: number;
  readonly decay?: number;
  readonly centered?: boolean;
  readonly beta1?: number;
  readonly beta2?: number;
}

/** pslib's description of `optimizer`. Throws `PS_INVALID_ARGUMENT` for one that pslib does not have. */
export function optimizerOf(optimizer: Optimizer | TfOptimizer): Optimizer {
  if (optimizer === null || typeof optimizer !== 'object')
    throw invalidArgument('optimizer', optimizer, EXPECTED);
  if (!('getConfig' in optimizer)) return optimizer;
  const kind = optimizer.getClassName();
  const config = optimizer.getConfig() as Config;
  const { learningRate = 0, epsilon = 0 } = config;
  switch (kind) {
    case 'SGD':
      return sgd({ learningRate });
    case 'Momentum':
      return (config.useNesterov ? nesterov : momentum)({ learningRate, momentum: config.momentum ?? 0 });
    case 'Adagrad':
      return adagrad({ learningRate, initialAccumulator: config.initialAccumulatorValue ?? 0 });
    case 'RMSProp':
      if (config.centered || (config.momentum ?? 0) > 0) break;
      return rmsprop({ learningRate, rho: config.decay ?? 0, epsilon });
    case 'Adam':
      return adam({ learningRate, beta1: config.beta1 ?? 0, beta2: config.beta2 ?? 0, epsilon });
    default:
      break;
  }
  throw invalidArgument('optimizer', `${kind} ${JSON.stringify(config)}`, EXPECTED);
}
