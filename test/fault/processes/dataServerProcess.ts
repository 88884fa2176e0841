/**
 * A server to be killed: `dataServerProcess.ts DIRECTORY PORT INDEX COUNT`, one of COUNT. The first hands out the data set,
 * and tells each epoch that is over; all answer `tally` with how many of their cells have which count.
 */
import { ParameterServer, sgd, ssp } from '../../../src/index.js';
import { EPOCHS, parametersFor, SHARD_SIZE, SIZE } from './dataCells.js';

const [, , dataDir = '', port = '0', index = '0', count = '1'] = process.argv;

const server = new ParameterServer({
  parameters: parametersFor(Number(count)),
  optimizer: sgd({ learningRate: 1 }),
  consistency: ssp({ staleness: 2 }),
  port: Number(port),
  seed: 5,
  limits: { leaseMs: 3_000, pingMs: 500, disconnectGraceMs: 100 },
  shard: { index: Number(index), count: Number(count) },
  ...{ dataDir, durability: 'journal', checkpoint: { intervalMs: 1_000 } },
});

process.on('message', async (message: { kind: string }) => {
  if (message.kind === 'tally') {
    const { tensors } = await server.parameters();
    const counts: Record<number, number> = {};
    for (const value of tensors.counts?.data ?? []) counts[value] = (counts[value] ?? 0) + 1;
    process.send?.({ kind: 'tally', counts });
  }
  if (message.kind === 'close') {
    await server.close();
    process.disconnect();
  }
});

await server.listen();
process.send?.({ kind: 'listening', url: server.url });
if (index === '0') {
  const run = server.tasks.dataset({
    size: SIZE,
    shardSize: SHARD_SIZE,
    epochs: EPOCHS,
    shuffle: true,
    onEpoch: ({ epoch, examples, parameters }) => {
      const cells = parameters.counts?.data as Float32Array;
      const until = (epoch + 1) * SIZE;
      const isWhole = cells.subarray(0, until).every((value) => value === 1);
      const isAlone = cells.subarray(until, EPOCHS * SIZE).every((value) => value === 0);
      process.send?.({ kind: 'epoch', epoch, examples, isExact: isWhole && isAlone });
    },
  });
  process.send?.({ kind: 'done', ...(await run.finished) });
}
