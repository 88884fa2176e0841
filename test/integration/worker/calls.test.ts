import { createServer } from 'node:net';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { PsError } from '../../../src/core/base/errors.js';
import { bsp, ssp } from '../../../src/core/consistency/consistency.js';
import type { Tensor } from '../../../src/core/tensor/tensor.js';
import { Worker as BrowserWorker } from '../../../src/io/worker/browser/worker.js';
import { Worker } from '../../../src/io/worker/node/worker.js';
import { codeOf, gradientsOf, nextEvent, PARAMETERS, startServer, startWorker } from './bench.js';

async function connected(options = {}) {
  const server = await startServer({ parameters: PARAMETERS });
  const worker = startWorker(server.url, options);
  await worker.connect();
  return { server, worker };
}

describe('pull', () => {
  it('brings all parameters by name, in fresh arrays', async () => {
    const { worker } = await connected();
    const first = await worker.pull();
    expectTypeOf(first.tensors.a).toEqualTypeOf<Tensor>();
    expect(first).toMatchObject({ modified: true, version: 0, clock: 0 });
    expect(first.tensors).toEqual({
      a: { shape: [2, 3], dtype: 'float32', data: new Float32Array(6) },
      b: { shape: [4], dtype: 'float32', data: Float32Array.of(1, 2, 3, 4) },
      fixed: { shape: [], dtype: 'float32', data: Float32Array.of(9) },
    });
    const second = await worker.pull();
    first.tensors.b.data.fill(7);
    expect([...second.tensors.b.data]).toEqual([1, 2, 3, 4]);
  });

  it('brings some, whatever the order of their names', async () => {
    const { worker } = await connected();
    const { tensors } = await worker.pull(['fixed', 'b', 'b']);
    expectTypeOf<keyof typeof tensors>().toEqualTypeOf<'fixed' | 'b'>();
    expect(Object.keys(tensors)).toEqual(['b', 'fixed']);
    expect([...tensors.b.data, ...tensors.fixed.data]).toEqual([1, 2, 3, 4, 9]);
    expect((await worker.pull([])).tensors).toEqual({});
  });

  it('puts them into arrays or tensors that are given', async () => {
    const { worker } = await connected();
    const b = new Float32Array(4);
    const held = await worker.pull(['a']);
    const { tensors } = await worker.pull(undefined, { into: { b, a: held.tensors.a } });
    expect(tensors.b.data).toBe(b);
    expect(tensors.a.data).toBe(held.tensors.a.data);
    expect([...b]).toEqual([1, 2, 3, 4]);
  });

  it('says that there is nothing newer', async () => {
    const { worker } = await connected();
    const { version } = await worker.pull();
    const same = await worker.pull(undefined, { ifNewerThan: version });
    expect(same).toEqual({ modified: false, tensors: {}, version, clock: 0 });
    await worker.push(gradientsOf(1));
    const newer = await worker.pull(['b'], { ifNewerThan: version });
    expect(newer.modified).toBe(true);
    if (newer.modified) expect([...newer.tensors.b.data]).toEqual([0, 1, 2, 3]);
  });

  it('refuses unknown names, wrong destinations and wrong options', async () => {
    const { worker } = await connected();
    const any = worker as unknown as Worker<Record<string, Tensor>>;
    expect(await codeOf(any.pull(['nope']))).toBe('PS_UNKNOWN_TENSOR');
    expect(await codeOf(any.pull('a' as never))).toBe('PS_INVALID_ARGUMENT');
    expect(await codeOf(any.pull([1] as never))).toBe('PS_INVALID_ARGUMENT');
    expect(await codeOf(any.pull(undefined, { into: { b: new Float32Array(3) } }))).toBe('PS_WRONG_LENGTH');
    expect(await codeOf(any.pull(undefined, { into: { b: [1, 2, 3, 4] as never } }))).toBe(
      'PS_INVALID_ARGUMENT',
    );
    expect(await codeOf(any.pull(undefined, { into: { x: new Float32Array(3) } }))).toBe('PS_UNKNOWN_TENSOR');
    expect(await codeOf(any.pull(undefined, { ifNewerThan: 1.5 }))).toBe('PS_INVALID_ARGUMENT');
  });

  it('waits for slower workers, says for whom, and goes on when they catch up', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: ssp({ staleness: 1 }) });
    const fast = startWorker(server.url, { id: 'fast' });
    const slow = startWorker(server.url, { id: 'slow' });
    await slow.pull();
    await fast.pull();
    for (let i = 0; i < 2; i++) await fast.tick();
    const waits = nextEvent<{ reason: string; laggards: { id: string; clock: number }[] }>(fast, 'waiting');
    const pull = fast.pull();
    expect(await waits).toMatchObject({ reason: 'staleness', laggards: [{ id: 'slow', clock: 0 }] });
    await slow.tick();
    expect(await pull).toMatchObject({ clock: 2 });
  });

  it('that waits too long names who it waits for', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: bsp() });
    const slow = startWorker(server.url, { id: 'slow' });
    const fast = startWorker(server.url, { id: 'fast', pullTimeoutMs: 1500 });
    await slow.pull();
    await fast.pull();
    await fast.tick();
    const error = (await fast.pull().catch((reason: unknown) => reason)) as PsError;
    expect(error).toMatchObject({
      code: 'PS_PULL_TIMEOUT',
      details: { laggards: [{ id: 'slow', clock: 0 }] },
    });
    expect(error.message).toContain('slow at clock 0');
    await slow.tick();
    expect(await fast.pull()).toMatchObject({ clock: 1 });
  });
});

