import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import { connect as connectHttp2, createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { fastify } from 'fastify';
import { Server as SocketIoServer } from 'socket.io';
import { io } from 'socket.io-client';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { ParameterServer } from '../../../src/io/server/parameterServer.js';
import { Worker } from '../../../src/io/worker/node/worker.js';
import type { WorkerOptions } from '../../../src/io/worker/workerOptions.js';
import { atEnd, newServer } from '../server/rawClient.js';

// A parameter server inside an app that has a life of its own on the same port: both work, also after one has ended.

const pem = (name: string): string =>
  readFileSync(new URL(`../server/auth/certificates/${name}`, import.meta.url), 'utf8');
const tls = { key: pem('server.key'), cert: pem('server.crt') };

async function listen(server: {
  listen(port: number, host: string): unknown;
  address(): unknown;
}): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server as HttpServer, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A worker trains against `server`, and what it has pushed is there. */
async function train(server: ParameterServer, options: WorkerOptions = {}): Promise<void> {
  const worker = new Worker(server.url, { reconnect: false, ...options });
  try {
    const before = (await server.parameters()).version;
    await worker.run(() => ({ gradients: { w: Float32Array.of(1, 1, 1, 1) } }), { steps: 3 });
    expect((await server.parameters()).version).toBe(before + 3);
  } finally {
    await worker.close();
  }
}

const textAt = async (url: string): Promise<string> => (await fetch(url)).text();

describe('beside', () => {
  it('Express', async () => {
    const app = express();
    app.get('/hello', (_request, response) => void response.send('hello from express'));
    const http = createServer(app);
    atEnd(() => http.close());
    const server = newServer({ server: http });
    await server.listen();
    const port = await listen(http);
    await train(server);
    expect(await textAt(`http://127.0.0.1:${port}/hello`)).toBe('hello from express');
    await server.close();
    expect(await textAt(`http://127.0.0.1:${port}/hello`)).toBe('hello from express');
  });

  it('Fastify', async () => {
    const app = fastify();
    app.get('/hello', async () => 'hello from fastify');
    const server = newServer({ server: app.server });
    await server.listen();
    await app.listen({ port: 0, host: '127.0.0.1' });
    atEnd(() => app.close());
    const { port } = app.server.address() as AddressInfo;
    await train(server);
    expect(await textAt(`http://127.0.0.1:${port}/hello`)).toBe('hello from fastify');
    await server.close();
    expect(await textAt(`http://127.0.0.1:${port}/hello`)).toBe('hello from fastify');
  });

  it('socket.io, attached before it or behind it', async () => {
    for (const isFirst of [true, false]) {
      const http = createServer();
      const server = newServer({ server: http, auth: async () => ({ role: 'worker' }) });
      if (isFirst) await server.listen();
      const sockets = new SocketIoServer(http);
      sockets.on('connection', (socket) => socket.on('ask', (text, answer) => answer(`heard ${text}`)));
      if (!isFirst) await server.listen();
      const port = await listen(http);
      const client = io(`http://127.0.0.1:${port}`, { transports: ['websocket'] });
      atEnd(() => client.close());
      atEnd(() => sockets.close());
      const ask = (): Promise<unknown> => client.timeout(60_000).emitWithAck('ask', 'hi');
      expect(await ask()).toBe('heard hi');
      await train(server);
      await server.close();
      expect(await ask()).toBe('heard hi');
    }
  });

  it('a WebSocketServer of ws that is given its own upgrades', async () => {
    const http = createServer();
    atEnd(() => http.close());
    const chat = new WebSocketServer({ noServer: true });
    http.on('upgrade', (request, socket, head) => {
      if (request.url !== '/chat') return;
      chat.handleUpgrade(request, socket, head, (open) =>
        open.on('message', (data) => open.send(`heard ${data}`)),
      );
    });
    const server = newServer({ server: http });
    await server.listen();
    const port = await listen(http);
    const client = new WebSocket(`ws://127.0.0.1:${port}/chat`);
    atEnd(() => client.terminate());
    await once(client, 'open');
    await train(server);
    client.send('hi');
    expect(String((await once(client, 'message'))[0])).toBe('heard hi');
  });
});

describe('attached to', () => {
  it('an https server', async () => {
    const https = createHttpsServer(tls, (_request, response) => response.end('plain'));
    atEnd(() => https.close());
    const server = newServer({ server: https });
    await server.listen();
    await listen(https);
    expect(server.url).toMatch(/^wss:/);
    await train(server, { tls: { ca: pem('ca.crt') } });
  });

  it('an http2 server that allows HTTP/1', async () => {
    const http2 = createSecureServer({ ...tls, allowHTTP1: true }, (_request, response) =>
      response.end('plain'),
    );
    atEnd(() => http2.close());
    const server = newServer({ server: http2 });
    await server.listen();
    const port = await listen(http2);
    await train(server, { tls: { ca: pem('ca.crt') } });
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: pem('ca.crt') });
    atEnd(() => session.close());
    const request = session.request({ ':path': '/' });
    let text = '';
    for await (const part of request) text += String(part);
    expect(text).toBe('plain');
  });
});

