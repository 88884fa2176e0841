import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { PsError } from '../../../src/core/base/errors.js';
import { Random } from '../../../src/core/base/random.js';
import { bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { Worker } from '../../../src/index.js';
import type { ParameterServer } from '../../../src/io/server/parameterServer.js';
import type { RollbackEvent, StepEvent } from '../../../src/io/worker/workerEvents.js';
import { codeOf, gradientsOf, nextEvent, PARAMETERS, startServer, startWorker } from './bench.js';

/** The port of `server`. */
function portOf(server: ParameterServer<never>): number {
  return server.address()?.port ?? 0;
}

describe('lost connections', () => {
  it('are not noticed by a run: every push is applied once', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const worker = startWorker(server.url);
    const random = new Random(5);
    worker.on('step', () => {
      if (random.nextInt(4) === 0) worker.cut();
    });
    let computed = 0;
    const summary = await worker.run(
      async ({ a }) => {
        expect(a.data[0]).toBe(0 - computed);
        computed++;
        // Cut while it computes, while the push is under way, or while the pull is.
        if (random.nextInt(4) === 0) worker.cut();
        if (random.nextInt(4) === 0) setImmediate(() => worker.cut());
        return { gradients: gradientsOf(1) };
      },
      { steps: 150 },
    );
    expect(summary.steps).toBe(150);
    expect(computed).toBe(150);
    expect(worker.connections).toBeGreaterThan(30);
    expect((await server.parameters()).tensors.a.data[0]).toBe(-150);
    expect(server.stats().version).toBe(150);
    expect(worker.clock).toBe(150);
  });

  it('say so where nobody listens, whichever transport it is', async () => {
    const socket = createServer().listen(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address() as AddressInfo;
    await new Promise((resolve) => socket.close(resolve));
    // The second address is not known to be this machine's: its frames are masked, by the other transport.
    for (const host of ['127.0.0.1', '[::ffff:127.0.0.1]']) {
      const worker = new Worker(`ws://${host}:${port}`);
      const lost = nextEvent<{ error: PsError }>(worker, 'reconnecting', () => true);
      const connected = codeOf(worker.connect());
      expect((await lost).error.cause).toMatchObject({ code: 'ECONNREFUSED' });
      await worker.close();
      expect(await connected).toBe('PS_CLOSED');
    }
  });

  it('may last for longer than a pull may wait', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'pslib-losses-'));
    const server = await startServer({ parameters: PARAMETERS, dataDir });
    const port = portOf(server as never);
    const pullTimeoutMs = 1_500;
    const worker = startWorker(server.url, { pullTimeoutMs });
    let again = server;
    const closed = nextEvent<StepEvent>(worker, 'step', ({ step }) => step === 4).then(async () => {
      const since = performance.now();
      await server.close();
      const isLong = (): boolean => performance.now() - since > 1.2 * pullTimeoutMs;
      await nextEvent(worker, 'reconnecting', isLong);
      again = await startServer({ parameters: PARAMETERS, port, dataDir });
    });
    const { steps } = await worker.run(() => ({ gradients: gradientsOf(1) }), { steps: 20 });
    await closed;
    expect([steps, again.stats().version]).toEqual([20, 20]);
    await again.close();
    rmSync(dataDir, { recursive: true });
  });

  it('of several workers cost nothing under any consistency model', async () => {
    for (const consistency of [ssp({ staleness: 1 }), bsp()]) {
      const server = await startServer({ parameters: PARAMETERS, consistency });
      const random = new Random(9);
      const workers = ['x', 'y', 'z'].map((id) => startWorker(server.url, { id }));
      const runs = workers.map((worker) => {
        return worker.run(
          async () => {
            if (random.nextInt(5) === 0) setImmediate(() => worker.cut());
            return { gradients: gradientsOf(1) };
          },
          { steps: 30 },
        );
      });
      for (const { steps } of await Promise.all(runs)) expect(steps).toBe(30);
      // BSP applies the mean of those that pushed in a clock: each cell has lost at most what was pushed.
      const { tensors } = await server.parameters();
      const sum = 0 - (tensors.a.data[0] as number);
      if (consistency.name === 'bsp') expect(sum).toBeGreaterThanOrEqual(30);
      else expect(sum).toBe(90);
      for (const worker of workers) expect(worker.clock).toBe(30);
    }
  });

  it('carry waiting pushes and pulls over, in order', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const worker = startWorker(server.url);
    await worker.connect();
    const reconnecting = nextEvent<{ error: PsError }>(worker, 'reconnecting');
    worker.cut();
    const pushes = Array.from({ length: 10 }, () => worker.push(gradientsOf(1)));
    const pull = worker.pull(['a']);
    expect((await reconnecting).error.code).toBe('PS_CONNECTION_LOST');
    expect(await Promise.all(pushes.map(async (push) => (await push).version))).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
    expect((await pull).tensors.a.data[0]).toBe(-10);
  });

  it('without reconnecting end the worker', async () => {
    const server = await startServer({ parameters: PARAMETERS, minWorkers: 2 });
    const worker = startWorker(server.url, { reconnect: false });
    const errors: unknown[] = [];
    worker.on('error', (error) => errors.push(error));
    const waits = nextEvent(worker, 'waiting');
    const pull = worker.pull();
    await waits;
    worker.cut();
    expect(await codeOf(pull)).toBe('PS_CONNECTION_LOST');
    expect(errors).toMatchObject([{ code: 'PS_CONNECTION_LOST' }]);
    expect(await codeOf(worker.push(gradientsOf(1)))).toBe('PS_CONNECTION_LOST');
  });
});

