/**
 * One worker process of the demo: trains on its own part of the digits. Where the server is, and
 * which part is its own, it reads from the environment.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PsError, Worker } from 'pslib';
import { loadDigits, partOf, shuffledBatches, splitDigits, splitForValidation } from './data.js';
import { gradient, type networkParameters } from './network.js';
import { randomFrom } from './random.js';
import { BATCH_SIZE } from './settings.js';

const url = setting('PSLIB_SERVERS');
const rank = Number(setting('PSLIB_RANK'));
const workers = Number(setting('PSLIB_WORLD_SIZE'));
const steps = Number(setting('DIGITS_STEPS'));
const seed = Number(setting('DIGITS_SEED'));
const restMs = Number(process.env.DIGITS_REST_MS ?? 0);
const split = setting('DIGITS_VALIDATION') === 'true' ? splitForValidation : splitDigits;

const part = partOf(split(loadDigits()).training, rank, workers);
const batches = shuffledBatches(part, BATCH_SIZE, randomFrom(seed * workers + rank));

const worker = new Worker<typeof networkParameters>(url, {
  id: `worker-${rank}`,
  // The server is the process that started this one: if it is gone, it will not come back.
  reconnect: { maxOfflineMs: 10_000 },
});
try {
  await worker.run(
    async (parameters, batch) => {
      const { loss, gradients } = gradient(parameters, batch);
      if (restMs > 0) await sleep(restMs);
      return { gradients, metrics: { loss } };
    },
    { data: batches, steps },
  );
} catch (error) {
  if (!(error instanceof PsError)) throw error;
  console.error(`worker-${rank}: ${error.message} (${error.code})`);
  process.exitCode = 1;
} finally {
  await worker.close();
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set; the demo's main.ts starts this process`);
  return value;
}
