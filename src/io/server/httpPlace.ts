/**
 * Where a server gets its upgrade requests from: an HTTP server of its own on a port, one of the user's
 * that it only attaches to, or nowhere (`handleUpgrade`).
 */
import {
  createServer,
  type Server as HttpServer,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { PsError } from '../../core/base/errors.js';
import { attach, detach, isNobodys } from './attached.js';
import { answerPlain, type Health } from './httpAnswers.js';
import type { CheckedServerOptions } from './serverOptions.js';
import { pathOf, refuse } from './upgrade.js';

type HandleUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => boolean;
/** Answers a request, if it is one that it knows; returns whether it was. */
type HandleRequest = (request: IncomingMessage, response: ServerResponse) => boolean;

/** The source of upgrade requests of one `ParameterServer`. */
export class HttpPlace {
  readonly #options: Pick<CheckedServerOptions, 'place' | 'path' | 'core'>;
  readonly #handle: HandleUpgrade;
  readonly #health: () => Health;
  readonly #handleRequest: HandleRequest;
  #own: HttpServer | undefined;
  readonly #onAttached = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const { place } = this.#options;
    if (this.#handle(request, socket, head) || place.kind !== 'server' || socket.writableEnded) return;
    if (isNobodys(place.server, request, pathOf(request))) refuse(socket, '404 Not Found');
  };

  constructor(
    options: Pick<CheckedServerOptions, 'place' | 'path' | 'core'>,
    handle: HandleUpgrade,
    health: () => Health,
    handleRequest: HandleRequest,
  ) {
    this.#options = options;
    this.#handle = handle;
    this.#health = health;
    this.#handleRequest = handleRequest;
  }

  /** Listens or attaches. Rejects with `PS_CONNECT_FAILED` when the port can't be had. */
  async open(): Promise<void> {
    const { place } = this.#options;
    if (place.kind === 'server') attach(place.server, this.#options.path, this.#onAttached);
    if (place.kind !== 'port') return;
    const answer: RequestListener = (request, response) => {
      request.socket.setTimeout(0);
      if (!this.#handleRequest(request, response)) answerPlain(request, response, this.#health());
    };
    const { helloTimeoutMs, maxConnections } = this.#options.core.limits;
    // Whoever opens a socket and sends no request, or a bit of one, is gone by then.
    const bounds = {
      headersTimeout: helloTimeoutMs,
      requestTimeout: helloTimeoutMs,
      connectionsCheckingInterval: Math.min(1000, helloTimeoutMs),
      handshakeTimeout: helloTimeoutMs,
    };
    const own =
      place.tls === undefined
        ? createServer(bounds, answer)
        : createTlsServer({ ...bounds, ...place.tls }, answer);
    own.on(place.tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) =>
      // Later than an answer 408 would come.
      socket.setTimeout(2 * helloTimeoutMs),
    );
    // Sockets that are no connections yet need room too, and may not take that of others.
    own.maxConnections = 2 * maxConnections;
    own.on('upgrade', (request, socket, head) => {
      if (!this.#handle(request, socket, head)) refuse(socket, '404 Not Found');
    });
    await new Promise<void>((resolve, reject) => {
      // Later ones are of a connection that could not be accepted: its worker tries again.
      own.on('error', (cause) => {
        reject(
          new PsError('PS_CONNECT_FAILED', `cannot listen on ${place.host}:${place.port}: ${cause.message}`, {
            cause,
          }),
        );
      });
      own.listen(place.port, place.host, resolve);
    });
    this.#own = own;
  }

  /** Where it listens; null while it does not, or listens nowhere. */
  address(): AddressInfo | null {
    const { place } = this.#options;
    const address = place.kind === 'server' ? place.server.address() : (this.#own?.address() ?? null);
    return typeof address === 'string' ? null : address;
  }

  /** `ws://host:port/path`; undefined while it is not known. */
  url(): string | undefined {
    const address = this.address();
    if (address === null) return undefined;
    const { place, path } = this.#options;
    const isTls =
      place.kind === 'port'
        ? place.tls !== undefined
        : place.kind === 'server' && 'setSecureContext' in place.server;
    const host = hostOf(place.kind === 'port' ? place.host : address.address);
    return `${isTls ? 'wss' : 'ws'}://${host}:${address.port}${path}`;
  }

  /** Takes no more requests. A server of the user's goes on. */
  detach(): void {
    const { place } = this.#options;
    if (place.kind === 'server') detach(place.server, this.#onAttached);
    this.#own?.close();
  }

  /** Ends the connections of its own server that are not WebSockets. */
  async close(): Promise<void> {
    const own = this.#own;
    if (own === undefined) return;
    this.#own = undefined;
    own.closeAllConnections();
    if (own.listening) await new Promise((resolve) => own.once('close', resolve));
  }
}

/** A host as a URL writes it; addresses that mean "everywhere" become one that reaches this machine. */
function hostOf(address: string): string {
  if (address === '::' || address === '0.0.0.0') return '127.0.0.1';
  return address.includes(':') ? `[${address}]` : address;
}
