/** A worker process of this example: `worker.ts URL ID`. Which digits are its own it hears from the server. */
import { Worker } from 'pslib';
import { pick } from '../digits/data.js';
import { gradient } from '../digits/network.js';
import { BATCH_SIZE } from '../digits/settings.js';
import { type parameters as model, training } from './model.js';

const [, , url = '', id = ''] = process.argv;
// The server is the process that started this one: if it is gone, it will not come back.
const worker = new Worker<typeof model>(url, { id, reconnect: { maxOfflineMs: 10_000 } });

await worker.run(
  (parameters, indices: Uint32Array) => {
    const { loss, gradients } = gradient(parameters, pick(training, indices));
    const counts = new Float32Array(training.labels.length);
    for (const index of indices) counts[index] = -1;
    return { gradients: { ...gradients, counts }, metrics: { loss } };
  },
  {
    // Batches of a data shard begin where it begins: another worker may have done a part of it.
    *dataShards({ indices }) {
      for (let at = 0; at < indices.length; at += BATCH_SIZE) {
        yield indices.subarray(at, at + BATCH_SIZE) as Uint32Array;
      }
    },
  },
);
await worker.close();
