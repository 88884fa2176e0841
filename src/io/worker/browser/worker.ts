/** The `Worker` of browsers and other runtimes: connects with the platform's WebSocket, or a given one. */
import { PsError } from '../../../core/base/errors.js';
import type { Tensor } from '../../../core/tensor/tensor.js';
import type { Connect } from '../../transport/transport.js';
import { type WebSocketConstructor, webSocketConnect } from '../../transport/webSocketConnect.js';
import type { WorkerUrl } from '../serverUrls.js';
import { WorkerBase } from '../workerBase.js';
import type { WorkerOptions } from '../workerOptions.js';
import { watchPage } from './page.js';

/**
 * A worker of a parameter server: pulls parameters, pushes gradients. `P` names the parameters, as in
 * `new Worker<typeof parameters>(url)`.
 */
export class Worker<P = Record<string, Tensor>> extends WorkerBase<P> {
  /** Throws `PS_INVALID_ARGUMENT` for a wrong url or option, by its name. Connects to nothing yet. */
  constructor(url: WorkerUrl, options: WorkerOptions = {}) {
    super({ connect: platformConnect, watchPage }, url, options);
  }
}

/** A browser gives no reason for a connection that fails, lest pages find out about networks that they may not see. */
function refusal(): string {
  const { origin } = (globalThis as { location?: { origin: string } }).location ?? {};
  const page = origin === undefined ? 'this page' : origin;
  return `a browser is told no reason: there is no server, or its allowedOrigins does not list ${page}`;
}

/** By the platform's WebSocket. */
export const platformConnect: Connect = (url, options, handlers) => {
  if (options.tls !== undefined) {
    const text = 'tls is for Node: a browser has its own';
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'tls' } });
  }
  const { WebSocket } = globalThis as { WebSocket?: WebSocketConstructor };
  if (WebSocket === undefined) {
    const text = 'WebSocket must be given as an option: this platform has none of its own';
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'WebSocket' } });
  }
  return webSocketConnect(WebSocket, refusal())(url, options, handlers);
};
