/** A server on a host: `serverProcess.ts HOST INDEX COUNT STALENESS`. Tells each rise of minClock. */
import { ParameterServer, sgd, ssp } from '../../src/index.js';
import { PARAMETERS } from '../fault/processes/cells.js';

const [, , host = '', index = '0', count = '1', staleness = '3'] = process.argv;

const server = new ParameterServer({
  parameters: PARAMETERS,
  optimizer: sgd({ learningRate: 1 }),
  consistency: ssp({ staleness: Number(staleness) }),
  host,
  port: 7077,
  auth: 'shared-by-the-hosts',
  shard: { index: Number(index), count: Number(count) },
  // A silent partition is noticed within these; the defaults are for networks that are better than this one.
  limits: { chunkBytes: 1024, leaseMs: 1500, pingMs: 300, disconnectGraceMs: 500 },
});
server.on('clock', ({ minClock }) => process.send?.({ kind: 'clock', minClock }));
server.on('worker:leave', ({ id, reason }) => process.send?.({ kind: `left ${id}`, reason }));
process.once('disconnect', () => process.exit());

await server.listen();
process.send?.({ kind: 'listening' });
