/**
 * The network of the demo trained in one plain loop, without pslib: the yardstick for trainings with workers, and
 * the work of a task in ../grid-search.
 */
import { type Digits, shuffledBatches } from './data.js';
import { gradient, type NetworkParameters, networkParameters } from './network.js';
import { type Random, randomFrom } from './random.js';
import { fallingRate } from './settings.js';

type Name = keyof typeof networkParameters;
const names = Object.keys(networkParameters) as Name[];

/** How to train. */
export interface TrainingSettings {
  readonly steps: number;
  readonly batchSize: number;
  /** Adam's step size at the start. */
  readonly learningRate: number;
  /** Decides the initial parameters and the order of the digits. */
  readonly seed: number;
}

/** Trains for `steps` batches and returns the parameters. */
export function train(
  training: Digits,
  { steps, batchSize, learningRate, seed }: TrainingSettings,
): NetworkParameters {
  const random = randomFrom(seed);
  const parameters = initialParameters(random);
  const optimizers = names.map((name) => adamFor(parameters[name].data));
  const batches = shuffledBatches(training, batchSize, random);
  const rateAt = fallingRate(learningRate, steps);
  for (let step = 1; step <= steps; step++) {
    const { gradients } = gradient(parameters, batches.next().value);
    names.forEach((name, i) => {
      optimizers[i]?.(gradients[name], step, rateAt(step - 1));
    });
  }
  return parameters;
}

/** Kernels uniform in ±√(6 / (inputs + outputs)) (Glorot and Bengio 2010), biases zero. */
function initialParameters(random: Random): NetworkParameters {
  const entries = names.map((name) => {
    const shape: readonly number[] = networkParameters[name].shape;
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1));
    const [inputs = 0, outputs] = shape;
    if (outputs !== undefined) {
      const limit = Math.sqrt(6 / (inputs + outputs));
      data.forEach((_, i) => {
        data[i] = limit * (2 * random() - 1);
      });
    }
    return [name, { shape, data }] as const;
  });
  return Object.fromEntries(entries) as unknown as NetworkParameters;
}

/** Adam (Kingma and Ba 2015, algorithm 1) with its usual constants, for one array. */
function adamFor(
  parameter: Float32Array,
): (gradient: Float32Array, step: number, learningRate: number) => void {
  const mean = new Float32Array(parameter.length);
  const meanSquare = new Float32Array(parameter.length);
  return (gradient, step, learningRate) => {
    gradient.forEach((g, i) => {
      const m = 0.9 * (mean[i] as number) + 0.1 * g;
      const v = 0.999 * (meanSquare[i] as number) + 0.001 * g * g;
      mean[i] = m;
      meanSquare[i] = v;
      const unbiased = m / (1 - 0.9 ** step) / (Math.sqrt(v / (1 - 0.999 ** step)) + 1e-8);
      parameter[i] = (parameter[i] as number) - learningRate * unbiased;
    });
  };
}