describe('push', () => {
  it('is applied, and says to which version and how late', async () => {
    const { server, worker } = await connected();
    const { version } = await worker.pull();
    expect(await worker.push(gradientsOf(1))).toEqual({
      outcome: 'applied',
      duplicate: false,
      version: 1,
      delay: 0,
    });
    expect(await worker.push({ b: new Float32Array(4).fill(2) })).toEqual({
      outcome: 'applied',
      duplicate: false,
      version: 2,
      delay: 1,
    });
    expect(version).toBe(0);
    const { tensors } = await server.parameters();
    expect([...tensors.a.data, ...tensors.b.data]).toEqual([-1, -1, -1, -1, -1, -1, -2, -1, 0, 1]);
  });

  it('carries metrics and examples to the server', async () => {
    const { server, worker } = await connected();
    const heard = nextEvent<{ examples: number; metrics: object }>(server, 'metrics');
    await worker.push(gradientsOf(1), { metrics: { loss: 0.25 }, examples: 32 });
    await worker.tick();
    expect(await heard).toMatchObject({ examples: 32, metrics: { loss: 0.25 } });
  });

  it('that is wrong is refused, and changes nothing', async () => {
    const { server, worker } = await connected();
    const push = (gradients: unknown) => codeOf(worker.push(gradients as never));
    expect(await push({ nope: new Float32Array(1) })).toBe('PS_UNKNOWN_TENSOR');
    expect(await push({ a: new Float32Array(5) })).toBe('PS_WRONG_LENGTH');
    expect(await push({ a: new Float64Array(6) })).toBe('PS_GRADIENT_INVALID');
    expect(await push({ fixed: new Float32Array(1) })).toBe('PS_NOT_TRAINABLE');
    expect(await push({ b: Float32Array.of(0, Number.NaN, 0, 0) })).toBe('PS_NOT_FINITE');
    expect(await push(undefined)).toBe('PS_GRADIENT_INVALID');
    expect(server.stats().version).toBe(0);
    expect(await worker.push(gradientsOf(1))).toMatchObject({ outcome: 'applied', version: 1 });
  });

  it('of a larger model than a message arrives whole', async () => {
    const parameters = { w: { shape: [700, 1000] }, v: { shape: [3] } } as const;
    const server = await startServer({ parameters });
    const worker = startWorker<typeof parameters>(server.url);
    const w = Float32Array.from({ length: 700_000 }, (_, i) => i % 1000);
    await worker.push({ w, v: Float32Array.of(1, 2, 3) });
    const { tensors } = await worker.pull();
    expect(tensors.w.data.every((value, i) => value === 0 - (i % 1000))).toBe(true);
    expect([...tensors.v.data]).toEqual([-1, -2, -3]);
  });

  it('may be one of many that nobody waits for in between', async () => {
    const { server, worker } = await connected();
    const results = await Promise.all(Array.from({ length: 50 }, () => worker.push(gradientsOf(1))));
    expect(results.map(({ version }) => version)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect((await server.parameters()).tensors.a.data[0]).toBe(-50);
  });
});

describe('tick and pushPull', () => {
  it('raise the clock', async () => {
    const { worker } = await connected();
    expect(worker.clock).toBe(0);
    await worker.pull();
    expect(await worker.tick()).toEqual({ clock: 1, minClock: 1 });
    expect(worker.clock).toBe(1);
    const both = await worker.pushPull(gradientsOf(2));
    expect(both.push).toEqual({ outcome: 'applied', duplicate: false, version: 1, delay: 0 });
    expect(both.pull).toMatchObject({ modified: true, version: 1, clock: 2 });
    expect([...both.pull.tensors.b.data]).toEqual([-1, 0, 1, 2]);
    expect(worker.clock).toBe(2);
  });

  it('do nothing when the push is refused: the worker can go on', async () => {
    const { worker } = await connected();
    expect(await codeOf(worker.pushPull({ b: new Float32Array(4).fill(Number.POSITIVE_INFINITY) }))).toBe(
      'PS_NOT_FINITE',
    );
    expect(worker.clock).toBe(0);
    expect((await worker.pushPull(gradientsOf(1))).pull).toMatchObject({ version: 1, clock: 1 });
  });
});

describe('a reader', () => {
  it('pulls, holds nobody back, and may not train', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: bsp() });
    const reader = startWorker(server.url, { readOnly: true });
    const worker = startWorker(server.url);
    expect((await reader.pull()).version).toBe(0);
    for (let i = 0; i < 3; i++) {
      await worker.pull();
      await worker.pushPull(gradientsOf(1));
    }
    expect((await reader.pull()).version).toBeGreaterThan(0);
    expect(await codeOf(reader.push(gradientsOf(1)))).toBe('PS_FORBIDDEN');
    expect(await codeOf(reader.tick())).toBe('PS_FORBIDDEN');
    expect(await codeOf(reader.run(() => ({ gradients: {} }), { steps: 1 }))).toBe('PS_FORBIDDEN');
  });
});

