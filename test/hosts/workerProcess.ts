/**
 * A worker on a host: `workerProcess.ts URLS RANK COMPUTE`. Adds 1 to its cells per step, until it is told to stop; then
 * counts. A step takes as long as there is a file COMPUTE, and leaves the event loop no turn.
 */
import { existsSync } from 'node:fs';
import { Worker } from '../../src/index.js';
import { gradientsOf, type PARAMETERS } from '../fault/processes/cells.js';

const [, , urls = '', rank = '0', compute = ''] = process.argv;
const worker = new Worker<typeof PARAMETERS>(urls.split(','), {
  id: `w${rank}`,
  token: 'shared-by-the-hosts',
  reconnect: { minDelayMs: 20, maxDelayMs: 300 },
});
worker.on('reconnecting', () => process.send?.({ kind: 'reconnecting' }));
let isStopped = false;
process.on('message', () => {
  isStopped = true;
});
process.once('disconnect', () => process.exit());

let acknowledged = 0;
for await (const step of worker.steps({ steps: Number.POSITIVE_INFINITY })) {
  if (existsSync(compute)) {
    process.send?.({ kind: 'computing' });
    const nobody = new Int32Array(new SharedArrayBuffer(4));
    while (existsSync(compute)) Atomics.wait(nobody, 0, 0, 20);
  }
  const { outcome } = await step.push(gradientsOf(Number(rank)));
  if (outcome === 'applied') acknowledged++;
  process.send?.({ kind: 'acknowledged', acknowledged });
  if (isStopped) break;
}
await worker.close();
process.send?.({ kind: 'finished', acknowledged });
