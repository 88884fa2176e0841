import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame } from '../../../src/core/protocol/codec.js';
import { type Message, MessageType } from '../../../src/core/protocol/messages.js';
import type { ParameterServer } from '../../../src/io/server/parameterServer.js';
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';
import { Worker } from '../../../src/io/worker/node/worker.js';
import { CORPUS } from '../../fuzz/mutate.js';
import { atEnd, listeningServer, newServer, RawClient } from '../../integration/server/rawClient.js';
import { helloOf, openRaw, wsFrame } from '../../integration/server/rawSocket.js';

// Every limit is reached by somebody who means harm, while two workers train; they finish, with sums that are exact,
// and what the server holds for the others stays bounded. How fast they are meanwhile is for the benchmark.

const STEPS = 50;
const SUBPROTOCOLS = ['pslib.v1', 'pslib.v1.stream'] as const;
const MIB = 1_048_576;

/** A server whose first two workers train when they are told to. */
async function newScene(options: Partial<ParameterServerOptions> = {}) {
  const errors: unknown[] = [];
  const warnings: string[] = [];
  const server = await listeningServer(options);
  server.on('error', (error: unknown) => errors.push(error));
  server.on('warning', ({ message }) => warnings.push(message));
  // They may come a second time if they were too slow for their Hello; later they lose nothing.
  const reconnect = { minDelayMs: 1, maxDelayMs: 10 };
  const workers = ['a', 'b'].map((id) => new Worker(server.url, { id, reconnect }));
  for (const worker of workers) atEnd(() => worker.close());
  await Promise.all(workers.map((worker) => worker.connect()));
  for (const worker of workers) worker.on('reconnecting', ({ error }) => errors.push(error));
  const finish = async (): Promise<void> => {
    const ones = () => ({ w: Float32Array.of(-1, -1, -1, -1) });
    await Promise.all(workers.map((worker) => worker.run(() => ({ gradients: ones() }), { steps: STEPS })));
    const { tensors } = await server.parameters();
    expect([...(tensors.w?.data ?? [])]).toEqual(Array(4).fill(2 * STEPS));
    expect(errors).toEqual([]);
  };
  return { server, workers, finish, warnings };
}

const message = (each: Message, payload?: Uint8Array): Buffer => wsFrame(encodeFrame(each, payload));
const pull = (request: number, wait = false): Message => ({
  t: MessageType.pull,
  request,
  training: false,
  clock: 0,
  wait,
  consistent: true,
});

/** A greeted socket that is read only if the test does. */
async function joinRaw(url: string, id: string, subprotocol: string, readOnly = false): Promise<Socket> {
  const socket = await openRaw(url, { subprotocol });
  socket.pause();
  socket.write(helloOf(id, readOnly));
  return socket;
}

/** The close code in what comes on `socket`, or what else ended it. */
async function endOf(socket: Socket): Promise<string> {
  let bytes: Buffer = Buffer.alloc(0);
  let end = 'cut off';
  try {
    for await (const part of socket) bytes = Buffer.concat([bytes, part as Buffer]);
  } catch {
    end = 'reset';
  }
  for (let at = 0; at + 4 <= bytes.length; ) {
    const short = (bytes[at + 1] as number) & 127;
    const head = short < 126 ? 2 : short === 126 ? 4 : 10;
    const length =
      short < 126
        ? short
        : short === 126
          ? bytes.readUInt16BE(at + 2)
          : Number(bytes.readBigUInt64BE(at + 2));
    if (((bytes[at] as number) & 15) === 8) return String(bytes.readUInt16BE(at + head));
    at += head + length;
  }
  return end;
}

const connectionsOf = (server: ParameterServer, count: number) =>
  expect.poll(() => server.stats().connections).toBe(count);

describe('readers that do not read', () => {
  it('fifty of them: two versions are held, all are cut off, the workers finish', async () => {
    const { server, finish, warnings } = await newScene({
      parameters: { w: { shape: [4] }, ballast: { shape: [MIB / 2] } },
      limits: { rateWindowMs: 1000, pinnedVersions: 2 },
    });
    const before = process.memoryUsage().arrayBuffers;
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const socket = await joinRaw(server.url, `slow-${i}`, SUBPROTOCOLS[i % 2] as string, true);
        // More than a socket takes: the answers are 2 MiB each.
        for (let request = 1; request <= 8; request++) socket.write(message(pull(request)));
      }),
    );
    await finish();
    expect(server.stats().pinnedVersions).toBeLessThanOrEqual(2);
    // A window of 2 MiB and a chunk for each, and what the versions take.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50 * 4 * MIB + 64 * MIB);
    await connectionsOf(server, 2);
    expect(warnings.filter((each) => /reads too slowly|holds up others/.test(each))).toHaveLength(50);
  });
});

