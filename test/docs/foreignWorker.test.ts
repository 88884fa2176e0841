import { randomBytes } from 'node:crypto';
import { decode } from '@msgpack/msgpack';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ParameterServer, type ParameterServerOptions, sgd, ssp } from '../../src/index.js';
import { type Fields, ForeignWorker } from './foreignWorker.js';

// docs/protocol.md is enough to write a worker: one that was written from it trains on a real server.

const LENGTH = 700;
const chunkBytes = 1024;
const parameters = {
  weights: { shape: [7, 100] },
  bias: { shape: [3], data: Float32Array.of(1, 2, 3) },
  frozen: { shape: [2], init: 'ones', trainable: false },
} as const;

let server: ParameterServer;
let url: string;
const session = (): string => randomBytes(16).toString('hex');

async function start(options: Partial<ParameterServerOptions> = {}): Promise<void> {
  server = new ParameterServer({
    parameters,
    optimizer: sgd({ learningRate: 1 }),
    consistency: ssp({ staleness: 1 }),
    limits: { chunkBytes },
    port: 0,
    ...options,
  });
  await server.listen();
  url = server.url;
}

beforeEach(() => start());
afterEach(() => server.close());

/** A connection that has been welcomed. */
async function welcomed(fields: Fields = {}) {
  const worker = await ForeignWorker.open(url);
  const welcome = await worker.hello({ worker: 'f', session: session(), ...fields });
  return { worker, welcome };
}

