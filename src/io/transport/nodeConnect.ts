/**
 * How a worker in Node connects: by pslib's own transport where its frames need no mask (loopback, TLS,
 * a network that the user trusts) and the server speaks it; with `ws` otherwise.
 */
import { primeMalloc } from '../primeMalloc.js';
import { refusalOf } from './refusal.js';
import { streamConnect } from './stream/streamConnect.js';
import type { Connect } from './transport.js';
import { mayUseZeroMask, wsConnect } from './wsConnect.js';

/** Opens a connection from Node; the first of a process when malloc is primed. */
export const nodeConnect: Connect = (url, options, handlers) => {
  let attempt: { abort(): void } | undefined;
  let isAborted = false;
  void primeMalloc().then(() => {
    if (isAborted) return;
    try {
      attempt = open(url, options, handlers);
    } catch (error) {
      // A token that no header can carry, say.
      handlers.onClose(1006, error instanceof Error ? error.message : String(error));
    }
  });
  return {
    abort() {
      isAborted = true;
      attempt?.abort();
    },
  };
};

const open: Connect = (url, options, handlers) => {
  if (!mayUseZeroMask(url, options.trustedNetwork)) return wsConnect(url, options, handlers);
  let attempt = streamConnect(url, options, {
    onOpen: (attach) => handlers.onOpen(attach(handlers)),
    onRefused(status) {
      if (status === 101 || status === 400) {
        // Another subprotocol, or none: a server that speaks pslib through `ws` alone.
        attempt = wsConnect(url, options, handlers);
        return;
      }
      const { code, reason } = refusalOf(status);
      handlers.onClose(code, reason);
    },
    onError: (error) =>
      handlers.onClose(1006, error.message || String((error as NodeJS.ErrnoException).code), error),
  });
  return { abort: () => attempt.abort() };
};
