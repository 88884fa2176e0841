import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { eventOf, floats, listeningServer, newServer, RawClient } from './rawClient.js';

const parameters = {
  w: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  b: { shape: [1], trainable: false },
};

describe('parameters()', () => {
  it('is a copy of one version, with shapes', async () => {
    const server = newServer({ noServer: true, parameters });
    const snapshot = await server.parameters();
    expect(snapshot).toEqual({
      version: 0,
      tensors: {
        w: { shape: [2, 2], dtype: 'float32', data: Float32Array.of(1, 2, 3, 4) },
        b: { shape: [1], dtype: 'float32', data: Float32Array.of(0) },
      },
    });
    snapshot.tensors.w?.data.fill(9);
    expect((await server.parameters()).tensors.w?.data[0]).toBe(1);
  });

  it('of a model of many slices, while it trains, is never a mixture', async () => {
    const length = 1_200_000;
    const server = await listeningServer({
      parameters: { w: { shape: [length] } },
      limits: { chunkBytes: 2 ** 23 },
    });
    const worker = await RawClient.join(server.url, 'a');
    const ones = new Array(length).fill(1);
    const answers = [1, 2, 3].map(() => worker.push(ones));
    const snapshots = await Promise.all([
      server.parameters(),
      server.parameters(),
      answers[0],
      server.parameters(),
    ]);
    for (const snapshot of snapshots) {
      if (typeof snapshot !== 'object') continue;
      const { version, tensors } = snapshot;
      expect(tensors.w?.data.every((value) => value === -version)).toBe(true);
    }
    expect(await Promise.all(answers)).toEqual(['applied v1', 'applied v2', 'applied v3']);
  });

  it('rejects once the server is closed', async () => {
    const server = await listeningServer();
    await server.close();
    await expect(server.parameters()).rejects.toMatchObject({ code: 'PS_CLOSED' });
  });
});

describe('load()', () => {
  it('replaces all values; the version rises by 1, and a watcher hears of it', async () => {
    const server = await listeningServer({ parameters });
    const watcher = await RawClient.join(server.url, 'r', { readOnly: true });
    const { incarnation } = await (await RawClient.open(server.url)).hello('w');
    watcher.ask({ wait: true, ifNewerThan: { incarnation, version: 0 } });
    const snapshot = await server.parameters();
    snapshot.tensors.w?.data.set([5, 6, 7, 8]);
    await server.load(snapshot);
    snapshot.tensors.w?.data.fill(0);
    expect(await watcher.nextText()).toBe('pulled v1');
    expect((await server.parameters()).tensors.w?.data).toEqual(Float32Array.of(5, 6, 7, 8));
  });

  const tensor = (shape: readonly number[], ...values: number[]) => ({
    shape,
    dtype: 'float32' as const,
    data: Float32Array.from(values),
  });
  it.each<[string, unknown, string]>([
    ['undefined', undefined, 'PS_INVALID_ARGUMENT'],
    ['null', null, 'PS_INVALID_ARGUMENT'],
    ['no tensors', {}, 'PS_INVALID_ARGUMENT'],
    ['null tensors', { tensors: null }, 'PS_INVALID_ARGUMENT'],
    ['a missing tensor', { tensors: { w: tensor([2, 2], 1, 2, 3, 4) } }, 'PS_INVALID_ARGUMENT'],
    [
      'a tensor too many',
      { tensors: { w: tensor([2, 2], 1, 2, 3, 4), b: tensor([1], 1), c: tensor([1], 1) } },
      'PS_UNKNOWN_TENSOR',
    ],
    ['a wrong length', { tensors: { w: tensor([2, 2], 1, 2, 3), b: tensor([1], 1) } }, 'PS_INVALID_ARGUMENT'],
    ['a wrong shape', { tensors: { w: tensor([4], 1, 2, 3, 4), b: tensor([1], 1) } }, 'PS_INVALID_ARGUMENT'],
    [
      'plain numbers',
      { tensors: { w: { shape: [2, 2], data: [1, 2, 3, 4] }, b: tensor([1], 1) } },
      'PS_INVALID_ARGUMENT',
    ],
    ['NaN', { tensors: { w: tensor([2, 2], 1, Number.NaN, 3, 4), b: tensor([1], 1) } }, 'PS_NOT_FINITE'],
  ])('of %s rejects and changes nothing', async (_what, snapshot, code) => {
    const server = newServer({ noServer: true, parameters });
    await expect(server.load(snapshot as never)).rejects.toMatchObject({ code });
    const after = await server.parameters();
    expect([after.version, after.tensors.w?.data[0]]).toEqual([0, 1]);
  });
});

