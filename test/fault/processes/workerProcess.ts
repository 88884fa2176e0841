/** A worker: `workerProcess.ts URL RANK STEPS`. Adds 1 to its cell per step; tells each acknowledged push. */
import { Worker } from '../../../src/index.js';
import { gradientsOf, type PARAMETERS, rowGradientsOf, type TABLES } from './cells.js';

const [, , url = '', rank = '0', steps = '0'] = process.argv;
const reconnect = { minDelayMs: 10, maxDelayMs: 100 };
const worker = new Worker<typeof PARAMETERS & typeof TABLES>(url, { id: `w${rank}`, reconnect });
await worker.connect();
process.send?.({ kind: 'connected' });

let acknowledged = 0;
for await (const step of worker.steps({ steps: Number(steps) })) {
  const seen = step.parameters.own.data[Number(rank)] as number;
  const { outcome } = await step.push({ ...gradientsOf(Number(rank)), ...rowGradientsOf(Number(rank)) });
  if (outcome === 'applied') acknowledged++;
  process.send?.({ kind: 'acknowledged', acknowledged, seen });
}
await worker.close();
process.send?.({ kind: 'finished', acknowledged });
process.disconnect();