it('readers that hold every version for ever hold up nobody who pulls a message of it', async () => {
  const { server, workers } = await newScene({
    parameters: { w: { shape: [4] }, ballast: { shape: [4 * MIB] } },
    // Nobody is cut off.
    limits: { rateWindowMs: 10_000_000, minRateBytesPerS: 1, pinnedVersions: 2, pullTimeoutMs: 10_000_000 },
  });
  const push = (worker: Worker | undefined) => worker?.push({ w: Float32Array.of(-1, -1, -1, -1) });
  for (let version = 1; version <= 2; version++) {
    const socket = await joinRaw(server.url, `reader-${version}`, 'pslib.v1', true);
    socket.write(message(pull(1)));
    await expect.poll(() => server.stats().pinnedVersions).toBe(version);
    await push(workers[0]);
  }
  for (let step = 0; step < STEPS; step++) {
    await Promise.all(workers.map((worker) => worker.pull(['w'])));
    await Promise.all(workers.map(push));
  }
  const { tensors } = (await workers[0]?.pull(['w'])) ?? {};
  expect([...(tensors?.w?.data ?? [])]).toEqual(Array(4).fill(2 + 2 * STEPS));
  expect(server.stats()).toMatchObject({ connections: 4, pinnedVersions: 2 });
});

it('readers that take what they asked for too slowly are cut off when the workers wait for it, whatever their rate', async () => {
  const { server, finish, warnings } = await newScene({
    parameters: { w: { shape: [4] }, ballast: { shape: [4 * MIB] } },
    // Nobody is too slow by the rate alone.
    limits: { rateWindowMs: 10_000_000, minRateBytesPerS: 1, pinnedVersions: 2, pullTimeoutMs: 16_000 },
  });
  const pusher = await RawClient.join(server.url, 'pusher');
  for (let version = 1; version <= 2; version++) {
    const socket = await joinRaw(server.url, `reader-${version}`, 'pslib.v1', true);
    socket.write(message(pull(1)));
    await expect.poll(() => server.stats().pinnedVersions).toBe(version);
    await pusher.push([0, 0, 0, 0], { tensors: [0] });
  }
  pusher.send({ t: MessageType.goodbye, reason: '' });
  await pusher.closed;
  await finish();
  expect(warnings).toContainEqual(expect.stringContaining('holds up others for too long'));
});

it('readers that say that they compute, and read nothing, are cut off like others', async () => {
  const { server, finish, warnings } = await newScene({
    parameters: { w: { shape: [4] }, ballast: { shape: [4 * MIB] } },
    limits: { rateWindowMs: 1000, pinnedVersions: 2 },
  });
  const sockets = await Promise.all(
    [1, 2, 3].map((i) => joinRaw(server.url, `reader-${i}`, 'pslib.v1', true)),
  );
  for (const socket of sockets) socket.write(message(pull(1)));
  const computing = message({ t: MessageType.computing, stepMs: 600_000 });
  const busy = setInterval(() => sockets.forEach((socket) => void socket.write(computing)), 100);
  atEnd(() => clearInterval(busy));
  await finish();
  await connectionsOf(server, 2);
  expect(warnings.filter((each) => /reads too slowly|holds up others/.test(each))).toHaveLength(3);
});

