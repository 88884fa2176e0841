/**
 * Where a server gets its connections from, and from whom: `port`, `server`, `noServer`, `host`, `path`,
 * `allowedOrigins`, `insecure`, and their checks.
 */
import type { Server as HttpServer } from 'node:http';
import type { Http2SecureServer } from 'node:http2';
import type { Server as HttpsServer, ServerOptions as TlsOptions } from 'node:https';
import { createSecureContext } from 'node:tls';
import { invalidArgument } from '../../core/base/errors.js';
import { integer } from '../../core/base/optionObject.js';
import { type Auth, type Authenticate, authenticateBy } from './auth.js';

/** Exactly one of `port`, `server` and `noServer`. */
export interface PlaceOptions {
  /** Listen on a port of its own; 0: any free one. */
  readonly port?: number;
  /** Attach to this HTTP(S) server (HTTP/2 with `allowHTTP1`), which stays yours: it is neither made to listen nor closed. */
  readonly server?: HttpServer | HttpsServer | Http2SecureServer;
  /** Listen nowhere: upgrade requests come through `handleUpgrade`. */
  readonly noServer?: boolean;
  /** With `port`: the address. Default `'127.0.0.1'`. One that others can reach needs `auth`, or `insecure`. */
  readonly host?: string;
  /** The path of the URL. Default `'/'` with `port`, else `'/pslib'`. */
  readonly path?: string;
  /** Pages that may connect: their origins, such as `'https://example.org'`. Default none. Requests without an origin (Node) are not concerned. */
  readonly allowedOrigins?: readonly string[];
  /** Who may connect, and as what. Default: every process of this machine, as a worker. See `docs/guides/security.md`. */
  readonly auth?: Auth;
  /** With `port`: the certificate and key of an HTTPS server of its own, and more, as `https.createServer` takes them. */
  readonly tls?: TlsOptions;
  /** Without `auth`: let everyone who reaches the server change the model. Default false. */
  readonly insecure?: boolean;
}

/** The same after the checks. */
export interface CheckedPlaceOptions {
  readonly place:
    | {
        readonly kind: 'port';
        readonly port: number;
        readonly host: string;
        readonly tls: TlsOptions | undefined;
      }
    | { readonly kind: 'server'; readonly server: HttpServer }
    | { readonly kind: 'noServer' };
  readonly path: string;
  readonly allowedOrigins: ReadonlySet<string>;
  readonly authenticate: Authenticate | undefined;
  readonly insecure: boolean;
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1']);

/** Checks the options. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkPlaceOptions(options: PlaceOptions): CheckedPlaceOptions {
  const place = checkPlace(options);
  const path: unknown = options.path ?? (place.kind === 'port' ? '/' : '/pslib');
  if (typeof path !== 'string' || !/^\/[^?#]*$/.test(path)) {
    throw invalidArgument('path', path, 'a string that begins with /, without ? and #');
  }
  const { allowedOrigins = [], auth, insecure = false } = options;
  return {
    place,
    path,
    allowedOrigins: checkOrigins(allowedOrigins),
    authenticate: auth === undefined ? undefined : authenticateBy(auth),
    insecure,
  };
}

function checkPlace(options: PlaceOptions): CheckedPlaceOptions['place'] {
  const { noServer = false, insecure = false } = options;
  for (const [option, value] of Object.entries({ noServer, insecure })) {
    if (typeof value !== 'boolean') throw invalidArgument(option, value, 'true or false');
  }
  const given = [options.port !== undefined, options.server !== undefined, noServer].filter(Boolean).length;
  if (given !== 1) throw invalidArgument('port, server, noServer', given, 'exactly one of the three');
  if (options.port !== undefined)
    return { kind: 'port', ...checkAddress(options), tls: checkTls(options.tls) };
  if (options.host !== undefined) throw invalidArgument('host', options.host, 'left out without port');
  if (options.tls !== undefined) throw invalidArgument('tls', typeof options.tls, 'left out without port');
  if (noServer) return { kind: 'noServer' };
  const { server } = options;
  if (typeof server?.on !== 'function') throw invalidArgument('server', server, 'an http.Server');
  // An HTTP/2 server tells of the upgrades of HTTP/1 in the same way.
  return { kind: 'server', server: server as HttpServer };
}

function checkAddress({ port, host = '127.0.0.1', insecure = false, auth }: PlaceOptions): {
  port: number;
  host: string;
} {
  const checked = integer('port', port, 0);
  if (checked > 65_535) throw invalidArgument('port', port, 'an integer from 0 to 65535');
  if (typeof host !== 'string' || host === '') throw invalidArgument('host', host, 'an address or a name');
  if (!LOOPBACK.has(host) && !insecure && auth === undefined) {
    throw invalidArgument(
      'host',
      host,
      'an address of this machine alone (127.0.0.1, ::1, localhost) without auth, or insecure: true',
    );
  }
  return { port: checked, host };
}

function checkTls(tls: TlsOptions | undefined): TlsOptions | undefined {
  if (tls === undefined) return undefined;
  if (tls === null || typeof tls !== 'object')
    throw invalidArgument('tls', tls, 'options of https.createServer');
  try {
    createSecureContext(tls);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    // A key may be among what was given: it is not shown.
    throw invalidArgument('tls', reason, 'a key and certificate that OpenSSL takes');
  }
  return tls;
}

function checkOrigins(origins: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(origins)) throw invalidArgument('allowedOrigins', origins, 'an array of origins');
  for (const origin of origins as unknown[]) {
    if (typeof origin !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/]+$/i.test(origin)) {
      throw invalidArgument(
        'allowedOrigins',
        origin,
        'origins such as "https://example.org", without a path',
      );
    }
  }
  return new Set(origins.map((origin) => origin.toLowerCase()));
}
