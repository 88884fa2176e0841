/** The health endpoints of a server that has a port of its own. */

import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { ParameterServer } from '../../../src/index.js';
import { answerPlain, type Health } from '../../../src/io/server/httpAnswers.js';

const parameters = { w: { shape: [2] } } as const;
const toClose: { close(): unknown }[] = [];

afterEach(async () => {
  for (const each of toClose.splice(0)) await each.close();
});

/** Status and body of a request without keep-alive. */
async function ask(port: number, path: string, method = 'GET'): Promise<[number | undefined, string]> {
  const asked = request({ port, path, method, host: '127.0.0.1', agent: false }).end();
  const [response] = await once(asked, 'response');
  let body = '';
  for await (const piece of response) body += piece;
  return [response.statusCode, body];
}

async function startServer(): Promise<[ParameterServer, number]> {
  const server = new ParameterServer({ parameters, port: 0 });
  toClose.push(server);
  await server.listen();
  return [server, server.address()?.port as number];
}

test('a server that listens is alive and ready; anything else is told that this is no web server', async () => {
  const [, port] = await startServer();
  expect(await ask(port, '/healthz')).toEqual([200, 'ok\n']);
  expect(await ask(port, '/readyz?verbose')).toEqual([200, 'ok\n']);
  expect(await ask(port, '/healthz', 'HEAD')).toEqual([200, '']);
  expect(await ask(port, '/')).toEqual([426, '']);
  expect(await ask(port, '/healthz', 'POST')).toEqual([426, '']);
  expect(await ask(port, '/healthz/x')).toEqual([426, '']);
});

test('one that drains is alive and not ready', async () => {
  const [server, port] = await startServer();
  await server.drain();
  expect(await ask(port, '/healthz')).toEqual([200, 'ok\n']);
  expect(await ask(port, '/readyz')).toEqual([503, 'draining\n']);
});

describe('one that has failed', () => {
  test('is neither, and says no more than the code', async () => {
    const failure = new PsError('PS_STORAGE', 'the journal at /secret/place can not be written');
    const health: Health = { failure, isDraining: false };
    const http = createServer((asked, response) => answerPlain(asked, response, health)).listen(
      0,
      '127.0.0.1',
    );
    toClose.push(http);
    await once(http, 'listening');
    const { port } = http.address() as { port: number };
    expect(await ask(port, '/healthz')).toEqual([503, 'PS_STORAGE\n']);
    expect(await ask(port, '/readyz')).toEqual([503, 'PS_STORAGE\n']);
  });
});

test('a server of the user is not answered for', async () => {
  const http = createServer((_request, response) => response.end('mine')).listen(0, '127.0.0.1');
  toClose.push(http);
  await once(http, 'listening');
  const server = new ParameterServer({ parameters, server: http });
  toClose.unshift(server);
  await server.listen();
  expect(await ask((http.address() as { port: number }).port, '/healthz')).toEqual([200, 'mine']);
});
