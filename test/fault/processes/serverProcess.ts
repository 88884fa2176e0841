/**
 * A server to be killed: `serverProcess.ts DIRECTORY PORT`. Says where it listens, and what it fails of; answers `read`
 * with its cells.
 */
import { asp, ParameterServer, sgd, ssp } from '../../../src/index.js';
import { PARAMETERS, TABLES } from './cells.js';

const [, , dataDir = '', port = '0', staleness = ''] = process.argv;

const server = new ParameterServer({
  parameters: PARAMETERS,
  tables: TABLES,
  optimizer: sgd({ learningRate: 1 }),
  consistency: staleness === '' ? asp() : ssp({ staleness: Number(staleness) }),
  port: Number(port),
  limits: { chunkBytes: 1024, disconnectGraceMs: 60_000 },
  ...(dataDir === '' ? {} : { dataDir, durability: 'journal', checkpoint: { intervalMs: 300 } }),
});
server.on('error', ({ code, message }) => process.send?.({ kind: 'failed', code, message }));
server.on('clock', ({ minClock }) => process.send?.({ kind: 'clock', minClock }));

process.on('message', async (message: { kind: string }) => {
  if (message.kind === 'read') {
    const { version, tensors } = await server.parameters();
    const { own, shared, padding } = tensors;
    process.send?.({
      kind: 'cells',
      version,
      own: [...own.data],
      shared: shared.data[0],
      padding: [...padding.data],
    });
  }
  if (message.kind === 'memory')
    process.send?.({ kind: 'memory', ...process.memoryUsage(), ...server.stats() });
  if (message.kind === 'finish') server.finish('enough');
  if (message.kind === 'close') {
    await server.close();
    process.disconnect();
  }
});

await server.listen();
process.send?.({ kind: 'listening', url: server.url });
