import { once } from 'node:events';
import { createServer, get, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { atEnd, listeningServer, newServer, RawClient } from './rawClient.js';

/** An HTTP server of the user's, with a plain route and a WebSocket endpoint of its own on /chat. */
async function userServer(): Promise<{ http: Server; port: number }> {
  const http = createServer((request, response) => response.end(`plain ${request.url}`));
  const chat = new WebSocketServer({ noServer: true });
  http.on('upgrade', (request, socket, head) => {
    if (request.url !== '/chat') return;
    chat.handleUpgrade(request, socket, head, (open) => {
      open.on('message', (data) => open.send(`heard ${String(data)}`));
    });
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  atEnd(() => {
    http.closeAllConnections();
    http.close();
  });
  return { http, port: (http.address() as AddressInfo).port };
}

async function textAt(url: string): Promise<string> {
  const [response] = await once(get(url), 'response');
  let text = '';
  for await (const part of response) text += String(part);
  return `${response.statusCode} ${text}`;
}

async function askChat(port: number): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`);
  atEnd(() => socket.terminate());
  await once(socket, 'open');
  socket.send('hi');
  const [data] = await once(socket, 'message');
  return String(data);
}

const refusalAt = (url: string, options: Parameters<typeof RawClient.open>[1] = {}): Promise<string> =>
  RawClient.open(url, options).then(
    () => 'open',
    (error: Error) => error.message,
  );

describe('a port of its own', () => {
  it('is free to choose, and named by url and address', async () => {
    const server = await listeningServer();
    const { port, address } = server.address() as AddressInfo;
    expect(address).toBe('127.0.0.1');
    expect(server.url).toBe(`ws://127.0.0.1:${port}/`);
    expect((await RawClient.join(server.url, 'a')).socket.protocol).toBe('pslib.v1');
  });

  it('that is in use is PS_CONNECT_FAILED; listen may be called again', async () => {
    const first = await listeningServer();
    const { port } = first.address() as AddressInfo;
    const second = newServer({ port });
    await expect(second.listen()).rejects.toMatchObject({ code: 'PS_CONNECT_FAILED', retryable: true });
    await expect(second.listen()).rejects.toMatchObject({ code: 'PS_CONNECT_FAILED' });
    await first.close();
    await second.listen();
    expect(second.url).toContain(`:${port}/`);
  });

  it('a host that does not exist is PS_CONNECT_FAILED', async () => {
    const server = newServer({ port: 0, host: '192.0.2.1', insecure: true });
    await expect(server.listen()).rejects.toMatchObject({ code: 'PS_CONNECT_FAILED' });
  });

  it('serves its path alone: others are 404, a plain request 426', async () => {
    const server = await listeningServer({ path: '/train' });
    const { port } = server.address() as AddressInfo;
    const base = `127.0.0.1:${port}`;
    await RawClient.join(`ws://${base}/train`, 'a');
    await RawClient.join(`ws://${base}/train?run=7`, 'b');
    expect(await refusalAt(`ws://${base}/`)).toBe('HTTP 404');
    expect(await refusalAt(`ws://${base}/train/`)).toBe('HTTP 404');
    expect(await textAt(`http://${base}/train`)).toBe('426 ');
  });

  it('refuses what offers no subprotocol of ours, and pages that are not allowed', async () => {
    const server = await listeningServer({ allowedOrigins: ['https://good.example'] });
    const { url } = server;
    expect(await refusalAt(url, { protocols: [] })).toBe('HTTP 400');
    expect(await refusalAt(url, { protocols: ['chat'] })).toBe('HTTP 400');
    expect(await refusalAt(url, { origin: 'https://bad.example' })).toBe('HTTP 403');
    expect(await refusalAt(url, { origin: 'null' })).toBe('HTTP 403');
    expect(await refusalAt(url, { origin: 'https://good.example' })).toBe('open');
    expect(await refusalAt(url, { origin: 'HTTPS://GOOD.example' })).toBe('open');
    expect(await refusalAt(url, { protocols: ['chat', 'pslib.v1'] })).toBe('open');
  });

  it('declines compression', async () => {
    const server = await listeningServer();
    const client = await RawClient.open(server.url, { perMessageDeflate: true });
    expect(client.socket.extensions).toBe('');
  });

  it('lets go of a socket that it has refused, also if the other end keeps it', async () => {
    const server = await listeningServer();
    const { port } = server.address() as AddressInfo;
    const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    atEnd(() => socket.destroy());
    await once(socket, 'connect');
    socket.write('GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    const [data] = await once(socket, 'data');
    expect(String(data)).toMatch(/^HTTP\/1\.1 404/);
    socket.resume();
    await once(socket, 'end');
    // This end does not close; the server has: what is sent now finds nobody.
    const error = once(socket, 'error');
    const timer = setInterval(() => socket.write('x'), 5);
    atEnd(() => clearInterval(timer));
    expect((await error)[0]).toMatchObject({ code: expect.stringMatching(/EPIPE|ECONNRESET/) });
  });
});

