/** Sockets that are read into memory of their reader's choice, and the sockets that they were before. */
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { readInto } from '../../src/io/transport/stream/socketReads.js';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await closed(server);
});

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** Reads into one small piece of memory. */
class Reader {
  readonly #memory = new Uint8Array(16);
  readonly #awaited: { length: number; resolve: () => void }[] = [];
  text = '';

  memory(): Uint8Array {
    return this.#memory;
  }

  filled(bytes: number): void {
    this.feed(this.#memory.subarray(0, bytes));
  }

  feed(bytes: Uint8Array): void {
    this.text += new TextDecoder().decode(bytes);
    for (const { length, resolve } of this.#awaited) if (this.text.length >= length) resolve();
  }

  untilLength(length: number): Promise<void> {
    return new Promise((resolve) => {
      this.#awaited.push({ length, resolve });
      this.feed(new Uint8Array(0));
    });
  }
}

/** Both ends of an upgraded connection, the server's end read by a reader. */
async function upgraded() {
  const server = createServer();
  servers.push(server);
  const accepted = new Promise<Socket>((resolve) => {
    server.on('upgrade', (_request, socket) => resolve(socket as Socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  client.on('error', () => {});
  client.write('GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  const given = await accepted;
  const reader = new Reader();
  const own = readInto(given, reader);
  own.on('error', () => {});
  own.on('end', () => own.end());
  return { server, client, given, own, reader };
}

const closing = (socket: Duplex): Promise<void> => new Promise((resolve) => socket.once('close', resolve));

describe('a socket that is read into memory of its reader', () => {
  it('brings every byte, in order, and writes as before', async () => {
    const { client, own, reader, given } = await upgraded();
    expect(own).not.toBe(given);
    const text = Array.from({ length: 1000 }, (_, i) => `${i};`).join('');
    client.write(text);
    await reader.untilLength(text.length);
    expect(reader.text).toBe(text);
    expect((own as Socket).bytesRead).toBe(given.bytesRead);
    const echoed = new Promise<string>((resolve) => client.once('data', (data) => resolve(String(data))));
    own.write('and back');
    expect(await echoed).toBe('and back');
    client.destroy();
  });

  it('reads nothing while it is paused', async () => {
    const { client, own, reader } = await upgraded();
    client.write('one');
    await reader.untilLength(3);
    own.pause();
    const answered = new Promise((resolve) => client.once('data', resolve));
    await new Promise<void>((resolve) => client.write('two', () => resolve()));
    own.write('?');
    await answered;
    expect(reader.text).toBe('one');
    own.resume();
    await reader.untilLength(6);
    expect(reader.text).toBe('onetwo');
    client.destroy();
  });

  it('ends with the other end, with the socket that it was, and by itself, and its server closes each time', async () => {
    for (const end of ['client', 'given', 'own'] as const) {
      const sockets = await upgraded();
      const ended = Promise.all([closing(sockets.own), closing(sockets.given)]);
      sockets[end].destroy();
      await ended;
      sockets.client.destroy();
      await closed(servers.pop() as Server);
    }
  });
});
