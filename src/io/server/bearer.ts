/** The bearer token of an upgrade request: in a header, or where a page can put it, among the subprotocols. */
import type { IncomingMessage } from 'node:http';

const PREFIX = 'pslib.bearer.';
/** Longer ones are no tokens. */
const MAX_TOKEN_LENGTH = 8192;

/** What a request says of itself. */
export interface Bearer {
  readonly token: string | undefined;
  /** The other end is a page, or like one: it sees close codes, but no HTTP status. */
  readonly seesNoStatus: boolean;
}

/** Reads the token of `request`; what is no token counts as none. */
export function bearerOf({ headers }: IncomingMessage): Bearer {
  const entry = offeredBy(headers['sec-websocket-protocol']).find((each) => each.startsWith(PREFIX));
  const fromHeader = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1];
  const token = fromHeader ?? (entry === undefined ? undefined : decoded(entry.slice(PREFIX.length)));
  return {
    token: token === undefined || token.length > MAX_TOKEN_LENGTH ? undefined : token,
    seesNoStatus: entry !== undefined || headers.origin !== undefined,
  };
}

/** The subprotocols that a request offers. */
export function offeredBy(header: string | undefined): string[] {
  return header?.split(',').map((each) => each.trim()) ?? [];
}

function decoded(base64url: string): string | undefined {
  if (!/^[\w-]+$/.test(base64url)) return undefined;
  const text = Buffer.from(base64url, 'base64url').toString('utf8');
  return text === '' ? undefined : text;
}
