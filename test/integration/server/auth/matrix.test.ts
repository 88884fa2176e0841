import { describe, expect, it } from 'vitest';
import type { Auth } from '../../../../src/io/server/auth.js';
import { listeningServer } from '../rawClient.js';
import { outcomeOf } from './rawUpgrade.js';

// The complete table of who gets in: every kind of auth × what the request says of its origin × where it has which
// token × the subprotocol that it asks for. The expected outcome is computed from the rules of docs/protocol.md.

const GOOD = 'Ri.ght-token~1';
const AUTHS: readonly (readonly [name: string, auth: Auth | undefined])[] = [
  ['none', undefined],
  ['a token', GOOD],
  ['a table', { 'another-token': { role: 'reader' }, [GOOD]: { role: 'worker' } }],
  ['a Map', new Map([[GOOD, { role: 'worker' }]])],
  ['a function', (_request, token) => (token === GOOD ? { role: 'worker' } : null)],
  ['an async function', async (_request, token) => (token === GOOD ? { role: 'worker' } : undefined)],
];
const ORIGINS = ['none', 'listed', 'not listed', 'null'] as const;
const PLACES = ['none', 'header', 'entry', 'query'] as const;
const TOKENS = ['right', 'wrong'] as const;
const SUBPROTOCOLS = ['pslib.v1', 'pslib.v1.stream', 'chat'] as const;

type Case = {
  readonly origin: (typeof ORIGINS)[number];
  readonly place: (typeof PLACES)[number];
  readonly token: (typeof TOKENS)[number];
  readonly subprotocol: (typeof SUBPROTOCOLS)[number];
};

const cases: readonly Case[] = ORIGINS.flatMap((origin) =>
  PLACES.flatMap((place) =>
    TOKENS.flatMap((token) => SUBPROTOCOLS.map((subprotocol) => ({ origin, place, token, subprotocol }))),
  ),
);

/** The rules. */
function expectedOf({ origin, place, token, subprotocol }: Case, hasAuth: boolean): string {
  if (origin === 'not listed' || origin === 'null') return 'HTTP 403';
  if (subprotocol === 'chat') return 'HTTP 400';
  const isProven = (place === 'header' || place === 'entry') && token === 'right';
  if (!hasAuth || isProven) return 'welcome';
  const isPage = place === 'entry' || origin === 'listed';
  return isPage && subprotocol === 'pslib.v1' ? 'closed 4401' : 'HTTP 401';
}

function askAs(url: string, { origin, place, token, subprotocol }: Case): Promise<string> {
  const given = token === 'right' ? GOOD : `${GOOD}x`;
  const entry = `pslib.bearer.${Buffer.from(given).toString('base64url')}`;
  const origins = { listed: 'https://good.example', 'not listed': 'https://bad.example', null: 'null' };
  return outcomeOf({
    url: place === 'query' ? `${url}?token=${given}&access_token=${given}` : url,
    subprotocols: place === 'entry' ? [subprotocol, entry] : [subprotocol],
    headers: {
      ...(origin === 'none' ? {} : { Origin: origins[origin] }),
      ...(place === 'header' ? { Authorization: `Bearer ${given}` } : {}),
    },
  });
}

describe.each(AUTHS)('auth: %s', (name, auth) => {
  it('lets in exactly those that the rules let in', async () => {
    const server = await listeningServer({
      allowedOrigins: ['https://good.example'],
      ...(auth === undefined ? {} : { auth }),
    });
    const rows = await Promise.all(
      cases.map(async (each, i) => {
        const outcome = await askAs(server.url, each);
        return { ...each, i, outcome };
      }),
    );
    const isIdTaken = (outcome: string) => outcome === 'fault 24';
    for (const { i, outcome, ...each } of rows) {
      const expected = expectedOf(each, auth !== undefined);
      // All say that they are the worker "w": whoever comes while another is connected has got that far.
      const seen = isIdTaken(outcome) ? 'welcome' : outcome;
      expect({ name, ...each, i, outcome: seen }).toEqual({ name, ...each, i, outcome: expected });
    }
    expect(rows).toHaveLength(96);
  });
});

describe('odd tokens', () => {
  const odd: readonly (readonly [
    what: string,
    headers: Record<string, string>,
    entries: readonly string[],
  ])[] = [
    ['another scheme', { Authorization: `Basic ${GOOD}` }, []],
    ['no scheme', { Authorization: GOOD }, []],
    ['an empty one', { Authorization: 'Bearer ' }, []],
    ['two in one header', { Authorization: `Bearer ${GOOD} ${GOOD}` }, []],
    ['one that begins like the right one', { Authorization: `Bearer ${GOOD.slice(0, -1)}` }, []],
    ['one of 16 kB', { Authorization: `Bearer ${'a'.repeat(12_000)}` }, []],
    ['an entry that is no base64url', {}, ['pslib.bearer.%%%']],
    ['an empty entry', {}, ['pslib.bearer.']],
    ['an entry in plain text', {}, [`pslib.bearer.${GOOD}`]],
    ['a wrong header beside a right entry', { Authorization: 'Bearer wrong' }, [entryOf(GOOD)]],
  ];

  it.each(odd)('%s is refused', async (_what, headers, entries) => {
    const server = await listeningServer({ auth: GOOD });
    const outcome = await outcomeOf({ url: server.url, subprotocols: ['pslib.v1', ...entries], headers });
    expect(outcome).toBe(entries.length > 0 ? 'closed 4401' : 'HTTP 401');
  });

  it('the scheme may be written in any case, and more entries may stand around the token', async () => {
    const server = await listeningServer({ auth: GOOD });
    const { url } = server;
    const headers = { Authorization: `bEARER  ${GOOD}` };
    expect(await outcomeOf({ url, subprotocols: ['pslib.v1'], headers })).toBe('welcome');
    const subprotocols = ['chat', entryOf(GOOD), 'pslib.v1'];
    expect(await outcomeOf({ url, subprotocols, hello: { worker: 'v' } })).toBe('welcome');
  });

  function entryOf(token: string): string {
    return `pslib.bearer.${Buffer.from(token).toString('base64url')}`;
  }
});