describe.each(SUBPROTOCOLS)('over %s', (subprotocol) => {
  it('a flood of requests for tasks, whose answers nobody reads, is not read any more', async () => {
    const { server, finish } = await newScene({ limits: { pauseOutboundBytes: 65_536 } });
    server.tasks.dataset({ items: Array(50).fill('x'.repeat(50_000)), shardSize: 1, epochs: 1 });
    const before = process.memoryUsage().rss;
    const sockets = await Promise.all(['a', 'b'].map((id) => joinRaw(server.url, `task-${id}`, subprotocol)));
    const requests = [
      message({ t: MessageType.taskRequest, request: 1, want: 0, concurrency: 1 }),
      message({ t: MessageType.dataRequest, request: 1, held: [], wants: true }),
    ];
    for (let sent = 0; sent < 20_000; sent += 1000) {
      for (const [i, socket] of sockets.entries()) socket.write(Buffer.concat(Array(1000).fill(requests[i])));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await finish();
    expect(server.stats().receivedMessages).toBeLessThan(30_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(400 * MIB);
  });

  it('frames that are begun and never finished are cut off, drip by drip', async () => {
    const { server, finish, warnings } = await newScene({ limits: { rateWindowMs: 500 } });
    const frame = wsFrame(new Uint8Array(MIB)).subarray(0, 100_000);
    const sockets = await Promise.all(
      Array.from({ length: 20 }, (_, i) => joinRaw(server.url, `drip-${i}`, subprotocol)),
    );
    for (const socket of sockets) socket.write(frame);
    const drip = setInterval(() => sockets.forEach((socket) => void socket.write('x')), 20);
    atEnd(() => clearInterval(drip));
    await finish();
    await connectionsOf(server, 2);
    expect(warnings.filter((each) => each.includes('sends too slowly'))).toHaveLength(20);
  });

  it('a flood of messages whose answers nobody reads is not read any more', async () => {
    const { server, finish } = await newScene({ limits: { pauseOutboundBytes: 65_536 } });
    const before = process.memoryUsage().arrayBuffers;
    const socket = await joinRaw(server.url, 'flood', subprotocol);
    // Answers that are twenty times as long.
    const questions = Buffer.concat(Array(1000).fill(message({ t: MessageType.stats, request: 1 })));
    for (let sent = 0; sent < 100_000; sent += 1000) {
      socket.write(questions);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await finish();
    // It stops reading for good: what comes then comes from others. Signs of life may be among it.
    const other = await RawClient.join(server.url, 'other', { readOnly: true });
    const others = 2000;
    const moreThanOthers = async (): Promise<number> => {
      const before = server.stats().receivedMessages;
      for (let i = 0; i < others; i++) {
        other.send(pull(i + 1));
        await other.next();
      }
      return server.stats().receivedMessages - before - others;
    };
    await expect.poll(moreThanOthers).toBeLessThan(10);
    socket.write(questions);
    await expect.poll(moreThanOthers).toBeLessThan(10);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MIB);
  });

  it('a flood of pings of WebSocket’s own is not answered without end', async () => {
    const { server, finish } = await newScene();
    const socket = await joinRaw(server.url, 'pings', subprotocol);
    const ping = wsFrame(new Uint8Array(125), 0x89);
    const pings = Buffer.concat(Array(2000).fill(ping));
    const before = process.memoryUsage().rss;
    // One that does not read its pongs is cut off in the end, if that takes as long as `rateWindowMs`.
    const ended = new Promise<void>((resolve) => {
      socket.on('error', () => resolve());
      socket.once('close', () => resolve());
    });
    for (let i = 0; i < 100 && socket.writable; i++) {
      if (!socket.write(pings))
        await Promise.race([ended, new Promise((resolve) => socket.once('drain', resolve))]);
    }
    await finish();
    // 26 MB of pings, and what a process takes anyway.
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * MIB);
  });

  it('large frames before Hello are refused, and hold nothing', async () => {
    const { server, finish } = await newScene();
    const big = message({ t: MessageType.push, seq: 1, clock: 0, bytes: MIB }, new Uint8Array(MIB));
    const ends = Array.from({ length: 100 }, async (_, i) => {
      const socket = await openRaw(server.url, { subprotocol });
      // Half of them never finish, and are not waited for.
      socket.write(i % 2 === 0 ? big : big.subarray(0, MIB / 2));
      return endOf(socket);
    });
    await finish();
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['1008']));
    expect(server.stats().stagingBytes).toBe(0);
  });

  it('one that says nothing is closed after helloTimeoutMs', async () => {
    const { server } = await newScene({ limits: { helloTimeoutMs: 2000 } });
    expect(await endOf(await openRaw(server.url, { subprotocol }))).toBe('4308');
  });

  it('half-open sockets are let go when their lease ends', async () => {
    const { server, finish } = await newScene({ limits: { leaseMs: 1000, pingMs: 200 } });
    await Promise.all(Array.from({ length: 30 }, (_, i) => joinRaw(server.url, `gone-${i}`, subprotocol)));
    await finish();
    // They never read the close frame, nor answer it.
    await connectionsOf(server, 2);
  });

  it('bombs are refused one by one, and the fifth ends the connection', async () => {
    const { server, finish } = await newScene();
    const bombs = CORPUS.filter(({ name }) => name.startsWith('bomb'));
    const ends = Array.from({ length: 10 }, async (_, i) => {
      const socket = await joinRaw(server.url, `bomber-${i}`, subprotocol);
      for (let k = 0; k < 5; k++) socket.write(wsFrame(bombs[k % bombs.length]?.bytes ?? new Uint8Array(0)));
      return endOf(socket);
    });
    await finish();
    expect(new Set(await Promise.all(ends))).toEqual(new Set(['1008']));
  });

  it('compressed frames, that nobody agreed on, end the connection', async () => {
    const { server } = await newScene();
    const socket = await joinRaw(server.url, 'deflate', subprotocol);
    socket.write(wsFrame(Buffer.from('4a4a04', 'hex'), 0xc2));
    expect(await endOf(socket)).toBe('1002');
  });

  it('fragments are bounded', async () => {
    const { server, finish } = await newScene();
    const socket = await joinRaw(server.url, 'pieces', subprotocol);
    socket.write(wsFrame(new Uint8Array(1), 0x02));
    for (let i = 0; i < 64; i++) socket.write(wsFrame(new Uint8Array(1), 0x00));
    expect(await endOf(socket)).toBe(subprotocol === 'pslib.v1' ? '1008' : '1002');
    await finish();
  });

  it('requests without an answer are bounded, those that wait and those behind a push', async () => {
    const { server, finish } = await newScene({ limits: { maxRequests: 10 } });
    for (const isBehindPush of [false, true]) {
      const client = await RawClient.open(server.url);
      const { incarnation } = await client.hello(`asks-${isBehindPush}`);
      if (isBehindPush) {
        client.send({ t: MessageType.push, seq: 1, clock: 0, bytes: MIB }, new Uint8Array(8));
      }
      const ifNewerThan = { incarnation, version: 1000 };
      for (let request = 1; request <= 15; request++)
        client.send({ ...pull(request, true), ifNewerThan } as Message);
      const refused = [];
      for (let i = 0; i < (isBehindPush ? 6 : 5); i++) refused.push((await client.next()).message);
      expect(refused.map((each) => 'request' in each && each.request)).toEqual(
        isBehindPush ? [10, 11, 12, 13, 14, 15] : [11, 12, 13, 14, 15],
      );
      client.socket.terminate();
    }
    await finish();
  });
});

