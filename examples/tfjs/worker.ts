/** One worker process: trains the model with its own part of the digits. Its place is in the environment. */
import * as tf from '@tensorflow/tfjs';
import { PsError, Worker } from 'pslib';
import { loadDigits, partOf, shuffledBatches, splitDigits } from '../digits/data.js';
import { randomFrom } from '../digits/random.js';
import { makeDigitsModel } from './model.js';

const { PSLIB_SERVERS = '', PSLIB_RANK = '0', PSLIB_WORLD_SIZE = '1', STEPS = '200' } = process.env;
const rank = Number(PSLIB_RANK);

await tf.setBackend('cpu');
const part = partOf(splitDigits(loadDigits()).training, rank, Number(PSLIB_WORLD_SIZE));
const { training } = makeDigitsModel();

function* batches() {
  for (const { images, labels } of shuffledBatches(part, 32, randomFrom(rank))) {
    yield { xs: images.data, ys: labels };
  }
}

const worker = new Worker(PSLIB_SERVERS, { id: `tfjs-${rank}`, reconnect: { maxOfflineMs: 10_000 } });
try {
  const { steps, waitSeconds } = await worker.run(training.gradientFn, {
    data: batches(),
    steps: Number(STEPS),
  });
  const { numTensors } = tf.memory();
  console.log(
    `tfjs-${rank}: ${steps} steps, ${waitSeconds.toFixed(1)} s of waiting, ${numTensors} tensors at the end`,
  );
} catch (error) {
  if (!(error instanceof PsError)) throw error;
  console.error(`tfjs-${rank}: ${error.message} (${error.code})`);
  process.exitCode = 1;
} finally {
  await worker.close();
}
