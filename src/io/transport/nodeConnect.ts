/**
 * How a worker in Node connects: by pslib's own transport where its frames need no mask (loopback, TLS,
 * a network that the user trusts) and the server speaks it; with `ws` otherwise.
 */
import { streamConnect } from './stream/streamConnect.js';
import type { Connect } from './transport.js';
import { mayUseZeroMask, wsConnect } from './wsConnect.js';

/** Opens a connection from Node. */
export const nodeConnect: Connect = (url, options, handlers) => {
  if (!mayUseZeroMask(url, options.trustedNetwork)) return wsConnect(url, options, handlers);
  let attempt = streamConnect(url, options, {
    onOpen: (open) => handlers.onOpen(open(handlers)),
    onRefused(status) {
      if (status === 401 || status === 403) {
        handlers.onClose(4000 + status, `the server answered HTTP ${status} to the upgrade`);
      } else {
        attempt = wsConnect(url, options, handlers);
      }
    },
    onError: (error) =>
      handlers.onClose(1006, error.message || String((error as NodeJS.ErrnoException).code)),
  });
  return { abort: () => attempt.abort() };
};
