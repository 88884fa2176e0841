/**
 * A TensorFlow.js model, trained by two worker processes: this process makes the model and serves its weights, each
 * worker computes gradients with tfjs, and the result goes back into the model. The last line is its accuracy.
 *
 *     npx tsx examples/tfjs/main.ts
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import * as tf from '@tensorflow/tfjs';
import { ParameterServer } from 'pslib';
import { loadDigits, splitDigits } from '../digits/data.js';
import { makeDigitsModel, probabilities } from './model.js';

const WORKERS = 2;
const STEPS = 200;

await tf.setBackend('cpu');
const { model, training } = makeDigitsModel();
const { parameters, optimizer } = training;
const server = new ParameterServer({ parameters, optimizer, minWorkers: WORKERS, port: 0 });
await server.listen();
server.on('metrics', ({ metrics, clock }) => {
  if (clock % 20 === 0) console.log(`clock ${clock}  loss ${metrics.loss?.toFixed(3)}`);
});

const workers = Array.from({ length: WORKERS }, (_, rank) => {
  const env = {
    PSLIB_SERVERS: server.url,
    PSLIB_RANK: `${rank}`,
    PSLIB_WORLD_SIZE: `${WORKERS}`,
    STEPS: `${STEPS}`,
  };
  return fork(new URL('worker.ts', import.meta.url), { env: { ...process.env, ...env } });
});
const ends = await Promise.all(workers.map((worker) => once(worker, 'exit')));

training.load(await server.parameters());
await server.close();
if (ends.some(([code]) => code !== 0)) process.exitCode = 1;

const { images, labels } = splitDigits(loadDigits()).test;
let right = 0;
labels.forEach((label, i) => {
  const scores = probabilities(model, images.data.subarray(64 * i, 64 * (i + 1)));
  if (scores.indexOf(Math.max(...scores)) === label) right++;
});
console.log(`accuracy ${(right / labels.length).toFixed(3)}`);