describe('leave', () => {
  it('ends others’ waiting at once; the next pull enters again at minClock', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: ssp({ staleness: 0 }) });
    const fast = startWorker(server.url, { id: 'fast' });
    const slow = startWorker(server.url, { id: 'slow' });
    await slow.pull();
    await fast.pull();
    await fast.tick();
    const waits = nextEvent(fast, 'waiting');
    const pull = fast.pull();
    await waits;
    expect(await slow.leave()).toEqual({ clock: 0, minClock: 1 });
    expect(await pull).toMatchObject({ clock: 1 });
    // Twice is once; a reader has no place to leave.
    expect(await slow.leave()).toEqual({ clock: 0, minClock: 1 });
    expect(await codeOf(startWorker(server.url, { readOnly: true }).leave())).toBe('PS_FORBIDDEN');
    expect(await slow.pull()).toMatchObject({ clock: 1 });
    expect(server.workers().filter(({ state }) => state === 'training')).toHaveLength(2);
  });
});

describe('connecting', () => {
  it('is done by the first call that needs it', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const worker = startWorker(server.url);
    expect(worker.connected).toBe(false);
    const results = await Promise.all([worker.push(gradientsOf(1)), worker.pull(), worker.tick()]);
    expect(results[1].version).toBe(1);
    expect(worker.connected).toBe(true);
  });

  it('waits for a server that does not listen yet', async () => {
    const first = await startServer({ parameters: PARAMETERS });
    const port = first.address()?.port ?? 0;
    await first.close();
    const worker = startWorker(`ws://127.0.0.1:${port}`);
    const tried = nextEvent(worker, 'reconnecting');
    const done = worker.connect();
    await tried;
    await startServer({ parameters: PARAMETERS, port });
    await done;
    expect(worker.connected).toBe(true);
  });

  it('to nobody says so, with the reason', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    await server.close();
    const url = `ws://127.0.0.1:${new URL('http://127.0.0.1:9').port}`;
    const worker = startWorker(url, { connectTimeoutMs: 1000 });
    const error = (await worker.connect().catch((reason: unknown) => reason)) as PsError;
    expect(error.code).toBe('PS_CONNECT_TIMEOUT');
    expect(error.cause).toMatchObject({ code: 'PS_CONNECT_FAILED' });
    const once = startWorker(url, { reconnect: false });
    expect(await codeOf(once.connect())).toBe('PS_CONNECT_FAILED');
    expect(await codeOf(once.pull())).toBe('PS_CONNECT_FAILED');
  });

  it('to something that is no pslib server says so', async () => {
    const sockets = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'));
    });
    await new Promise<void>((resolve) => sockets.listen(0, '127.0.0.1', resolve));
    const { port } = sockets.address() as { port: number };
    const worker = startWorker(`ws://127.0.0.1:${port}`, { connectTimeoutMs: 1000 });
    const error = (await worker.connect().catch((reason: unknown) => reason)) as PsError;
    expect(error.code).toBe('PS_CONNECT_TIMEOUT');
    expect(error.message).toContain('404');
    await new Promise((resolve) => sockets.close(resolve));
  });

  it('under an id that is in use waits for it', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const first = startWorker(server.url, { id: 'same' });
    await first.connect();
    const second = startWorker(server.url, { id: 'same' });
    const refused = nextEvent<{ error: PsError }>(second, 'reconnecting');
    const done = second.connect();
    expect((await refused).error.code).toBe('PS_ID_IN_USE');
    await first.close();
    await done;
    expect(second.connected).toBe(true);
  });

  it('asks for the url and the token each time', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const asked: string[] = [];
    const worker = startWorker(
      () => {
        asked.push('url');
        return [server.url];
      },
      {
        token: async () => {
          asked.push('token');
          return 'secret';
        },
      },
    );
    await worker.connect();
    const opened = nextEvent(worker, 'open');
    worker.cut();
    await opened;
    expect(asked).toEqual(['url', 'token', 'url', 'token']);
  });

  it('fails at once with a url or token that can be none, and tries again where a function throws', async () => {
    expect(await codeOf(startWorker(() => 'http://x').connect())).toBe('PS_INVALID_ARGUMENT');
    expect(await codeOf(startWorker('ws://127.0.0.1:1', { token: () => 'a b' }).connect())).toBe(
      'PS_INVALID_ARGUMENT',
    );
    const server = await startServer({ parameters: PARAMETERS });
    let count = 0;
    const worker = startWorker(() => {
      count++;
      if (count === 1) throw new Error('not yet');
      return server.url;
    });
    await worker.connect();
    expect(count).toBe(2);
  });

  it('works through a standard WebSocket too', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const { WebSocket } = await import('ws');
    const standard = WebSocket as unknown as NonNullable<
      ConstructorParameters<typeof Worker>[1]
    >['WebSocket'];
    for (const worker of [
      new Worker<typeof PARAMETERS>(server.url, { WebSocket: standard }),
      new BrowserWorker<typeof PARAMETERS>(server.url, { WebSocket: standard }),
    ]) {
      const before = server.stats().version;
      const { steps } = await worker.run(() => ({ gradients: gradientsOf(1) }), { steps: 5 });
      expect([steps, server.stats().version]).toEqual([5, before + 5]);
      await worker.close();
    }
  });

  it('on a platform without WebSocket asks for one', async () => {
    const worker = new BrowserWorker('ws://127.0.0.1:1');
    const held = Object.getOwnPropertyDescriptor(globalThis, 'WebSocket');
    if (held !== undefined) Reflect.deleteProperty(globalThis, 'WebSocket');
    const error = (await worker.connect().catch((reason: unknown) => reason)) as PsError;
    if (held !== undefined) Object.defineProperty(globalThis, 'WebSocket', held);
    expect(error.code).toBe('PS_INVALID_ARGUMENT');
    expect(error.details.option).toBe('WebSocket');
  });
});

