/**
 * Upgrade requests: which are ours, and which of those may become connections. A request that is not
 * ours is left untouched, so other WebSocket servers can share the HTTP server. The socket of ours has
 * one owner from here on.
 *
 *     path ──▶ turn ──▶ origin ──▶ subprotocol ──▶ room ──▶ from this machine, or who is it? ──▶ onOpen
 *      └▶ not ours └───────┴──────────┴────────────┴──────────┴──▶ an HTTP status, or (pages) a close code
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { SUBPROTOCOL } from '../../core/protocol/messages.js';
import type { Principal } from '../../core/server/events.js';
import { isStreamRequest, streamAccept } from '../transport/stream/streamAccept.js';
import type { StreamHandlers, Transport } from '../transport/transport.js';
import { WsTransport } from '../transport/wsTransport.js';
import type { Authenticate } from './auth.js';
import { bearerOf, offeredBy } from './bearer.js';
import { ConnectionCount, type ConnectionLimits, isLoopback } from './connectionCount.js';
import type { Wire } from './linkWatch.js';
import { allowsOrigin, isHostOfThisMachine, type OriginRules } from './origins.js';
import { UpgradeTurns } from './upgradeTurns.js';

/** How long a page that is refused may take to answer the close frame. */
const CLOSE_TIMEOUT_MS = 2000;
const UNAUTHORIZED = '401 Unauthorized';
const FORBIDDEN = '403 Forbidden';
const UNAVAILABLE = '503 Service Unavailable';

/** Who a connection belongs to, and the request that says so. */
export interface Entrant {
  readonly principal: Principal;
  readonly request: IncomingMessage;
}

/** What decides about upgrade requests. */
export interface UpgradeOptions extends OriginRules {
  readonly path: string;
  /** Undefined: everyone is a worker. */
  readonly authenticate: Authenticate | undefined;
  /** Without `authenticate`: take requests that come to an address that other machines can reach. */
  readonly isPublic: boolean;
  readonly maxMessageBytes: number;
  /** Of a WebSocket message. */
  readonly maxFragments: number;
  readonly connections: ConnectionLimits;
  /** How long `authenticate` may take. */
  readonly authTimeoutMs: number;
  /** After so much silence the system asks the other end's system whether it is there. */
  readonly probeAfterMs: number;
  /** Takes a connection over: `open` makes its transport, `wire` counts the bytes of its socket. */
  onOpen(entrant: Entrant, open: (handlers: StreamHandlers) => Transport, wire: Wire): void;
  /** Something that the server's owner should know, once for each kind. */
  onWarning(message: string): void;
  /** The user's function failed. */
  onError(cause: unknown): void;
}

/** Turns upgrade requests into WebSockets. */
export class UpgradeDesk {
  readonly #options: UpgradeOptions;
  readonly #sockets: WebSocketServer;
  readonly #count: ConnectionCount;
  readonly #turns: UpgradeTurns;
  #authenticate: Authenticate | undefined;
  readonly #warned = new Set<string>();

