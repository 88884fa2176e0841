/**
 * Which pages may connect. Those that the owner lists; and, with a dashboard, the page that this server itself
 * serves. That one is known by its host being the one that the request asks for, but only as an address or
 * localhost: a name can be made to point here by whoever owns it (DNS rebinding), so a name must be listed.
 */
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/** What decides about origins. */
export interface OriginRules {
  /** In lower case. */
  readonly allowedOrigins: ReadonlySet<string>;
  /** Whether this server serves a page. */
  readonly hasPage: boolean;
}

/** Whether `origin`, of a page that makes `request`, may connect. */
export function allowsOrigin(origin: string, request: IncomingMessage, rules: OriginRules): boolean {
  const lower = origin.toLowerCase();
  if (rules.allowedOrigins.has(lower)) return true;
  const { host } = request.headers;
  if (!rules.hasPage || host === undefined || !isHostOfThisMachine(request)) return false;
  return lower === `http://${host.toLowerCase()}` || lower === `https://${host.toLowerCase()}`;
}

/** Whether `request` asks for an address or localhost, and not for a name that anyone could have made. */
export function isHostOfThisMachine({ headers: { host = '' } }: IncomingMessage): boolean {
  const name = host
    .replace(/:\d+$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || isIP(name) !== 0;
}
