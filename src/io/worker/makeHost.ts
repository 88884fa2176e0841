/** A worker's core and the host that runs it, from the worker's options. */
import type { WorkerObservation } from '../../core/worker/events.js';
import { WorkerCore } from '../../core/worker/workerCore.js';
import { randomHex } from '../randomHex.js';
import type { Connect } from '../transport/transport.js';
import { webSocketConnect } from '../transport/webSocketConnect.js';
import { WorkerHost } from './workerHost.js';
import type { CheckedWorkerOptions } from './workerOptions.js';

/** The host of the worker `id`, which has handled no event. */
export function makeHost(
  id: string,
  options: CheckedWorkerOptions,
  connect: Connect,
  observe: (observation: WorkerObservation) => void,
): WorkerHost {
  const { readOnly, reconnect, connectTimeoutMs, limits, trustedNetwork, tls, WebSocket } = options;
  const core = new WorkerCore({
    id,
    session: randomHex(16),
    readOnly,
    seed: Number.parseInt(randomHex(6), 16),
    reconnect,
    connectTimeoutMs,
    limits,
  });
  const dialling = {
    connect: WebSocket === undefined ? connect : webSocketConnect(WebSocket),
    url: options.url,
    token: options.token,
    maxMessageBytes: limits.maxMessageBytes,
    trustedNetwork,
    tls,
  };
  return new WorkerHost(core, dialling, observe);
}
