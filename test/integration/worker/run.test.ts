import { describe, expect, expectTypeOf, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import type { Tensor } from '../../../src/core/tensor/tensor.js';
import type { StepEvent } from '../../../src/io/worker/workerEvents.js';
import { codeOf, gradientsOf, nextEvent, PARAMETERS, startServer, startWorker } from './bench.js';

async function connected(workerOptions = {}, serverOptions = {}) {
  const server = await startServer({ parameters: PARAMETERS, ...serverOptions });
  const worker = startWorker(server.url, workerOptions);
  await worker.connect();
  return { server, worker };
}

describe('run', () => {
  it('takes steps, each from what the one before left', async () => {
    const { server, worker } = await connected();
    const seen: number[] = [];
    const summary = await worker.run(
      ({ a, b }, batch, { step, clock, signal }) => {
        expectTypeOf(a).toEqualTypeOf<Tensor>();
        expectTypeOf(batch).toEqualTypeOf<undefined>();
        seen.push(a.data[0] as number);
        expect([step, clock, signal.aborted]).toEqual([seen.length - 1, seen.length - 1, false]);
        // Gradient of ½ |b|²: one step of rate 1 halves it if half of it is pushed.
        return { gradients: { a: new Float32Array(6).fill(1), b: b.data.map((x) => x / 2) } };
      },
      { steps: 20 },
    );
    expect(seen).toEqual(Array.from({ length: 20 }, (_, i) => 0 - i));
    const { tensors, version } = await server.parameters();
    expect(version).toBe(20);
    expect([...tensors.b.data]).toEqual([1, 2, 3, 4].map((x) => x / 2 ** 20));
    expect(summary).toMatchObject({
      steps: 20,
      examples: 0,
      endedBy: 'steps',
      pulledBytes: 880,
      pushedBytes: 800,
    });
    expect(summary.seconds).toBeGreaterThanOrEqual(summary.waitSeconds);
    expect(summary.waitSeconds).toBeGreaterThan(0);
    expect(worker.clock).toBe(20);
    expect(server.workers()[0]?.state).not.toBe('training');
  });

  it('costs one exchange a step: the next pull is asked for with the push', async () => {
    const { server, worker } = await connected();
    const before = server.stats().receivedMessages;
    await worker.run(() => ({ gradients: gradientsOf(1) }), { steps: 10 });
    // Enter, the first pull, ten of (push, computing), nine further pulls, Leave.
    expect(server.stats().receivedMessages - before).toBe(1 + 1 + 20 + 9 + 1);
  });

  it('reads any kind of data, and ends with it', async () => {
    const { worker } = await connected();
    const batches = [[1], [2, 3], [4, 5, 6]];
    const run = async (data: Iterable<number[]> | AsyncIterable<number[]> | ((step: number) => number[])) => {
      const got: number[][] = [];
      const { steps, examples, endedBy } = await worker.run(
        (_parameters, batch) => {
          expectTypeOf(batch).toEqualTypeOf<number[]>();
          got.push(batch);
          return { gradients: gradientsOf(0) };
        },
        { data, steps: 5 },
      );
      return { got, steps, examples, endedBy };
    };
    const whole = { got: batches, steps: 3, examples: 6, endedBy: 'data' };
    expect(await run(batches)).toEqual(whole);
    expect(await run(new Set(batches))).toEqual(whole);
    expect(
      await run(
        (async function* () {
          for (const batch of batches) {
            await Promise.resolve();
            yield batch;
          }
        })(),
      ),
    ).toEqual(whole);
    expect(await run((step) => [step])).toEqual({
      got: [[0], [1], [2], [3], [4]],
      steps: 5,
      examples: 5,
      endedBy: 'steps',
    });
    expect(await run([])).toEqual({ got: [], steps: 0, examples: 0, endedBy: 'data' });
  });

  it('waits for batches that are promised', async () => {
    const { worker } = await connected();
    const got: number[] = [];
    await worker.run(
      (_parameters, batch) => {
        expectTypeOf(batch).toEqualTypeOf<number>();
        got.push(batch);
        return { gradients: {}, examples: 7 };
      },
      { data: async (step: number) => step * 2, steps: 3 },
    );
    expect(got).toEqual([0, 2, 4]);
  });

  it('reads no batch that it does not use, and ends a generator that it leaves', async () => {
    const { worker } = await connected();
    const log: string[] = [];
    function* batches() {
      try {
        for (let i = 0; ; i++) {
          log.push(`read ${i}`);
          yield i;
        }
      } finally {
        log.push('ended');
      }
    }
    await worker.run(() => ({ gradients: {} }), { data: batches(), steps: 2 });
    expect(log).toEqual(['read 0', 'read 1', 'ended']);
  });

  it('takes what the gradient function says of examples and metrics', async () => {
    const { server, worker } = await connected();
    const steps: StepEvent[] = [];
    worker.on('step', (event) => steps.push(event));
    const heard = nextEvent<{ metrics: object; examples: number }>(server, 'metrics');
    const summary = await worker.run(
      async (_parameters, _batch, { step }) => ({
        gradients: gradientsOf(1),
        metrics: { loss: 1 / (step + 1) },
        examples: 16,
      }),
      { data: [[1], [1]] },
    );
    expect(summary.examples).toBe(32);
    expect(steps).toMatchObject([
      { step: 0, clock: 1, outcome: 'applied', version: 1, delay: 0, metrics: { loss: 1 }, examples: 16 },
      { step: 1, clock: 2, outcome: 'applied', version: 2, delay: 0, metrics: { loss: 0.5 }, examples: 16 },
    ]);
    expect(await heard).toMatchObject({ metrics: { loss: 1 }, examples: 16 });
  });

  it('lets gradients be computed in place, and their arrays be used again', async () => {
    const { server, worker } = await connected();
    const own = new Float32Array(6);
    await worker.run(
      ({ b }) => {
        own.fill(1);
        b.data.fill(2);
        return { gradients: { a: own, b: b.data } };
      },
      { steps: 10 },
    );
    const { tensors } = await server.parameters();
    expect([tensors.a.data[0], tensors.b.data[0]]).toEqual([-10, 1 - 20]);
  });

  it('keeps the same arrays for every step', async () => {
    const { worker } = await connected();
    const arrays = new Set<Float32Array>();
    await worker.run(
      ({ a }) => {
        arrays.add(a.data);
        return { gradients: {} };
      },
      { steps: 5 },
    );
    expect(arrays.size).toBe(1);
  });

  it('leaves the clock table, so that others need not wait', async () => {
    const { server, worker } = await connected({ id: 'one' }, { consistency: bsp() });
    await worker.run(() => ({ gradients: gradientsOf(1) }), { steps: 3 });
    const other = startWorker(server.url, { id: 'two' });
    const { steps } = await other.run(() => ({ gradients: gradientsOf(1) }), { steps: 10 });
    expect(steps).toBe(10);
    expect(server.stats().training).toBe(0);
  });

  it('is one at a time', async () => {
    const { worker } = await connected();
    const first = worker.run(() => ({ gradients: {} }), { steps: 3 });
    expect(await codeOf(worker.run(() => ({ gradients: {} }), { steps: 1 }))).toBe('PS_INVALID_ARGUMENT');
    expect((await first).steps).toBe(3);
    expect((await worker.run(() => ({ gradients: {} }), { steps: 2 })).steps).toBe(2);
  });

  it('refuses wrong arguments', async () => {
    const { worker } = await connected();
    const run = (gradientFn: unknown, options?: unknown) =>
      codeOf(worker.run(gradientFn as never, options as never));
    expect(await run(5)).toBe('PS_INVALID_ARGUMENT');
    expect(await run(() => ({ gradients: {} }), { steps: -1 })).toBe('PS_INVALID_ARGUMENT');
    expect(await run(() => ({ gradients: {} }), { steps: 'x' })).toBe('PS_INVALID_ARGUMENT');
    expect(await run(() => ({ gradients: {} }), { data: 5, steps: 1 })).toBe('PS_INVALID_ARGUMENT');
    expect((await worker.run(() => ({ gradients: {} }), { steps: 1 })).steps).toBe(1);
  });
});

describe('a run that fails', () => {
  it('rejects with what the gradient function throws, and leaves the worker usable', async () => {
    const { server, worker } = await connected();
    const thrown = new Error('mine');
    const fail = (step: number) => {
      if (step === 2) throw thrown;
      return { gradients: gradientsOf(1) };
    };
    await expect(worker.run((_p, _b, { step }) => fail(step), { steps: 9 })).rejects.toBe(thrown);
    await expect(worker.run(async (_p, _b, { step }) => fail(step), { steps: 9 })).rejects.toBe(thrown);
    expect(server.stats()).toMatchObject({ version: 4, training: 0, waitingPulls: 0 });
    expect((await worker.run(() => ({ gradients: gradientsOf(1) }), { steps: 2 })).steps).toBe(2);
  });

  it('rejects with what the data throws', async () => {
    const { server, worker } = await connected();
    const thrown = new Error('no such file');
    const sources = [
      (step: number) => {
        if (step === 1) throw thrown;
        return step;
      },
      async (step: number) => {
        if (step === 1) throw thrown;
        return step;
      },
      (function* () {
        yield 0;
        throw thrown;
      })(),
      (async function* () {
        yield 0;
        throw thrown;
      })(),
    ];
    for (const data of sources) {
      await expect(
        worker.run(() => ({ gradients: gradientsOf(1) }), { data, steps: 9 } as never),
      ).rejects.toBe(thrown);
    }
    expect(server.stats()).toMatchObject({ version: 4, training: 0 });
  });

  it('says what is wrong with a result that is none', async () => {
    const { server, worker } = await connected();
    for (const [result, code] of [
      [undefined, 'PS_GRADIENT_INVALID'],
      [{ gradient: {} }, 'PS_GRADIENT_INVALID'],
      [{ gradients: { a: [1, 2, 3, 4, 5, 6] } }, 'PS_GRADIENT_INVALID'],
      [{ gradients: {}, metrics: { loss: '1' } }, 'PS_GRADIENT_INVALID'],
      [{ gradients: {}, examples: -1 }, 'PS_GRADIENT_INVALID'],
      [{ gradients: { nope: new Float32Array(1) } }, 'PS_UNKNOWN_TENSOR'],
      [{ gradients: { a: new Float32Array(1) } }, 'PS_WRONG_LENGTH'],
      [{ gradients: { fixed: new Float32Array(1) } }, 'PS_NOT_TRAINABLE'],
      [{ gradients: { a: new Float32Array(6).fill(Number.NaN) } }, 'PS_NOT_FINITE'],
    ] as const) {
      expect(await codeOf(worker.run(() => result as never, { steps: 3 }))).toBe(code);
    }
    expect(server.stats()).toMatchObject({ version: 0, training: 0 });
  });

  it('takes a step again that the server had no room for, with its batch', async () => {
    const models = [
      { consistency: ssp({ staleness: 2 }), pipeline: 0 },
      { consistency: ssp({ staleness: 2 }), pipeline: 2 },
      { consistency: asp(), pipeline: 3 },
    ];
    for (const { consistency, pipeline } of models) {
      let decided = 0;
      // As a full disk refuses every third push, and then three in a row.
      const learningRate = (): number => {
        decided++;
        if (decided % 3 === 2 || (decided >= 8 && decided <= 10)) {
          throw new PsError('PS_STORAGE', 'the disk is full');
        }
        return 1;
      };
      const { server, worker } = await connected(
        { pipeline },
        { consistency, optimizer: sgd({ learningRate }) },
      );
      const outcomes: string[] = [];
      worker.on('step', ({ outcome = '' }) => outcomes.push(outcome));
      const taken: number[] = [];
      const summary = await worker.run(
        (_parameters, batch) => {
          taken.push(batch);
          return { gradients: gradientsOf(2 ** batch) };
        },
        { data: Array.from({ length: 9 }, (_, i) => i) },
      );
      expect((await server.parameters()).tensors.a.data[0]).toBe(-511);
      expect(server.stats().version).toBe(9);
      expect(taken.length).toBeGreaterThan(9 + 3);
      expect([summary.steps, outcomes.length, worker.clock]).toEqual([9, 9, 9]);
      expect(new Set(taken).size).toBe(9);
    }
  });

  it('does not hold others back while it fails', async () => {
    const { server, worker } = await connected({ id: 'bad' }, { consistency: bsp() });
    const good = startWorker(server.url, { id: 'good' });
    await good.pull();
    const failed = worker.run(
      () => {
        throw new Error('mine');
      },
      { steps: 1 },
    );
    await expect(failed).rejects.toThrow('mine');
    expect((await good.run(() => ({ gradients: gradientsOf(1) }), { steps: 5 })).steps).toBe(5);
  });
});

describe('ending a run', () => {
  it('by abort, wherever it is', async () => {
    const { server, worker } = await connected({}, { minWorkers: 2 });
    const reason = new Error('stop');
    const waiting = new AbortController();
    const waits = nextEvent(worker, 'waiting');
    const held = worker.run(() => ({ gradients: {} }), { steps: 9, signal: waiting.signal });
    await waits;
    waiting.abort(reason);
    await expect(held).rejects.toMatchObject({ code: 'PS_ABORTED', cause: reason });

    const other = startWorker(server.url);
    await other.pull();
    await other.close();
    const computing = new AbortController();
    const endless = worker.run(
      (_p, _b, { signal }) => {
        computing.abort(reason);
        expect(signal.aborted).toBe(true);
        return new Promise<never>(() => {});
      },
      { signal: computing.signal },
    );
    await expect(endless).rejects.toMatchObject({ code: 'PS_ABORTED', cause: reason });

    const reading = new AbortController();
    const data = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          reading.abort(reason);
          return new Promise<never>(() => {});
        },
      }),
    };
    const starved = worker.run(() => ({ gradients: {} }), { data, signal: reading.signal });
    await expect(starved).rejects.toMatchObject({ code: 'PS_ABORTED', cause: reason });
    expect(await codeOf(worker.run(() => ({ gradients: {} }), { signal: reading.signal }))).toBe(
      'PS_ABORTED',
    );
    expect(server.stats().training).toBe(0);
  });

  it('by the server’s finish: after the step, and in the middle of a wait', async () => {
    const { server, worker } = await connected();
    const summary = await worker.run(
      (_p, _b, { step }) => {
        if (step === 3) server.finish('converged');
        return { gradients: gradientsOf(1) };
      },
      { steps: 1000 },
    );
    expect(summary).toMatchObject({ endedBy: 'finish', finishReason: 'converged' });
    expect(summary.steps).toBeLessThan(10);
    expect(server.stats().version).toBe(summary.steps);

    const waitingServer = await startServer({ parameters: PARAMETERS, minWorkers: 2 });
    const waiting = startWorker(waitingServer.url);
    const waits = nextEvent(waiting, 'waiting');
    const run = waiting.run(() => ({ gradients: {} }), { steps: 5 });
    await waits;
    waitingServer.finish('called off');
    expect(await run).toMatchObject({ steps: 0, endedBy: 'finish', finishReason: 'called off' });
    expect(await waiting.run(() => ({ gradients: {} }), { steps: 5 })).toMatchObject({
      steps: 0,
      endedBy: 'finish',
    });
  });

  it('by closing the worker', async () => {
    const { worker } = await connected();
    const run = worker.run(
      async (_p, _b, { step }) => {
        if (step === 2) await worker.close();
        return { gradients: gradientsOf(1) };
      },
      { steps: 9 },
    );
    expect(await codeOf(run)).toBe('PS_CLOSED');
  });
});

