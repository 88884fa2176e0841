/** A worker to be killed: `dataWorkerProcess.ts ID COUNT URL…`. It asks before each batch, and goes on when it is told. */
import { Worker } from '../../../src/index.js';
import { BATCH, countExamples, type parametersFor } from './dataCells.js';

const [, , id = '', count = '1', ...urls] = process.argv;
const worker = new Worker<ReturnType<typeof parametersFor>>(urls, {
  id,
  reconnect: { minDelayMs: 10, maxDelayMs: 100 },
});
let goOn = (): void => {};
process.on('message', () => goOn());

await worker.connect();
process.send?.({ kind: 'connected' });
const summary = await worker.run(
  async (
    _parameters,
    { epoch, examples }: { epoch: number; examples: ArrayLike<number> & Iterable<number> },
  ) => {
    const asked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    process.send?.({ kind: 'asks' });
    await asked;
    return {
      gradients: { counts: countExamples(Number(count), epoch, examples) },
      examples: examples.length,
    };
  },
  {
    *dataShards({ epoch, indices }) {
      for (let at = 0; at < indices.length; at += BATCH)
        yield { epoch, examples: indices.subarray(at, at + BATCH) };
    },
  },
);
await worker.close();
process.send?.({ kind: 'finished', ...summary });
process.disconnect();