describe('connections', () => {
  it('beyond maxConnections are answered 503, and taken when there is room', async () => {
    const { server, finish } = await newScene({ limits: { maxConnections: 4 } });
    const [first] = [await openRaw(server.url), await openRaw(server.url)];
    await expect(openRaw(server.url)).rejects.toThrow('HTTP 503');
    const late = new Worker(server.url, { reconnect: { minDelayMs: 1, maxDelayMs: 10 } });
    atEnd(() => late.close());
    const connected = late.connect();
    await finish();
    first?.destroy();
    await connected;
  });

  it('2,000 that are idle, half of them not even upgraded, are all ended, and keep nobody out', async () => {
    const { server, finish } = await newScene({ limits: { helloTimeoutMs: 3000, maxConnections: 1100 } });
    const { hostname, port } = new URL(server.url);
    const sockets: Socket[] = [];
    const ends: Promise<unknown>[] = [];
    atEnd(() => sockets.forEach((each) => void each.destroy()));
    // In batches that the queue of the listening socket has room for: who is dropped there and says nothing is never told.
    for (let batch = 0; batch < 50; batch++) {
      const opened = Array.from({ length: 20 }, () => connect({ host: hostname, port: Number(port) }));
      for (const socket of opened) {
        socket.on('error', () => {});
        socket.resume();
        ends.push(new Promise((resolve) => socket.once('close', resolve)));
        sockets.push(socket);
      }
      await Promise.all(opened.map((socket) => once(socket, 'connect')));
      const upgraded = await Promise.all(Array.from({ length: 20 }, () => openRaw(server.url)));
      for (const socket of upgraded) socket.resume();
    }
    await finish();
    // Whoever has not even asked for an upgrade is let go as well.
    await Promise.all(ends);
    await connectionsOf(server, 2);
    const late = new Worker(server.url, { reconnect: { minDelayMs: 10, maxDelayMs: 100 } });
    atEnd(() => late.close());
    await late.connect();
    expect((await late.pull(['w'])).version).toBe(2 * STEPS);
  });

  it('that are opened and hung up without end wait for their turn; a new worker gets one, and the server ends', async () => {
    const { server, finish, warnings } = await newScene({ limits: { maxConnections: 64 } });
    const { url } = server;
    let isOver = false;
    const open = async (): Promise<void> => {
      while (!isOver) (await openRaw(url).catch(() => undefined))?.destroy();
    };
    const crowd = Array.from({ length: 16 }, open);
    const isWaiting = () => warnings.some((each) => each.includes('new connections wait'));
    await expect.poll(isWaiting).toBe(true);
    await finish();
    const late = new Worker(server.url, { connectTimeoutMs: 120_000 });
    atEnd(() => late.close());
    expect((await late.pull(['w'])).version).toBe(2 * STEPS);
    await late.close();
    // Some wait now.
    const closing = server.close();
    isOver = true;
    await Promise.all([closing, ...crowd]);
  });

  it('from one address are bounded, those that have shown a token don’t count', async () => {
    const http = createServer();
    // Real sockets, which say that they come from elsewhere.
    http.prependListener('connection', (socket: Socket) => {
      Object.defineProperty(socket, 'remoteAddress', { value: '192.0.2.1' });
    });
    atEnd(() => http.close());
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const limits = { maxConnectionsPerAddress: 2 };
    await newServer({ server: http, path: '/open', limits }).listen();
    await newServer({ server: http, path: '/closed', limits, auth: 'token' }).listen();
    const base = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const first = await RawClient.open(`${base}/open`);
    await RawClient.open(`${base}/open`);
    await expect(RawClient.open(`${base}/open`)).rejects.toThrow('HTTP 429');
    first.socket.terminate();
    await first.closed;
    await expect.poll(() => RawClient.open(`${base}/open`).then(() => 'taken', String)).toBe('taken');
    const headers = { authorization: 'Bearer token' };
    for (let i = 0; i < 5; i++) await RawClient.open(`${base}/closed`, { headers });
    await expect(RawClient.open(`${base}/closed`)).rejects.toThrow('HTTP 401');
  });

  it('of more workers than maxSessions are refused, whoever is known is not', async () => {
    const { server, finish } = await newScene({ limits: { maxSessions: 2 } });
    const third = await RawClient.open(server.url);
    third.send({ t: MessageType.hello, protocol: 1, worker: 'c', session: 'c', readOnly: false });
    expect((await third.next()).message).toMatchObject({ t: MessageType.fault, code: 9 });
    await finish();
  });
});

