/**
 * Opens a worker's connection from Node, with the `ws` package. Its frames carry a zero mask where
 * masking protects nobody: on loopback, inside TLS, or where the user says that the network is
 * trusted. `ws` then neither copies nor changes what is sent.
 */
import { type ClientOptions, WebSocket } from 'ws';
import { SUBPROTOCOL } from '../../core/protocol/messages.js';
import { refusalOf } from './refusal.js';
import type { Connect } from './transport.js';
import { WsTransport } from './wsTransport.js';

/** How long a server may take to answer a close frame before the socket is ended. */
const CLOSE_TIMEOUT_MS = 2000;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Opens a connection. Refusals at the upgrade become the close codes 4401 and 4403. */
export const wsConnect: Connect = (url, options, handlers) => {
  let isOver = false;
  const end = (code: number, reason: string, cause?: unknown) => {
    if (isOver) return;
    isOver = true;
    handlers.onClose(code, reason, cause);
  };
  const clientOptions: ClientOptions & { closeTimeout: number } = {
    ...(url.startsWith('wss:') ? options.tls : {}),
    perMessageDeflate: false,
    autoPong: false,
    maxPayload: options.maxMessageBytes,
    closeTimeout: CLOSE_TIMEOUT_MS,
    ...(options.token === undefined ? {} : { headers: { Authorization: `Bearer ${options.token}` } }),
    ...(mayUseZeroMask(url, options.trustedNetwork) ? { generateMask: zeroMask } : {}),
  };
  const socket = new WebSocket(url, [SUBPROTOCOL], clientOptions);
  let failure = 'the connection was refused';
  let cause: unknown;
  socket.on('error', (error) => {
    cause = error;
    failure = error.message || ('code' in error ? String(error.code) : failure);
  });
  const onEarlyClose = () => end(1006, failure, cause);
  socket.once('close', onEarlyClose);
  socket.once('unexpected-response', (request, response) => {
    const { code, reason } = refusalOf(response.statusCode ?? 0);
    request.destroy();
    end(code, reason);
  });
  socket.once('open', () => {
    if (isOver) return;
    isOver = true;
    socket.off('close', onEarlyClose);
    handlers.onOpen(new WsTransport(socket, handlers));
  });
  return {
    abort() {
      isOver = true;
      socket.terminate();
    },
  };
};

/** Whether masks protect nobody on the way to `url`. */
export function mayUseZeroMask(url: string, trustedNetwork: boolean): boolean {
  const { protocol, hostname } = new URL(url);
  return trustedNetwork || protocol === 'wss:' || LOOPBACK.test(hostname);
}

function zeroMask(mask: Uint8Array): void {
  mask.fill(0);
}