describe('steps', () => {
  it('is a run with a loop of one’s own', async () => {
    const { server, worker } = await connected();
    const seen: [number, number, number][] = [];
    for await (const { step, clock, parameters, batch, push } of worker.steps({ data: [10, 20, 30] })) {
      expectTypeOf(batch).toEqualTypeOf<number>();
      seen.push([step, clock, parameters.a.data[0] as number]);
      const result = await push(
        { a: new Float32Array(6).fill(batch) },
        { metrics: { loss: 1 }, examples: 2 },
      );
      expect(result).toEqual({ outcome: 'applied', duplicate: false, version: step + 1, delay: 0 });
    }
    expect(seen).toEqual([
      [0, 0, 0],
      [1, 1, -10],
      [2, 2, -30],
    ]);
    expect(server.stats()).toMatchObject({ version: 3, training: 0 });
  });

  it('ticks where nothing was pushed', async () => {
    const { server, worker } = await connected();
    for await (const step of worker.steps({ steps: 4 }))
      if (step.step % 2 === 0) void step.push(gradientsOf(1));
    expect(server.stats().version).toBe(2);
    expect(worker.clock).toBe(4);
  });

  it('leaves when it is left, or when the loop’s body throws', async () => {
    const { server, worker } = await connected();
    for await (const step of worker.steps()) {
      await step.push(gradientsOf(1));
      if (step.step === 1) break;
    }
    const body = async () => {
      for await (const _step of worker.steps()) throw new Error('mine');
    };
    await expect(body()).rejects.toThrow('mine');
    expect(server.stats()).toMatchObject({ version: 2, training: 0 });
    expect((await worker.run(() => ({ gradients: {} }), { steps: 1 })).steps).toBe(1);
  });

  it('ends with the error of a push that was refused, whether it was awaited or not', async () => {
    const { server, worker } = await connected();
    const bad = { a: new Float32Array(6).fill(Number.NaN) };
    const loop = async (isAwaited: boolean) => {
      for await (const step of worker.steps({ steps: 3 })) {
        const pushed = step.push(bad);
        if (isAwaited) await codeOf(pushed);
      }
    };
    expect(await codeOf(loop(true))).toBe('PS_NOT_FINITE');
    expect(await codeOf(loop(false))).toBe('PS_NOT_FINITE');
    expect(server.stats()).toMatchObject({ version: 0, training: 0 });
  });

  it('pushes a step’s gradients once', async () => {
    const { server, worker } = await connected();
    for await (const step of worker.steps({ steps: 1 })) {
      const results = await Promise.all([step.push(gradientsOf(1)), step.push(gradientsOf(5))]);
      expect(results[0]).toEqual(results[1]);
    }
    expect((await server.parameters()).tensors.a.data[0]).toBe(-1);
  });
});