describe('aborting', () => {
  it('gives up a call, with the reason as cause', async () => {
    const server = await startServer({ parameters: PARAMETERS, minWorkers: 2 });
    const worker = startWorker(server.url);
    await worker.connect();
    const reason = new Error('enough');
    const controller = new AbortController();
    const waits = nextEvent(worker, 'waiting');
    const pull = worker.pull(undefined, { signal: controller.signal });
    await waits;
    controller.abort(reason);
    const error = (await pull.catch((thrown: unknown) => thrown)) as PsError;
    expect(error).toMatchObject({ code: 'PS_ABORTED', cause: reason });
    const { signal } = controller;
    expect(await codeOf(worker.pull(undefined, { signal }))).toBe('PS_ABORTED');
    expect(await codeOf(worker.push(gradientsOf(1), { signal }))).toBe('PS_ABORTED');
    expect(await codeOf(worker.tick({ signal }))).toBe('PS_ABORTED');
    expect(await codeOf(worker.connect({ signal }))).toBe('PS_ABORTED');
    expect(await worker.push(gradientsOf(1))).toMatchObject({ version: 1 });
  });

  it('gives up connecting', async () => {
    const worker = startWorker('ws://127.0.0.1:9');
    const controller = new AbortController();
    const tried = nextEvent(worker, 'reconnecting');
    const done = worker.connect({ signal: controller.signal });
    await tried;
    controller.abort();
    expect(await codeOf(done)).toBe('PS_ABORTED');
  });

  it('closes the worker by the signal of its options', async () => {
    const controller = new AbortController();
    const { worker } = await connected({ signal: controller.signal });
    const closed = nextEvent(worker, 'close');
    const errors: unknown[] = [];
    worker.on('error', (error) => errors.push(error));
    controller.abort();
    await closed;
    expect(await codeOf(worker.pull())).toBe('PS_ABORTED');
    expect(errors).toEqual([]);
    const late = startWorker('ws://127.0.0.1:9', { signal: controller.signal });
    expect(await codeOf(late.connect())).toBe('PS_ABORTED');
  });
});