describe('attached to a server of the user’s', () => {
  it('shares it with plain routes and another WebSocket endpoint', async () => {
    const { http, port } = await userServer();
    const server = newServer({ server: http });
    await server.listen();
    expect(server.url).toBe(`ws://127.0.0.1:${port}/pslib`);
    const worker = await RawClient.join(server.url, 'a');
    expect(await worker.push([1, 1, 1, 1])).toBe('applied v1');
    expect(await askChat(port)).toBe('heard hi');
    expect(await textAt(`http://127.0.0.1:${port}/hello`)).toBe('200 plain /hello');
  });

  it('leaves it alone when it closes', async () => {
    const { http, port } = await userServer();
    const server = newServer({ server: http });
    await server.listen();
    const worker = await RawClient.join(server.url, 'a');
    await server.close();
    expect((await worker.closed).code).toBe(4310);
    expect(http.listening).toBe(true);
    expect(await askChat(port)).toBe('heard hi');
    expect(http.listenerCount('upgrade')).toBe(1);
  });

  it('does not make it listen', async () => {
    const http = createServer();
    const server = newServer({ server: http });
    await server.listen();
    expect(http.listening).toBe(false);
    expect(server.address()).toBeNull();
  });

  it('two of them on one server, on different paths', async () => {
    const { http } = await userServer();
    const [one, two] = [newServer({ server: http, path: '/one' }), newServer({ server: http, path: '/two' })];
    await one.listen();
    await two.listen();
    const [a, b] = [await RawClient.join(one.url, 'a'), await RawClient.join(two.url, 'a')];
    expect(await a.push([1, 0, 0, 0])).toBe('applied v1');
    expect(await b.pull()).toEqual([0, 0, 0, 0]);
    await one.close();
    expect(await b.push([2, 0, 0, 0])).toBe('applied v1');
  });
});

describe('noServer', () => {
  it('takes the upgrades that it is handed, if they are its own', async () => {
    const server = newServer({ noServer: true, path: '/ps' });
    const http = createServer();
    const handled: boolean[] = [];
    http.on('upgrade', (request, socket, head) => {
      const isOurs = server.handleUpgrade(request, socket, head);
      handled.push(isOurs);
      if (!isOurs) socket.end('HTTP/1.1 418 Teapot\r\nConnection: close\r\n\r\n');
    });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    atEnd(() => http.close());
    const { port } = http.address() as AddressInfo;
    expect(await refusalAt(`ws://127.0.0.1:${port}/ps`)).toBe('HTTP 418');
    await server.listen();
    expect(() => server.url).toThrow(/url/);
    const worker = await RawClient.join(`ws://127.0.0.1:${port}/ps`, 'a');
    expect(await worker.push([1, 1, 1, 1])).toBe('applied v1');
    expect(await refusalAt(`ws://127.0.0.1:${port}/other`)).toBe('HTTP 418');
    await server.close();
    expect(await refusalAt(`ws://127.0.0.1:${port}/ps`)).toBe('HTTP 418');
    expect(handled).toEqual([false, true, false, false]);
  });
});