it('several parameter servers on one port train apart, and end apart', async () => {
  const http = createServer();
  atEnd(() => http.close());
  const servers = ['/a', '/b', '/c'].map((path) => newServer({ server: http, path }));
  await Promise.all(servers.map((each) => each.listen()));
  await listen(http);
  await Promise.all(servers.map((each) => train(each)));
  await servers[0]?.close();
  await train(servers[1] as ParameterServer);
  // One of each that is left, and one that all have in common.
  expect(http.listenerCount('upgrade')).toBe(3);
  await Promise.all(servers.map((each) => each.close()));
  expect(http.listenerCount('upgrade')).toBe(0);
});

describe('an upgrade of a path that nobody has', () => {
  /** A server with parameter servers on two paths, and what it answers an upgrade of another. */
  async function unknownPath(http: HttpServer): Promise<WebSocket> {
    for (const path of ['/a', '/b']) await newServer({ server: http, path }).listen();
    const client = new WebSocket(`ws://127.0.0.1:${await listen(http)}/c`);
    client.on('error', () => {});
    atEnd(() => client.terminate());
    return client;
  }

  it('is answered 404 where only parameter servers listen, and the user’s server can end', async () => {
    const http = createServer();
    const client = await unknownPath(http);
    const [, answer] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage];
    expect(answer.statusCode).toBe(404);
    answer.resume();
    await Promise.all([once(http, 'close'), http.close()]);
  });

  it('is left to others, who may answer it later', async () => {
    const http = createServer();
    atEnd(() => http.close());
    const others = new WebSocketServer({ noServer: true });
    http.on('upgrade', (request, socket, head) =>
      setImmediate(() => others.handleUpgrade(request, socket, head, (open) => open.send('welcome'))),
    );
    const client = await unknownPath(http);
    expect(String((await once(client, 'message'))[0])).toBe('welcome');
  });

  it('is left to one who takes a single request', async () => {
    const http = createServer();
    atEnd(() => http.close());
    const others = new WebSocketServer({ noServer: true });
    http.once('upgrade', (request, socket, head) =>
      others.handleUpgrade(request, socket, head, (open) => {
        open.on('message', (said) => open.send(said));
      }),
    );
    const client = await unknownPath(http);
    await once(client, 'open');
    client.send('still here');
    expect(String((await once(client, 'message'))[0])).toBe('still here');
  });

  it('is left to who comes after all listeners were removed', async () => {
    const http = createServer();
    atEnd(() => http.close());
    const first = newServer({ server: http, path: '/first' });
    await first.listen();
    http.removeAllListeners('upgrade');
    await first.close();
    const others = new WebSocketServer({ noServer: true });
    http.on('upgrade', (request, socket, head) =>
      setImmediate(() => others.handleUpgrade(request, socket, head, (open) => open.send('welcome'))),
    );
    const client = await unknownPath(http);
    expect(String((await once(client, 'message'))[0])).toBe('welcome');
  });
});