describe('closing', () => {
  it('ends everything, once, and leaves', async () => {
    const { server, worker } = await connected();
    const left = nextEvent<{ id: string; reason: string }>(server, 'worker:leave');
    await worker.pull();
    const ends = [worker.close(), worker.close(), worker[Symbol.asyncDispose]()];
    await Promise.all(ends);
    expect(worker.connected).toBe(false);
    expect(await left).toMatchObject({ id: worker.id, reason: 'goodbye' });
    expect(await codeOf(worker.pull())).toBe('PS_CLOSED');
    expect(await codeOf(worker.push(gradientsOf(1)))).toBe('PS_CLOSED');
    expect(await codeOf(worker.connect())).toBe('PS_CLOSED');
  });

  it('before connecting is the end too', async () => {
    const worker = startWorker('ws://127.0.0.1:9');
    await worker.close();
    expect(await codeOf(worker.connect())).toBe('PS_CLOSED');
  });
});

describe('listeners', () => {
  it('that throw harm nothing, and are told to those of error', async () => {
    const { worker } = await connected();
    const thrown = new Error('a listener’s');
    const heard: unknown[] = [];
    worker.on('error', (error) => {
      heard.push(error);
      throw new Error('again');
    });
    worker.on('reconnecting', () => {
      throw thrown;
    });
    const opened = nextEvent(worker, 'open');
    worker.cut();
    await opened;
    expect(heard).toEqual([thrown]);
    expect((await worker.pull()).version).toBe(0);
  });

  it('may call the worker', async () => {
    const { worker } = await connected();
    const pulls: Promise<{ version: number }>[] = [];
    worker.on('open', () => pulls.push(worker.pull()));
    worker.on('reconnecting', () => pulls.push(worker.pull()));
    const opened = nextEvent(worker, 'open');
    worker.cut();
    await opened;
    const answers = await Promise.all(pulls);
    expect(answers.map(({ version }) => version)).toEqual([0, 0]);
  });
});
