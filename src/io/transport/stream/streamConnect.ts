/**
 * The worker's end of a stream connection. Its frames carry a zero mask, so it is only for where masking
 * protects nobody; the caller sees to that. A server that does not know the subprotocol answers with
 * another or with an error: then the caller connects in the ordinary way.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectOptions, StreamHandlers, Transport } from '../transport.js';
import { acceptOf, newKey, STREAM_SUBPROTOCOL } from './handshake.js';
import { StreamTransport } from './streamTransport.js';

/** What comes of an attempt. Exactly one is called, unless it is aborted. */
export interface StreamConnectHandlers {
  onOpen(open: (handlers: StreamHandlers) => Transport): void;
  /** The server answered with this HTTP status instead, or with another subprotocol (status 101). */
  onRefused(status: number): void;
  onError(error: Error): void;
}

/** Opens a connection. */
export function streamConnect(
  url: string,
  options: ConnectOptions,
  handlers: StreamConnectHandlers,
): { abort(): void } {
  const target = new URL(url);
  const isTls = target.protocol === 'wss:';
  target.protocol = isTls ? 'https:' : 'http:';
  const key = newKey();
  const request = (isTls ? httpsRequest : httpRequest)(target, {
    // An agent of the user's would keep or limit sockets: this one is ours alone.
    agent: false,
    ...(isTls ? options.tls : {}),
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
      'Sec-WebSocket-Protocol': STREAM_SUBPROTOCOL,
      ...(options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` }),
    },
  });
  let isOver = false;
  const once = (action: () => void): void => {
    if (isOver) return;
    isOver = true;
    action();
  };
  request.on('upgrade', (response: IncomingMessage, socket: Duplex, head: Buffer) => {
    const isOurs =
      response.headers['sec-websocket-accept'] === acceptOf(key) &&
      response.headers['sec-websocket-protocol'] === STREAM_SUBPROTOCOL;
    if (!isOurs || isOver) socket.destroy();
    if (!isOurs) {
      once(() => handlers.onRefused(101));
      return;
    }
    if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
    const { maxMessageBytes } = options;
    once(() =>
      handlers.onOpen((own) => new StreamTransport(socket, head, { isServer: false, maxMessageBytes }, own)),
    );
  });
  request.on('response', (response) => {
    response.destroy();
    once(() => handlers.onRefused(response.statusCode ?? 0));
  });
  request.on('error', (error) => once(() => handlers.onError(error)));
  request.end();
  return {
    abort() {
      isOver = true;
      request.destroy();
    },
  };
}
