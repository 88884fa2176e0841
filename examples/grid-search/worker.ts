/** A worker process of this example: `worker.ts URL ID`. Trains with the settings that it is given, and tells how well. */
import { Worker } from 'pslib';
import { loadDigits, splitForValidation } from '../digits/data.js';
import { accuracy } from '../digits/network.js';
import { type TrainingSettings, train } from '../digits/plainTraining.js';

const [, , url = '', id = ''] = process.argv;
// Settings are chosen by digits that have no part in the final test.
const { training, test } = splitForValidation(loadDigits());

const worker = new Worker(url, { id, reconnect: { maxOfflineMs: 10_000 } });
await worker.tasks((settings: TrainingSettings) => accuracy(train(training, settings), test));
await worker.close();