describe('a server that starts afresh', () => {
  it('ends a run with PS_STATE_LOST, and says what was lost', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const port = portOf(server as never);
    const worker = startWorker(server.url);
    const rollback = nextEvent<RollbackEvent>(worker, 'rollback');
    const run = worker.run(
      async (_p, _b, { step }) => {
        if (step === 5) {
          await server.close();
          await startServer({ parameters: PARAMETERS, port });
          await rollback;
        }
        return { gradients: gradientsOf(1) };
      },
      { steps: 20 },
    );
    expect(await codeOf(run)).toBe('PS_STATE_LOST');
    expect(await rollback).toMatchObject({
      lostPushes: 5,
      fromSeq: 1,
      toSeq: 5,
      startedAfresh: true,
      clock: 0,
    });
    expect((await worker.run(() => ({ gradients: gradientsOf(1) }), { steps: 2 })).steps).toBe(2);
  });

  it('is trained on where the caller wants that, from what it has', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const port = portOf(server as never);
    const worker = startWorker(server.url, { onRollback: 'continue' });
    let second = server;
    const rollback = nextEvent<RollbackEvent>(worker, 'rollback');
    const seen: [step: number, value: number][] = [];
    const batches: number[] = [];
    const summary = await worker.run(
      async ({ a }, batch, { step }) => {
        seen.push([step, a.data[0] as number]);
        batches.push(batch);
        if (seen.length === 6) {
          await server.close();
          second = await startServer({ parameters: PARAMETERS, port });
          await rollback;
        }
        return { gradients: gradientsOf(1) };
      },
      { data: Array.from({ length: 20 }, (_, i) => i), steps: 10 },
    );
    // Step 5 was computed from parameters that are lost: it is taken again, from those that are.
    expect(seen.slice(4, 8)).toEqual([
      [4, -4],
      [5, -5],
      [5, 0],
      [6, -1],
    ]);
    expect(batches).toEqual([0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]);
    expect(summary.steps).toBe(10);
    expect((await second.parameters()).tensors.a.data[0]).toBe(-5);
  });

  it('while a push is under way: its outcome is not known, and the run goes on if it is to', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const port = portOf(server as never);
    const worker = startWorker(server.url, { onRollback: 'continue' });
    const reconnected = nextEvent(worker, 'rollback');
    let second = server;
    const summary = await worker.run(
      async (_p, _b, { step }) => {
        if (step === 3 && second === server) {
          worker.cut();
          await server.close();
          second = await startServer({ parameters: PARAMETERS, port });
          // The push is asked for while there is no connection.
        }
        return { gradients: gradientsOf(1) };
      },
      { steps: 8 },
    );
    await reconnected;
    expect(summary.steps).toBe(8);
    expect((await second.parameters()).tensors.a.data[0]).toBe(-5);
  });

  it('with another model is refused for good', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const port = portOf(server as never);
    const worker = startWorker(server.url);
    await worker.connect();
    const closed = nextEvent<{ error: PsError }>(worker, 'close');
    await server.close();
    await startServer({ parameters: { other: { shape: [1] } }, port });
    expect((await closed).error.code).toBe('PS_MODEL_MISMATCH');
    expect(await codeOf(worker.pull())).toBe('PS_MODEL_MISMATCH');
  });
});

describe('a network that says nothing', () => {
  const sockets: Socket[] = [];
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
  });

  it('is found dead after a lease, and left', async () => {
    const server = await startServer({ parameters: PARAMETERS, limits: { leaseMs: 600, pingMs: 150 } });
    let isSilent = false;
    // A proxy that goes silent without closing anything, as a cable pulled out does.
    const proxy = createServer((near) => {
      const isDead = isSilent;
      const far = isDead ? undefined : new (Object.getPrototypeOf(near).constructor as typeof Socket)();
      sockets.push(near, ...(far === undefined ? [] : [far]));
      near.on('error', () => {});
      far?.on('error', () => {});
      far?.connect(portOf(server as never), '127.0.0.1');
      near.on('data', (bytes) => {
        if (!isSilent) far?.write(bytes);
      });
      far?.on('data', (bytes) => {
        if (!isSilent) near.write(bytes);
      });
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const { port } = proxy.address() as { port: number };
    let url = `ws://127.0.0.1:${port}`;
    const worker = startWorker(() => url);
    await worker.connect();
    isSilent = true;
    url = server.url;
    const push = worker.push(gradientsOf(1));
    const { error } = await nextEvent<{ error: PsError }>(worker, 'reconnecting');
    expect(error.message).toContain('nothing was heard');
    expect(await push).toMatchObject({ outcome: 'applied', version: 1 });
    proxy.close();
  });

  it('finds a worker alive that computes for longer than the lease', async () => {
    const server = await startServer({
      parameters: PARAMETERS,
      limits: { leaseMs: 200, pingMs: 60, disconnectGraceMs: 50 },
    });
    const left: unknown[] = [];
    server.on('worker:leave', (event) => left.push(event));
    const worker = startWorker(server.url);
    const lost: unknown[] = [];
    worker.on('reconnecting', (event) => lost.push(event));
    await worker.run(
      () => {
        const until = performance.now() + 500;
        while (performance.now() < until);
        return { gradients: gradientsOf(1) };
      },
      { steps: 2 },
    );
    expect([left, lost]).toEqual([[], []]);
    expect(server.stats().version).toBe(2);
  });
});
