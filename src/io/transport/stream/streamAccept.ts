/** The server's end of a stream connection: an upgrade request → a transport. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { StreamHandlers, Transport } from '../transport.js';
import { asksForStream, switchingProtocols } from './handshake.js';
import { StreamTransport } from './streamTransport.js';

/** Whether `request` asks for this transport. */
export function isStreamRequest(request: IncomingMessage): boolean {
  return asksForStream(request.method, request.headers);
}

/** Answers `request` and takes its socket over. REQUIRES: `isStreamRequest(request)`. */
export function streamAccept(
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  maxMessageBytes: number,
): (handlers: StreamHandlers) => Transport {
  if ('setNoDelay' in socket && typeof socket.setNoDelay === 'function') socket.setNoDelay(true);
  if ('setTimeout' in socket && typeof socket.setTimeout === 'function') socket.setTimeout(0);
  socket.write(switchingProtocols(request.headers['sec-websocket-key'] as string));
  return (handlers) => new StreamTransport(socket, head, { isServer: true, maxMessageBytes }, handlers);
}
