/** What is wrong on the wire ends where it began: a typed answer, nothing changed, nobody else disturbed. */
import { beforeEach, describe, expect, it } from 'vitest';
import { encodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import type { ParameterServer } from '../../../src/io/server/parameterServer.js';
import { eventOf, floats, listeningServer, RawClient } from './rawClient.js';

const hello = { t: MessageType.hello, protocol: 1, worker: 'x', session: 'x', readOnly: false } as const;
const pushFrame = encodeFrame({ t: MessageType.push, seq: 1, clock: 0, bytes: 16 }, floats([1, 1, 1, 1]));

let server: ParameterServer;
let good: RawClient;

beforeEach(async () => {
  server = await listeningServer({ limits: { helloTimeoutMs: 60_000 } });
  good = await RawClient.join(server.url, 'good');
});

/** The parameters are as they were, and another worker can train. */
async function expectUndisturbed(): Promise<void> {
  expect((await server.parameters()).tensors.w?.data).toEqual(new Float32Array(4));
  expect(await good.push([1, 2, 3, 4])).toBe('applied v1');
  expect(await good.pull()).toEqual([-1, -2, -3, -4]);
}

describe('before hello', () => {
  it.each<[string, (client: RawClient) => void]>([
    ['a text frame', (client) => client.socket.send('hello')],
    ['an empty message', (client) => client.socket.send(new Uint8Array(0))],
    [
      'random bytes',
      (client) => client.socket.send(Uint8Array.from({ length: 999 }, (_, i) => (i * 7919) % 251)),
    ],
    ['a truncated hello', (client) => client.socket.send(encodeFrame(hello).subarray(0, 20))],
    ['another message', (client) => client.send({ t: MessageType.ping })],
    ['a push', (client) => client.socket.send(pushFrame)],
    ['a message of servers', (client) => client.send({ t: MessageType.pong })],
  ])('%s is PS_PROTOCOL and the end of the connection', async (_what, send) => {
    const client = await RawClient.open(server.url);
    send(client);
    expect(await client.nextText()).toBe('PS_PROTOCOL');
    expect((await client.closed).code).toBe(1008);
    await expectUndisturbed();
  });

  it('a message over the limit is not even read', async () => {
    const client = await RawClient.open(server.url);
    client.socket.send(new Uint8Array(2 ** 21));
    // Longer than a Hello, and longer than a message: whichever is seen first.
    expect([1008, 1009]).toContain((await client.closed).code);
    await expectUndisturbed();
  });

  it('another protocol version is PS_VERSION, for good', async () => {
    const client = await RawClient.open(server.url);
    client.send({ ...hello, protocol: 99 });
    expect(await client.nextText()).toBe('PS_VERSION');
    expect((await client.closed).code).toBe(4406);
  });

  it('a live id is PS_ID_IN_USE; the one that has it goes on', async () => {
    const client = await RawClient.open(server.url);
    client.send({ ...hello, worker: 'good' });
    expect(await client.nextText()).toBe('PS_ID_IN_USE');
    expect((await client.closed).code).toBe(4309);
    await expectUndisturbed();
  });

  it('silence ends the connection', async () => {
    // The request itself must be there within as much.
    const quick = await listeningServer({ limits: { helloTimeoutMs: 2000 } });
    const client = await RawClient.open(quick.url);
    expect(await client.nextText()).toBe('PS_LEASE_EXPIRED');
    await client.closed;
    await expect.poll(() => quick.stats().connections).toBe(0);
  });
});

describe('silence of a worker', () => {
  it('ends its lease, however short that is', async () => {
    const quick = await listeningServer({ limits: { leaseMs: 40 } });
    const client = await RawClient.join(quick.url, 'a');
    expect(await client.nextText()).toBe('PS_LEASE_EXPIRED');
    expect((await client.closed).code).toBe(4308);
  });
});

describe('of a worker that is known', () => {
  it.each<[string, (client: RawClient) => void]>([
    ['a text frame', (client) => client.socket.send('{"push":1}')],
    ['a truncated frame', (client) => client.socket.send(pushFrame.subarray(0, pushFrame.length - 1))],
    ['a frame that goes on', (client) => client.socket.send(Buffer.concat([pushFrame, Buffer.alloc(1)]))],
    [
      'random bytes',
      (client) => client.socket.send(Uint8Array.from({ length: 50 }, (_, i) => (i * 31) % 256)),
    ],
    ['a message of servers', (client) => client.send({ t: MessageType.finish, reason: '' })],
    ['hello again', (client) => client.send(hello)],
  ])('%s is PS_PROTOCOL; the fifth ends the connection', async (_what, send) => {
    const bad = await RawClient.join(server.url, 'bad');
    for (let i = 0; i < 4; i++) {
      send(bad);
      expect(await bad.nextText()).toBe('PS_PROTOCOL');
      expect(await bad.ping()).toBe('pong');
    }
    send(bad);
    expect(await bad.nextText()).toBe('PS_PROTOCOL');
    expect((await bad.closed).code).toBe(1008);
    await expectUndisturbed();
  });

  it.each<[string, (client: RawClient) => Promise<string>, string]>([
    ['a push of an unknown tensor', (client) => client.push([1], { tensors: [3] }), 'PS_UNKNOWN_TENSOR'],
    ['a push of a wrong length', (client) => client.push([1, 2]), 'PS_WRONG_LENGTH'],
    ['a push with NaN', (client) => client.push([1, Number.NaN, 1, 1]), 'PS_NOT_FINITE'],
    ['a push out of sequence', (client) => client.push([1, 1, 1, 1], { seq: 9 }), 'PS_SEQUENCE'],
    ['a push of a clock to come', (client) => client.push([1, 1, 1, 1], { clock: 3 }), 'PS_CLOCK'],
    [
      'a pull of an unknown tensor',
      (client) => {
        client.ask({ tensors: [1] });
        return client.nextText();
      },
      'PS_UNKNOWN_TENSOR',
    ],
  ])('%s is refused, and the connection goes on', async (_what, send, code) => {
    const bad = await RawClient.join(server.url, 'bad');
    const rejected = eventOf(server, 'rejected');
    expect(await send(bad)).toBe(code);
    expect(await rejected).toMatchObject({ id: 'bad', error: { code } });
    expect(await bad.ping()).toBe('pong');
    await expectUndisturbed();
  });

  it('a push of a reader is PS_FORBIDDEN and the end of its connection', async () => {
    const reader = await RawClient.join(server.url, 'reader', { readOnly: true });
    expect(await reader.push([1, 1, 1, 1])).toBe('PS_FORBIDDEN');
    expect((await reader.closed).code).toBe(4403);
    await expectUndisturbed();
  });

  it('a connection that is cut in the middle of a push leaves nothing', async () => {
    const bad = await RawClient.join(server.url, 'bad');
    bad.send({ t: MessageType.push, seq: 1, clock: 0, bytes: 16 }, floats([9, 9]));
    expect(await bad.ping()).toBe('pong');
    expect(server.stats().stagingBytes).toBe(16);
    bad.socket.terminate();
    await bad.closed;
    expect(await good.ping()).toBe('pong');
    await expect.poll(() => server.stats().stagingBytes).toBe(0);
    await expectUndisturbed();
  });
});