  constructor(options: UpgradeOptions) {
    this.#options = options;
    this.#authenticate = options.authenticate;
    this.#count = new ConnectionCount(options.connections);
    this.#turns = new UpgradeTurns({
      limits: options.connections,
      maxWaitMs: options.authTimeoutMs,
      onWait: () => this.#warn('turns', 'new connections wait: more are opened than the server has time for'),
    });
    this.#sockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: options.maxMessageBytes,
      maxFragments: options.maxFragments,
      closeTimeout: CLOSE_TIMEOUT_MS,
      handleProtocols: (offered: ReadonlySet<string>) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    } as ConstructorParameters<typeof WebSocketServer>[0]);
  }

  /** Sockets that have been taken and have not closed. */
  get connections(): number {
    return this.#count.total;
  }

  /** From now on requests are judged by `authenticate`. */
  setAuthenticate(authenticate: Authenticate): void {
    this.#authenticate = authenticate;
  }

  /** Handles `request` if its path is ours and returns whether it was. `isReady`: the state is there; else it may come again. */
  handle(request: IncomingMessage, socket: Duplex, head: Buffer, isReady = true): boolean {
    if (pathOf(request) !== this.#options.path) return false;
    // Until a transport owns it, and after a refusal: a lost socket is nobody's error.
    socket.on('error', () => {});
    if (!isReady) {
      refuse(socket, UNAVAILABLE);
      return true;
    }
    this.#turns.take(addressOf(socket, 'remoteAddress'), {
      isGone: () => socket.destroyed,
      proceed: () => this.#judge(request, socket, head),
      refuse: () => refuse(socket, UNAVAILABLE),
    });
    return true;
  }

  /** Takes no more: those that wait for their turn are refused. */
  close(): void {
    this.#turns.end();
  }

  #judge(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      refuse(socket, refusal);
      return;
    }
    const place = this.#count.take(addressOf(socket, 'remoteAddress'));
    if (typeof place === 'string') {
      this.#warn('connections', 'connections are refused: there are as many as `limits` allows');
      refuse(socket, place);
      return;
    }
    socket.once('close', () => place.release());
    const authenticate = this.#authenticate;
    if (authenticate === undefined) {
      this.#admit({ principal: { role: 'worker' }, request }, socket, head);
      return;
    }
    const onVerdict = (principal: Principal | null): void => {
      if (principal === null) {
        this.#reject(request, socket, head);
        return;
      }
      place.authenticated();
      this.#admit({ principal, request }, socket, head);
    };
    this.#decide(authenticate, request, onVerdict, () => refuse(socket, UNAVAILABLE));
  }

  /** Whether a page of `origin`, which makes `request`, may connect. */
  allowsOrigin(origin: string, request: IncomingMessage): boolean {
    return allowsOrigin(origin, request, this.#options);
  }

  /** Who a plain HTTP request comes from, by the same rules; undefined: nobody who may connect. Never rejects. */
  principalOf(request: IncomingMessage): Promise<Principal | undefined> {
    const authenticate = this.#authenticate;
    if (authenticate === undefined) {
      const isOfThisMachine =
        isHostOfThisMachine(request) && isLoopback(addressOf(request.socket, 'localAddress') ?? '');
      return Promise.resolve(isOfThisMachine || this.#options.isPublic ? { role: 'worker' } : undefined);
    }
    return new Promise((resolve) => {
      this.#decide(
        authenticate,
        request,
        (found) => resolve(found ?? undefined),
        () => resolve(undefined),
      );
    });
  }

  /** Asks who `request` comes from. `onFailure`: the user's function failed, or took too long. */
  #decide(
    authenticate: Authenticate,
    request: IncomingMessage,
    onVerdict: (principal: Principal | null) => void,
    onFailure: () => void,
  ): void {
    const verdict = authenticate(request);
    if (!(verdict instanceof Promise)) {
      onVerdict(verdict);
      return;
    }
    void settleWithin(verdict, this.#options.authTimeoutMs).then(onVerdict, (cause: unknown) => {
      this.#options.onError(cause);
      onFailure();
    });
  }

  #refusal(request: IncomingMessage): string | undefined {
    const { origin } = request.headers;
    const { isPublic } = this.#options;
    if (origin !== undefined && !allowsOrigin(origin, request, this.#options)) return FORBIDDEN;
    const isSpoken =
      offeredBy(request.headers['sec-websocket-protocol']).includes(SUBPROTOCOL) || isStreamRequest(request);
    if (!isSpoken) return '400 Bad Request';
    const address = addressOf(request.socket, 'localAddress');
    if (this.#authenticate !== undefined || isPublic || address === undefined || isLoopback(address)) {
      return undefined;
    }
    this.#warn(
      'public',
      `a connection to ${address} is refused: without auth only this machine may connect (or with insecure: true)`,
    );
    return FORBIDDEN;
  }

  #admit(entrant: Entrant, socket: Duplex, head: Buffer): void {
    const { request } = entrant;
    const { onOpen, maxMessageBytes } = this.#options;
    probe(socket, this.#options.probeAfterMs);
    if (socket.destroyed || !socket.writable) socket.destroy();
    else if (isStreamRequest(request))
      onOpen(entrant, streamAccept(request, socket, head, maxMessageBytes), wireOf(socket));
    else {
      this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
        onOpen(entrant, (handlers) => new WsTransport(webSocket, handlers, socket), wireOf(socket));
      });
    }
  }

  /** A page sees no status: it gets a connection that ends with the reason. */
  #reject(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { token, seesNoStatus } = bearerOf(request);
    const reason = token === undefined ? 'a token is needed' : 'this token is not valid';
    if (!seesNoStatus || isStreamRequest(request)) {
      refuse(socket, UNAUTHORIZED, 'WWW-Authenticate: Bearer\r\n');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.on('error', () => {});
      webSocket.close(4401, reason);
    });
  }

  #warn(kind: string, message: string): void {
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#options.onWarning(message);
  }
}

/** `promise`, or a rejection after `timeoutMs`. */
export async function settleWithin<T>(promise: Promise<T>, timeoutMs: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`auth did not answer within ${timeoutMs} ms`)), timeoutMs);
    timer.unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
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

/** An address of a socket; one that has none was made by the user. */
function addressOf(socket: Duplex, which: 'localAddress' | 'remoteAddress'): string | undefined {
  const address: unknown = (socket as Partial<Record<typeof which, string>>)[which];
  return typeof address === 'string' ? address : undefined;
}

/**
 * A worker that computes says nothing for long, but the system that it runs on answers for it. When that is silent too
 * (the machine is gone, or the way to it), the connection ends some ten seconds after the first question.
 */
function probe(socket: Duplex, afterMs: number): void {
  if ('setKeepAlive' in socket && typeof socket.setKeepAlive === 'function')
    socket.setKeepAlive(true, afterMs);
}

/** Answers an upgrade request with an HTTP status and ends its socket. */
export function refuse(socket: Duplex, status: string, headers = ''): void {
  socket.on('error', () => {});
  // The other end may keep its half open for ever.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n${headers}Content-Length: 0\r\n\r\n`);
}

/** The path that `request` asks for. */
export function pathOf(request: IncomingMessage): string {
  const target = request.url ?? '/';
  const query = target.indexOf('?');
  return query < 0 ? target : target.slice(0, query);
}