describe('a foreign worker', () => {
  test('learns the model from Welcome', async () => {
    const { worker, welcome } = await welcomed();
    expect(welcome).toMatchObject({ epoch: 1, committedSeq: 0, clock: 0, version: 0, chunkBytes });
    expect(decode(welcome.payload)).toEqual([
      ['weights', [7, 100], 'float32', true],
      ['bias', [3], 'float32', true],
      ['frozen', [2], 'float32', false],
    ]);
    worker.cut();
  });

  test('pulls in chunks, pushes in chunks, ticks, and says goodbye', async () => {
    const { worker, welcome } = await welcomed();
    const training = { training: true, consistent: true };
    const first = await worker.pull({ request: 1, clock: 0, ...training });
    expect([...first.values]).toEqual([...Array(LENGTH).fill(0), 1, 2, 3, 1, 1]);

    const version = [welcome.incarnation, first.head.version];
    const gradient = Array.from({ length: LENGTH + 3 }, (_, i) => -i);
    const tensors = Uint8Array.of(0b011);
    worker.push({ seq: 1, clock: 0, version, tensors, tick: 1 }, gradient, chunkBytes);
    // Behind the push, in the same exchange: it sees it.
    const bias = { tensors: Uint8Array.of(2), ifNewerThan: version };
    worker.send({ t: 13, request: 2, clock: 1, ...bias, ...training });
    expect(await worker.next(74)).toMatchObject({ seq: 1, outcome: 0, version: 1, delay: 0, clock: 1 });
    const answer = await worker.next(71);
    expect(answer).toMatchObject({ request: 2, version: 1, bytes: 12 });
    expect(answer.payload.readFloatLE(0)).toBe(1 + LENGTH);

    worker.send({ t: 2, reason: 'done' });
    expect(await worker.closed()).toBe(1000);
    expect((await server.parameters()).tensors.weights?.data[LENGTH - 1]).toBe(LENGTH - 1);
  });

  test('may send signs of life between the parts of a push', async () => {
    const { worker } = await welcomed();
    worker.send({ t: 15, seq: 1, clock: 0, tensors: Uint8Array.of(2), bytes: 12 }, new Uint8Array(8));
    worker.send({ t: 3 });
    await worker.next(65);
    worker.send({ t: 16, seq: 1, offset: 8 }, new Uint8Array(4));
    expect(await worker.next(74)).toMatchObject({ seq: 1, outcome: 0, clock: 0 });
    worker.send({ t: 16, seq: 1, offset: 12 }, new Uint8Array(4));
    expect(await worker.next(66)).toMatchObject({ code: 20 });
    expect(await worker.closed()).toBe(1008);
  });

  test('resumes its session, and a push that it sends twice is applied once', async () => {
    const key = session();
    const first = await welcomed({ session: key });
    const push = { seq: 1, clock: 0, tensors: Uint8Array.of(2), tick: 1 };
    first.worker.push(push, [1, 1, 1], chunkBytes);
    await first.worker.next(74);
    first.worker.cut(); // as if the answer had been lost

    const lineage = first.welcome.lineage;
    const second = await welcomed({ session: key, lineage });
    expect(second.welcome).toMatchObject({ resumed: true, epoch: 1, committedSeq: 1, clock: 1 });
    second.worker.push(push, [1, 1, 1], chunkBytes);
    expect(await second.worker.next(74)).toMatchObject({ seq: 1, outcome: 0, duplicate: true, version: 1 });
    second.worker.push({ ...push, seq: 3, tick: 2, clock: 1 }, [1, 1, 1], chunkBytes);
    expect(await second.worker.next(66)).toMatchObject({ seq: 3, code: 6, expectedSeq: 2 });
    expect([...((await server.parameters()).tensors.bias?.data ?? [])]).toEqual([0, 1, 2]);

    // A connection that looks open is no obstacle to its own session; to another it is.
    const third = await welcomed({ session: key, lineage });
    expect(await second.worker.closed()).toBe(4300);
    const other = await ForeignWorker.open(url);
    other.send({ t: 1, protocol: 1, worker: 'f', session: session() });
    expect(await other.next(66)).toMatchObject({ code: 24 });
    expect(await other.closed()).toBe(4309);
    third.worker.cut();
  });

  test('is told why its pull waits, and keeps a copy fresh with waiting pulls', async () => {
    const fast = (await welcomed({ worker: 'fast' })).worker;
    const slow = (await welcomed({ worker: 'slow' })).worker;
    for (const [request, worker] of [fast, slow].entries()) {
      worker.send({ t: 10, request });
      expect(await worker.next(70)).toMatchObject({ request, clock: 0, minClock: 0 });
    }
    for (const clock of [1, 2]) {
      fast.send({ t: 12, request: clock, clock });
      await fast.next(70);
    }
    fast.send({ t: 13, request: 3, training: true, clock: 2, consistent: true });
    const waiting = await fast.next(73);
    expect(waiting).toMatchObject({ request: 3, reason: 0 });
    expect(waiting.laggards).toMatchObject([['slow', 0, expect.any(Number)]]);

    const reader = await welcomed({ worker: 'reader', readOnly: true });
    const ifNewerThan = [reader.welcome.incarnation, 0];
    reader.worker.send({ t: 13, request: 1, clock: 0, ifNewerThan, wait: true, consistent: true });
    slow.push({ seq: 1, clock: 0, tensors: Uint8Array.of(2), tick: 1 }, [1, 1, 1], chunkBytes);
    expect(await reader.worker.next(71)).toMatchObject({ request: 1, version: 1 });
    expect(await fast.next(71)).toMatchObject({ request: 3, minClock: 1 });
    for (const worker of [fast, slow, reader.worker]) worker.cut();
  });

  test('is refused as the page says', async () => {
    const { worker } = await welcomed();
    worker.push({ seq: 1, clock: 0 }, Array(LENGTH + 5).fill(0), chunkBytes);
    expect(await worker.next(66)).toMatchObject({ seq: 1, code: 5, tensor: 'frozen' });
    worker.push({ seq: 2, clock: 0, tensors: Uint8Array.of(2) }, [1], chunkBytes);
    expect(await worker.next(66)).toMatchObject({ seq: 2, code: 2 });
    worker.send({ t: 13, request: 9, clock: 0, tensors: Uint8Array.of(0b1000) });
    expect(await worker.next(66)).toMatchObject({ request: 9, code: 1 });
    worker.send({ t: 12, request: 10, clock: 2 });
    expect(await worker.next(66)).toMatchObject({ request: 10, code: 7 });
    // Malformed messages: four are told of, the fifth ends the connection.
    worker.sendRaw('text');
    worker.sendRaw(Uint8Array.of(1, 2, 3));
    worker.send({ t: 99 });
    worker.send({ t: 3 }, Uint8Array.of(1));
    for (let i = 0; i < 4; i++) expect((await worker.next(66)).code).toBe(20);
    worker.send({ t: 12, request: 11 });
    expect(await worker.next(66)).toMatchObject({ code: 20 });
    expect(await worker.closed()).toBe(1008);

    const early = await ForeignWorker.open(url);
    early.send({ t: 3 });
    expect(await early.next(66)).toMatchObject({ code: 20 });
    expect(await early.closed()).toBe(1008);
    const newer = await ForeignWorker.open(url);
    newer.send({ t: 1, protocol: 2, worker: 'f', session: session() });
    expect(await newer.next(66)).toMatchObject({ code: 21 });
    expect(await newer.closed()).toBe(4406);
    const big = (await welcomed({ worker: 'big' })).worker;
    big.sendRaw(new Uint8Array(chunkBytes + 16_449));
    expect(await big.closed()).toBe(1009);
  });

  test('is told when training is over and when the server closes', async () => {
    const { worker } = await welcomed();
    server.finish('enough');
    expect(await worker.next(67)).toMatchObject({ reason: 'enough' });
    const late = (await welcomed({ worker: 'late' })).worker;
    expect(await late.next(67)).toMatchObject({ reason: 'enough' });
    await server.close();
    expect(await worker.next(66)).toMatchObject({ code: 11 });
    expect([await worker.closed(), await late.closed()]).toEqual([4310, 4310]);
  });
});