describe('settings', () => {
  it('the learning rate, the optimizer and the model change while it runs', async () => {
    const server = await listeningServer({ optimizer: momentum({ learningRate: 1, momentum: 0.5 }) });
    const worker = await RawClient.join(server.url, 'a');
    await worker.push([2, 0, 0, 0]);
    await server.setLearningRate(0.5);
    await worker.push([2, 0, 0, 0]);
    expect((await worker.pull())[0]).toBe(-4);
    await server.setOptimizer(sgd({ learningRate: (version) => version }));
    await worker.push([1, 0, 0, 0]);
    expect((await worker.pull())[0]).toBe(-6);
    await server.setConsistency(bsp());
    expect(server.consistency).toEqual({ name: 'bsp', backupWorkers: 0 });
    expect(await worker.push([1, 0, 0, 0])).toBe('buffered v3');
    await server.setConsistency(asp());
    expect((await worker.pull())[0]).toBe(-9);
  });

  it('a pull that waits is answered by a wider bound', async () => {
    const server = await listeningServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [await RawClient.join(server.url, 'a'), await RawClient.join(server.url, 'b')];
    b.send({ t: MessageType.enter, request: 1 });
    await b.next();
    a.send({ t: MessageType.tick, request: 100, clock: 1 });
    await a.next();
    a.ask({ training: true, clock: 1 });
    await a.ping();
    expect(server.stats().waitingPulls).toBe(1);
    await server.setConsistency(ssp({ staleness: 1 }));
    expect(await a.nextText()).toBe('pulled v0');
  });

  it.each<[string, (server: ReturnType<typeof newServer>) => Promise<void>, string]>([
    ['setLearningRate', (server) => server.setLearningRate(-1), 'learningRate'],
    ['setLearningRate', (server) => server.setLearningRate('0.1' as never), 'learningRate'],
    ['setOptimizer', (server) => server.setOptimizer('adam' as never), 'optimizer'],
    ['setConsistency', (server) => server.setConsistency({ name: 'ssp' } as never), 'ssp.staleness'],
    ['setConsistency', (server) => server.setConsistency(undefined as never), 'consistency'],
  ])('%s with a wrong argument rejects and names it', async (_name, call, option) => {
    const server = newServer({ noServer: true });
    await expect(call(server)).rejects.toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option } });
  });

  it('a rate schedule that throws makes setConsistency reject, and nothing changes', async () => {
    const cause = new Error('mine');
    const learningRate = (): number => {
      throw cause;
    };
    const server = newServer({ noServer: true, optimizer: sgd({ learningRate }) });
    await expect(server.setConsistency(asp())).rejects.toBe(cause);
    expect(server.consistency).toEqual({ name: 'ssp', staleness: 3 });
  });
});

