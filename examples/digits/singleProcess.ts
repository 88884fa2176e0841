/**
 * The yardstick: the same network, data, batch size and optimizer in one plain loop, without
 * pslib. Prints the test accuracy of each seed, then mean and spread.
 *
 *     npx tsx examples/digits/singleProcess.ts --seeds 20 --steps 1200
 */
import { parseArgs } from 'node:util';
import { loadDigits, splitDigits, splitForValidation } from './data.js';
import { accuracy } from './network.js';
import { train } from './plainTraining.js';
import { BATCH_SIZE, LEARNING_RATE } from './settings.js';
import { summaryOf } from './summary.js';

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
  const result = accuracy(train(training, { steps, batchSize: BATCH_SIZE, learningRate, seed }), test);
  accuracies.push(result);
  console.log(`seed ${seed}  accuracy ${result.toFixed(3)}`);
}
console.log(summaryOf(accuracies));