describe('requests of HTTP', () => {
  async function answerTo(server: ParameterServer, text: string): Promise<string> {
    const { hostname, port } = new URL(server.url);
    const socket = connect({ host: hostname, port: Number(port) });
    atEnd(() => socket.destroy());
    socket.on('error', () => {});
    socket.write(text);
    let all = '';
    try {
      for await (const part of socket) all += String(part);
    } catch {}
    return all.slice(9, 12);
  }

  it('with headers without end are answered 431', async () => {
    const { server, finish } = await newScene();
    const flood = `GET / HTTP/1.1\r\n${'X-Flood: 0123456789\r\n'.repeat(5000)}`;
    const answers = Promise.all(Array.from({ length: 10 }, () => answerTo(server, flood)));
    await finish();
    expect(new Set(await answers)).toEqual(new Set(['431']));
  });

  it('that are never whole are answered 408 when helloTimeoutMs is over', async () => {
    const { server, finish } = await newScene({ limits: { helloTimeoutMs: 2000 } });
    const answers = Promise.all(
      Array.from({ length: 10 }, () => answerTo(server, 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ')),
    );
    await finish();
    expect(new Set(await answers)).toEqual(new Set(['408']));
  });
});

it('what the flood helpers send are frames of the protocol', () => {
  expect(decodeFrame(encodeFrame(pull(1))).message).toEqual(pull(1));
});
