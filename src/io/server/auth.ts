/**
 * The `auth` option: who may connect, and as what. A token, a table of tokens, or a function of the user's
 * becomes one function of the request. Tokens are compared by keyed digests in constant time, and stand in no
 * message, log or error.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { invalidArgument } from '../../core/base/errors.js';
import { isToken } from '../../core/protocol/token.js';
import { isWorkerId, WORKER_ID } from '../../core/protocol/workerId.js';
import type { Principal } from '../../core/server/events.js';
import { ROLES } from '../../core/server/rights.js';
import { bearerOf } from './bearer.js';

/** Who a connection belongs to. */
export type AuthPrincipal = Principal;

/**
 * Decides about an upgrade request; `token` is its bearer token. Undefined or null: it may not connect. Asked
 * again while the connection is open (`limits.reauthenticateMs`), with the same request.
 */
export type AuthFunction = (
  request: IncomingMessage,
  token: string | undefined,
) => AuthPrincipal | null | undefined | Promise<AuthPrincipal | null | undefined>;

/** One token (its bearer is a worker), tokens with what they stand for, or a function of the request. */
export type Auth =
  | string
  | Readonly<Record<string, AuthPrincipal>>
  | ReadonlyMap<string, AuthPrincipal>
  | AuthFunction;

/** Who `request` comes from; null: nobody who may connect. A promise only for a function of the user's. */
export type Authenticate = (request: IncomingMessage) => Principal | null | Promise<Principal | null>;

const EXPECTED = 'a token, tokens with { role, id? }, or a function';

/** Checks the option. Throws `PS_INVALID_ARGUMENT`, without a token in its message. */
export function authenticateBy(auth: Auth): Authenticate {
  if (typeof auth === 'function') return byFunction(auth);
  if (typeof auth === 'string') return byTokens([[auth, { role: 'worker' }]]);
  if (auth === null || typeof auth !== 'object' || Array.isArray(auth)) {
    throw invalidArgument('auth', typeof auth, EXPECTED);
  }
  const entries = auth instanceof Map ? [...auth.entries()] : Object.entries(auth);
  if (entries.length === 0) throw invalidArgument('auth', {}, EXPECTED);
  return byTokens(entries as [string, unknown][]);
}

/**
 * An `auth` for mutual TLS: `of` says who a client certificate stands for. Only one that the server's `ca` vouches
 * for reaches it (`requestCert: true` in the `tls` option or the `https.Server`); without one nobody may connect.
 */
export function clientCertificate(
  of: (
    certificate: PeerCertificate,
  ) => AuthPrincipal | null | undefined | Promise<AuthPrincipal | null | undefined>,
): AuthFunction {
  if (typeof of !== 'function')
    throw invalidArgument('clientCertificate', of, 'a function of the certificate');
  return ({ socket }) => {
    const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>;
    if (authorized !== true || getPeerCertificate === undefined) return null;
    const certificate = getPeerCertificate.call(socket as TLSSocket);
    return Object.keys(certificate).length === 0 ? null : of(certificate);
  };
}

function byTokens(entries: readonly (readonly [string, unknown])[]): Authenticate {
  const key = randomBytes(32);
  const digest = (token: string): Buffer => createHmac('sha256', key).update(token).digest();
  const known = entries.map(([token, principal]) => {
    if (!isToken(token)) {
      // The token itself is not shown.
      throw invalidArgument(
        'auth',
        'other ones',
        'made of tokens of printable ASCII characters, without spaces',
      );
    }
    return { digest: digest(token), principal: checkPrincipal('auth', principal) };
  });
  return (request) => {
    const { token } = bearerOf(request);
    if (token === undefined) return null;
    const given = digest(token);
    let found: Principal | null = null;
    // To the end, wherever it is: how long this takes tells nothing.
    for (const each of known) if (timingSafeEqual(each.digest, given)) found = each.principal;
    return found;
  };
}

function byFunction(auth: AuthFunction): Authenticate {
  return async (request) => {
    const principal = await auth(request, bearerOf(request).token);
    return principal === null || principal === undefined
      ? null
      : checkPrincipal('what auth returns', principal);
  };
}

function checkPrincipal(option: string, given: unknown): Principal {
  const { role, id } = (given ?? {}) as Partial<Principal>;
  const isRole = ROLES.some((each) => each === role);
  if (!isRole)
    throw invalidArgument(`${option}.role`, role, `one of ${ROLES.map((each) => `'${each}'`).join(', ')}`);
  if (id !== undefined && !isWorkerId(id)) {
    throw invalidArgument(`${option}.id`, id, WORKER_ID);
  }
  return id === undefined ? { role: role as Principal['role'] } : { role: role as Principal['role'], id };
}