describe('workers() and stats()', () => {
  it('say who is there, how far, and in what state', async () => {
    const server = await listeningServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [await RawClient.join(server.url, 'a'), await RawClient.join(server.url, 'b')];
    await RawClient.join(server.url, 'idle');
    await RawClient.join(server.url, 'reader', { readOnly: true });
    await b.push([1, 1, 1, 1]);
    await a.push([1, 1, 1, 1], { tick: 1 });
    b.send({ t: MessageType.computing, stepMs: 1000 });
    a.ask({ training: true, clock: 1 });
    await a.ping();
    const ms = expect.any(Number);
    const seen = { epoch: 1, lastSeenMs: ms, waitedMs: ms, awaitedMs: ms };
    await expect.poll(() => server.workers().find(({ id }) => id === 'b')?.state).toBe('computing');
    expect(server.workers()).toEqual([
      { id: 'b', role: 'worker', clock: 0, lead: 0, delay: 0, state: 'computing', ...seen },
      { id: 'a', role: 'worker', clock: 1, lead: 1, delay: 0, state: 'waiting', ...seen },
      { id: 'idle', role: 'worker', clock: 0, lead: undefined, delay: 0, state: 'idle', ...seen },
      { id: 'reader', role: 'reader', clock: 0, lead: undefined, delay: 0, state: 'idle', ...seen },
    ]);
    expect(server.stats()).toMatchObject({
      version: 2,
      minClock: 0,
      training: 2,
      connections: 4,
      waitingPulls: 1,
      pinnedVersions: 0,
      stagingBytes: 0,
    });
    expect(server.stats().receivedMessages).toBe(9);
    expect(server.stats().receivedBytes).toBeGreaterThanOrEqual(32);
    b.socket.terminate();
    await expect.poll(() => server.workers()[0]?.state).toBe('disconnected');
  });
});

describe('finish()', () => {
  it('is told to those that are connected and to those that come later', async () => {
    const server = await listeningServer();
    const a = await RawClient.join(server.url, 'a');
    server.finish('done');
    expect(await a.nextText()).toBe('finish: done');
    const b = await RawClient.join(server.url, 'b');
    expect(await b.nextText()).toBe('finish: done');
  });
});

describe('events', () => {
  it('tell of workers, updates, clocks, metrics and refusals', async () => {
    const server = await listeningServer({ delay: { max: 0 } });
    const told: unknown[] = [];
    for (const name of ['worker:join', 'worker:leave', 'update', 'clock', 'metrics', 'rejected'] as const) {
      server.on(name as 'update', (event: unknown) => told.push([name, event]));
    }
    const a = await RawClient.join(server.url, 'a');
    const { incarnation } = await (await RawClient.open(server.url)).hello('b');
    await a.push([1, 0, 0, 0], { tick: 1, metrics: { loss: 2 }, examples: 5 });
    await a.push([1, 0, 0, 0], { clock: 1, version: { incarnation, version: 0 } });
    a.send({ t: MessageType.goodbye, reason: 'done' });
    await a.closed;
    const worker = { id: 'a', clock: 0, delay: 0 };
    expect(told).toEqual([
      ['worker:join', { id: 'a', epoch: 1, role: 'worker' }],
      ['worker:join', { id: 'b', epoch: 1, role: 'worker' }],
      [
        'update',
        {
          version: 1,
          workers: ['a'],
          clock: worker.clock,
          delay: 0,
          scaled: false,
          applyMs: expect.any(Number),
        },
      ],
      ['metrics', { clock: 0, workers: 1, examples: 5, metrics: { loss: 2 } }],
      ['clock', { minClock: 1 }],
      ['rejected', { id: 'a', error: undefined, clock: 1, delay: 1 }],
      ['worker:leave', { id: 'a', reason: 'goodbye' }],
    ]);
  });

  it('of a logger: who came and went, and what went wrong', async () => {
    const lines: string[] = [];
    const note = (level: string) => (message: string) => lines.push(`${level} ${message}`);
    const logger = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };
    const server = await listeningServer({ logger });
    const a = await RawClient.join(server.url, 'a');
    const rejected = eventOf(server, 'rejected');
    a.send({ t: MessageType.push, seq: 1, clock: 0, bytes: 16 }, floats([Number.NaN, 0, 0, 0]));
    await rejected;
    expect(lines[0]).toMatch(/^info worker a joined/);
    expect(lines[1]).toMatch(/^warn .*PS_NOT_FINITE|^warn .*not finite/);
  });
});
