/**
 * Upgrade requests: which are ours, and which of those may become connections. A request that is not
 * ours is left untouched, so other WebSocket servers can share the HTTP server. The socket of ours has
 * one owner from here on.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { SUBPROTOCOL } from '../../core/protocol/messages.js';
import { isStreamRequest, streamAccept } from '../transport/stream/streamAccept.js';
import type { StreamHandlers, Transport } from '../transport/transport.js';
import { WsTransport } from '../transport/wsTransport.js';
import type { Wire } from './linkWatch.js';

/** What decides about upgrade requests. */
export interface UpgradeOptions {
  readonly path: string;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly maxMessageBytes: number;
  /** Takes a connection over: `open` makes its transport, `wire` counts the bytes of its socket. */
  onOpen(open: (handlers: StreamHandlers) => Transport, wire: Wire): void;
}

/** Turns upgrade requests into WebSockets. */
export class UpgradeDesk {
  readonly #options: UpgradeOptions;
  readonly #sockets: WebSocketServer;

  constructor(options: UpgradeOptions) {
    this.#options = options;
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: options.maxMessageBytes,
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
  }

  /** Handles `request` if its path is ours and returns whether it was. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if (pathOf(request) !== this.#options.path) return false;
    const refusal = this.#refusal(request);
    const { onOpen, maxMessageBytes } = this.#options;
    if (refusal !== undefined) refuse(socket, refusal);
    else if (isStreamRequest(request))
      onOpen(streamAccept(request, socket, head, maxMessageBytes), wireOf(socket));
    else {
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        onOpen((handlers) => new WsTransport(webSocket, handlers), wireOf(socket));
      });
    }
    return true;
  }

  #refusal(request: IncomingMessage): string | undefined {
    const { origin } = request.headers;
    if (origin !== undefined && !this.#options.allowedOrigins.has(origin.toLowerCase()))
      return '403 Forbidden';
    const offered = request.headers['sec-websocket-protocol']?.split(',').map((each) => each.trim());
    const isSpoken = offered?.includes(SUBPROTOCOL) === true || isStreamRequest(request);
    if (!isSpoken) return '400 Bad Request';
    return undefined;
  }
}

/** The counts of a socket. One that keeps none is taken at its word: it never seems slow. */
function wireOf(socket: Duplex): Wire {
  const counts = socket as Partial<Wire>;
  return {
    get bytesRead() {
      return counts.bytesRead ?? Number.POSITIVE_INFINITY;
    },
    get bytesWritten() {
      return counts.bytesWritten ?? Number.POSITIVE_INFINITY;
    },
  };
}

/** Answers an upgrade request with an HTTP status and ends its socket. */
export function refuse(socket: Duplex, status: string): void {
  socket.on('error', () => {});
  // The other end may keep its half open for ever.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/';
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}