describe('watch', () => {
  it('shows what there is, and each newer version', async () => {
    const { server, worker } = await connected();
    const reader = startWorker(server.url, { readOnly: true });
    const versions: number[] = [];
    for await (const { version, tensors } of reader.watch(['a'])) {
      expectTypeOf(tensors).toEqualTypeOf<{ readonly a: Tensor }>();
      versions.push(version);
      expect(tensors.a.data[0]).toBe(0 - version);
      if (versions.length === 5) break;
      await worker.push(gradientsOf(1));
    }
    expect(versions).toEqual([0, 1, 2, 3, 4]);
    expect(server.stats().waitingPulls).toBe(0);
  });

  it('ends when its signal is aborted, or its worker is closed', async () => {
    const { server } = await connected();
    const reader = startWorker(server.url, { readOnly: true });
    const controller = new AbortController();
    const count = async (signal?: AbortSignal) => {
      let seen = 0;
      for await (const _each of reader.watch(undefined, { signal, minIntervalMs: 1 } as never)) {
        seen++;
        ready.resolve();
      }
      return seen;
    };
    let ready = deferred();
    const aborted = count(controller.signal);
    await ready.promise;
    controller.abort();
    expect(await aborted).toBe(1);
    ready = deferred();
    const closed = count();
    await ready.promise;
    await reader.close();
    expect(await closed).toBe(1);
  });

  it('goes on through lost connections and restarts', async () => {
    const { server, worker } = await connected();
    const reader = startWorker(server.url, { readOnly: true });
    const watch = reader.watch(['b']);
    expect((await watch.next()).value).toMatchObject({ version: 0 });
    reader.cut();
    await worker.push(gradientsOf(1));
    expect((await watch.next()).value).toMatchObject({ version: 1 });
    const port = server.address()?.port ?? 0;
    const next = watch.next();
    await server.close();
    await startServer({ parameters: PARAMETERS, port });
    expect((await next).value).toMatchObject({
      version: 0,
      tensors: { b: { data: Float32Array.of(1, 2, 3, 4) } },
    });
    await watch.return();
  });

  it('comes once for so many versions', async () => {
    const { server, worker } = await connected();
    const reader = startWorker(server.url, { readOnly: true });
    const watch = reader.watch(['b'], { withinVersions: 3 });
    expect((await watch.next()).value).toMatchObject({ version: 0 });
    const next = watch.next();
    for (let i = 0; i < 5; i++) await worker.push(gradientsOf(1));
    expect((await next).value?.version).toBeGreaterThanOrEqual(3);
    await watch.return();
  });

  it('refuses what is wrong', async () => {
    const { worker } = await connected();
    expect(await codeOf(worker.watch(undefined, { withinVersions: 0 }).next())).toBe('PS_INVALID_ARGUMENT');
    expect(await codeOf(worker.watch(['nope' as never]).next())).toBe('PS_UNKNOWN_TENSOR');
    expect(await codeOf(worker.watch(undefined, { minIntervalMs: -1 }).next())).toBe('PS_INVALID_ARGUMENT');
  });
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

describe('the error type', () => {
  it('is PsError, with its code', async () => {
    const { worker } = await connected();
    const error: PsError = await worker.pull(['x' as never]).then(
      () => Promise.reject(new Error('resolved')),
      (thrown: PsError) => thrown,
    );
    expect([error.name, error.code, error.retryable]).toEqual(['PsError', 'PS_UNKNOWN_TENSOR', false]);
  });
});
