/**
 * A worker process of this example: `worker.ts URL ID`. All that it knows of the texts it gets from the server: whole
 * pages as tasks, whose words it counts, and data shards of numbered words, whose pairs it adds to the parameters.
 */
import { Worker } from 'pslib';
import { addBigrams, countWords, VOCABULARY } from './words.js';

const [, , url = '', id = ''] = process.argv;
const worker = new Worker<{ bigrams: unknown }>(url, { id, reconnect: { maxOfflineMs: 10_000 } });
const over = new AbortController();

const counting = worker.tasks(countWords, { signal: over.signal });
// Waits until there is a data set, and ends with it.
await worker.run(
  (_parameters, pages: readonly Uint16Array[]) => {
    const bigrams = new Float32Array(VOCABULARY * VOCABULARY);
    for (const page of pages) addBigrams(bigrams, page, -1);
    return { gradients: { bigrams } };
  },
  { dataShards: ({ items }) => [items ?? []] },
);
over.abort();
await counting;
await worker.close();
