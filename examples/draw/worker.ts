/** One of the processes that train in the background, without end, with a rest after each step. */
import { setTimeout as rest } from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import { PsError, Worker } from 'pslib';
import { loadDigits, partOf, shuffledBatches, splitDigits } from '../digits/data.js';
import { randomFrom } from '../digits/random.js';
import { makeDigitsModel } from '../tfjs/model.js';
import { LEARNING_RATE, REST_MS, WORKERS } from './settings.js';

const { PSLIB_SERVERS = '', PSLIB_RANK = '0' } = process.env;
const rank = Number(PSLIB_RANK);

await tf.setBackend('cpu');
const part = partOf(splitDigits(loadDigits()).training, rank, WORKERS);
const { training } = makeDigitsModel(LEARNING_RATE);

async function* batches() {
  for (const { images, labels } of shuffledBatches(part, 32, randomFrom(rank))) {
    yield { xs: images.data, ys: labels };
    await rest(REST_MS);
  }
}

const worker = new Worker(PSLIB_SERVERS, { id: `process-${rank}`, reconnect: { maxOfflineMs: 10_000 } });
try {
  await worker.run(training.gradientFn, { data: batches() });
} catch (error) {
  if (!(error instanceof PsError)) throw error;
  // The server is gone, and with it the reason to train.
  process.exitCode = 1;
} finally {
  await worker.close();
}
