/**
 * The yardstick: the same network, data, batch size and optimizer in one plain loop, without
 * pslib. Prints the test accuracy of each seed, then mean and spread.
 *
 *     npx tsx examples/digits/singleProcess.ts --seeds 20 --steps 1200
 */
import { parseArgs } from 'node:util';
import { type Digits, loadDigits, shuffledBatches, splitDigits, splitForValidation } from './data.js';
import { accuracy, gradient, type NetworkParameters, networkParameters } from './network.js';
import { type Random, randomFrom } from './random.js';
import { BATCH_SIZE, fallingRate, LEARNING_RATE } from './settings.js';
import { summaryOf } from './summary.js';

type Name = keyof typeof networkParameters;
const names = Object.keys(networkParameters) as Name[];

/** Trains for `steps` batches and returns the parameters. */
function train(training: Digits, steps: number, learningRate: number, seed: number): NetworkParameters {
  const random = randomFrom(seed);
  const parameters = initialParameters(random);
  const optimizers = names.map((name) => adamFor(parameters[name].data));
  const batches = shuffledBatches(training, BATCH_SIZE, random);
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

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '20' },
    steps: { type: 'string', default: '1200' },
    'learning-rate': { type: 'string', default: `${LEARNING_RATE}` },
    validation: { type: 'boolean', default: false },
  },
});
const [steps, learningRate] = [Number(values.steps), Number(values['learning-rate'])];
const { training, test } = (values.validation ? splitForValidation : splitDigits)(loadDigits());
const accuracies: number[] = [];
for (let seed = 1; seed <= Number(values.seeds); seed++) {
  const result = accuracy(train(training, steps, learningRate, seed), test);
  accuracies.push(result);
  console.log(`seed ${seed}  accuracy ${result.toFixed(3)}`);
}
console.log(summaryOf(accuracies));
