/**
 * A tab that trains the digits: `?url=…&rank=…&steps=…`. What has become of it stands in `globalThis.training`, for
 * the test to read; `trainingEnded` resolves when it is done or has failed. Each push also adds 1 to the worker's own
 * cell, so that every one that is lost or doubled shows.
 */
import { Worker } from 'pslib/worker';
import type { Digits } from '../../../examples/digits/data.js';
import { gradient } from '../../../examples/digits/network.js';

const query = new URLSearchParams(location.search);
const rank = Number(query.get('rank'));
const steps = Number(query.get('steps'));
const BATCH = 32;

const { pixels, labels } = (await (await fetch(`/digits/${rank}`)).json()) as Record<string, number[]>;
const images = Float32Array.from(pixels ?? [], (darkness) => darkness / 16);
const answers = Uint8Array.from(labels ?? []);

function batchOf(step: number): Digits {
  const begin = (step * BATCH) % (answers.length - BATCH);
  const data = images.subarray(begin * 64, (begin + BATCH) * 64);
  return { images: { rows: BATCH, columns: 64, data }, labels: answers.subarray(begin, begin + BATCH) };
}

const training = {
  steps: 0,
  loss: Number.NaN,
  connections: 0,
  get connected() {
    return worker.connected;
  },
  done: false,
  error: '',
};
let end = (): void => {};
const trainingEnded = new Promise<void>((resolve) => {
  end = resolve;
});
Object.assign(globalThis, { training, trainingEnded });

const worker = new Worker(query.get('url') ?? '', {
  id: `tab-${rank}`,
  token: query.get('token') ?? undefined,
});
worker.on('open', () => {
  training.connections++;
});
worker.on('step', ({ step, metrics }) => {
  training.steps = step + 1;
  training.loss = metrics?.loss ?? Number.NaN;
});
try {
  await worker.run(
    (parameters, batch) => {
      const { loss, gradients } = gradient(parameters as never, batch);
      const cells = new Float32Array(parameters.cells?.data.length ?? 0);
      cells[rank] = -1;
      return { gradients: { ...gradients, cells }, metrics: { loss } };
    },
    { data: batchOf, steps },
  );
  training.done = true;
} catch (error) {
  training.error = String(error);
} finally {
  end();
  await worker.close();
}
