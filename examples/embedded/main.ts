/**
 * pslib inside an app that is there already: the parameter server shares the app's HTTP server with
 * its routes and its own WebSocket endpoint, a worker learns from deliveries as they end, and the
 * route /predict answers from a local copy of the parameters that `watch` keeps fresh.
 *
 *     npx tsx examples/embedded/main.ts           serves until Ctrl-C
 *     npx tsx examples/embedded/main.ts --once    makes a few requests itself, and ends
 */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { adam, ParameterServer, ssp, Worker } from 'pslib';
import { type Delivery, finishedDeliveries } from './deliveries.js';
import { deliveryApp } from './deliveryApp.js';
import { type DeliveryParameters, deliveryParameters, gradient, predictMinutes } from './model.js';
import { showApp } from './showApp.js';

const isDemonstration = process.argv.includes('--once');

// The app: its routes know only `predict`.
let latest: DeliveryParameters = {
  weights: { data: new Float32Array(2) },
  bias: { data: new Float32Array(1) },
};
const httpServer = deliveryApp((order) => predictMinutes(latest, order));

// pslib beside it. The app listens itself; pslib answers for /pslib alone.
const parameterServer = new ParameterServer({
  server: httpServer,
  parameters: deliveryParameters,
  optimizer: adam({ learningRate: 0.1 }),
  consistency: ssp({ staleness: 3 }),
});
await parameterServer.listen();
httpServer.listen(Number(process.env.PORT ?? 0), '127.0.0.1');
await once(httpServer, 'listening');
const { port } = httpServer.address() as AddressInfo;
console.log(`The app listens at http://127.0.0.1:${port}`);

// A local copy to serve from: a reader never holds a training worker back.
const url = `ws://127.0.0.1:${port}/pslib`;
const reader = new Worker<typeof deliveryParameters>(url, { readOnly: true });
await reader.connect();
const serving = keepFresh();

// A worker that learns meanwhile; it could as well run in another process.
const worker = new Worker<typeof deliveryParameters>(url);
await worker.connect();
const training = worker.run((parameters, batch: Delivery[]) => ({ gradients: gradient(parameters, batch) }), {
  data: finishedDeliveries({ batchSize: 16, everyMs: isDemonstration ? 0 : 200 }),
});

if (isDemonstration) await showApp(port);
else await once(process, 'SIGINT');

parameterServer.finish('the app stops');
const { steps } = await training;
console.log(`Learned from ${16 * steps} deliveries.`);
await worker.close();
await reader.close();
await serving;
await parameterServer.close();
httpServer.close();
httpServer.closeAllConnections();

/** Copies each version, at most twenty a second, until the reader is closed. */
async function keepFresh(): Promise<void> {
  for await (const { tensors } of reader.watch(['weights', 'bias'], { minIntervalMs: 50 })) latest = tensors;
}
