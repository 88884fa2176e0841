import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { adam } from '../../../src/core/optim/adam.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import { codeOf, gradientsOf, nextEvent, PARAMETERS, startServer, startWorker } from '../worker/bench.js';
import { elementsOf, type ShardServer, startGroup, urlsOf } from './groups.js';

const COUNTS = [1, 2, 3, 5];

const MODEL = {
  kernel: { shape: [70, 9], init: 'glorotUniform' },
  bias: { shape: [9] },
  none: { shape: [0, 3] },
  embedding: { shape: [50, 400], init: 'heNormal', optimizer: ftrl({ learningRate: 0.1 }) },
  scale: { shape: [], init: 'ones' },
} as const;

/** Gradients that depend on the parameters and the step, of some tensors, sometimes large. */
function gradientsFor(
  parameters: Record<string, { data: Float32Array }>,
  step: number,
): Record<string, Float32Array> {
  const random = new Random(step);
  const names = Object.keys(parameters).filter((name) => name === 'kernel' || random.nextInt(3) > 0);
  const scale = random.nextInt(2) === 0 ? 0.01 : 3;
  return Object.fromEntries(
    names.map((name) => {
      const { data } = parameters[name] as { data: Float32Array };
      return [name, data.map((value) => scale * (value + random.nextNormal()))];
    }),
  );
}

describe.each(COUNTS)('a group of %i', (count) => {
  it.each([
    ['adam', adam({ learningRate: 0.01 })],
    ['momentum', momentum({ learningRate: (version) => 0.1 / (1 + version) })],
  ])('trains with %s, clipped by the global norm, to the bits of one server', async (_name, optimizer) => {
    const options = { parameters: MODEL, optimizer, seed: 7, clip: { norm: 1.5 }, consistency: bsp() };
    const alone = (await startServer(options)) as ShardServer;
    const group = await startGroup(count, options);
    for (const urls of [[alone.url], urlsOf(group).reverse()]) {
      const worker = startWorker<typeof MODEL>(urls, { id: 'w' });
      await worker.run((parameters, _batch, { step }) => ({ gradients: gradientsFor(parameters, step) }), {
        steps: 12,
      });
      const { tensors } = await worker.pull();
      const held = urls[0] === alone.url ? [alone] : group;
      expect(Object.values(tensors).flatMap(({ data }) => [...data])).toEqual(await elementsOf(held));
    }
    expect(await elementsOf(group)).toEqual(await elementsOf([alone]));
    expect(group.map((server) => server.stats().version)).toEqual(group.map(() => alone.stats().version));
  });

  it.each([bsp(), ssp({ staleness: 1 }), asp()])(
    'adds what every worker pushes, under %o',
    async (consistency) => {
      const group = await startGroup(count, { parameters: PARAMETERS, consistency, minWorkers: 3 });
      const workers = ['x', 'y', 'z'].map((id) => startWorker(urlsOf(group), { id }));
      await Promise.all(
        workers.map((worker) => worker.run(() => ({ gradients: gradientsOf(3) }), { steps: 20 })),
      );
      const pushed = consistency.name === 'bsp' ? 20 : 60;
      const expected = [...Array(6).fill(-3 * pushed), ...[1, 2, 3, 4].map((first) => first - 3 * pushed), 9];
      expect(await elementsOf(group)).toEqual(expected);
      for (const worker of workers) expect(worker.clock).toBe(20);
    },
  );

  it('applies every push once through lost connections', async () => {
    const group = await startGroup(count, { parameters: PARAMETERS, consistency: ssp({ staleness: 1 }) });
    const random = new Random(count);
    const workers = ['x', 'y'].map((id) => startWorker(urlsOf(group), { id }));
    const runs = workers.map((worker) =>
      worker.run(
        async () => {
          if (random.nextInt(3) === 0) worker.cut(random.nextInt(count));
          if (random.nextInt(3) === 0) setImmediate(() => worker.cut(random.nextInt(count)));
          return { gradients: gradientsOf(1) };
        },
        { steps: 60 },
      ),
    );
    await Promise.all(runs);
    expect((await elementsOf(group)).slice(0, 6)).toEqual(Array(6).fill(-120));
    for (const server of group) expect(server.stats().version).toBe(120);
    for (const worker of workers) expect(worker.connections).toBeGreaterThan(count);
  });

  it('says what became of each part', async () => {
    const group = await startGroup(count, { parameters: PARAMETERS });
    const worker = startWorker(urlsOf(group));
    const { shards, ...result } = await worker.push(gradientsOf(1));
    expect(result).toEqual({ outcome: 'applied', duplicate: false, version: 1, delay: 0 });
    const part = { outcome: 'applied', duplicate: false, version: 1, delay: 0 };
    const expected = group.map((_, shard) => ({ shard, ...part }));
    expect(shards).toEqual(count === 1 ? undefined : expected);
    const { push, pull } = await worker.pushPull(gradientsOf(1));
    expect(push).toMatchObject({ version: 2, delay: 0 });
    expect(pull.tensors.a.data[0]).toBe(-2);
    expect(await worker.tick()).toEqual({ clock: 2, minClock: 2 });
    await startWorker(urlsOf(group)).push(gradientsOf(1));
    expect((await worker.push(gradientsOf(1))).delay).toBe(1);
  });

  it('refuses what is not finite before anything is sent', async () => {
    const group = await startGroup(count, { parameters: PARAMETERS });
    const worker = startWorker(urlsOf(group));
    const gradients = gradientsOf(1);
    gradients.b[3] = Number.NaN;
    await expect(worker.push(gradients)).rejects.toMatchObject({
      code: 'PS_NOT_FINITE',
      details: { tensor: 'b' },
    });
    await worker.push(gradientsOf(1));
    for (const server of group) expect(server.stats().version).toBe(1);
  });

  it('takes what is not finite as 0 where it is told to, and judges by the norm of the rest', async () => {
    const options = { parameters: PARAMETERS, nonFinite: 'zero', maxPushNorm: 3.5 } as const;
    const group = await startGroup(count, options);
    const worker = startWorker(urlsOf(group));
    const gradients = gradientsOf(1);
    gradients.b[3] = Number.POSITIVE_INFINITY;
    await worker.push(gradients);
    expect((await elementsOf(group)).slice(6, 10)).toEqual([0, 1, 2, 4]);
    // Every shard refuses, though no slice alone is too large.
    expect(await codeOf(worker.push(gradientsOf(1.2)))).toBe('PS_NORM_EXCEEDED');
    expect((await elementsOf(group)).slice(0, 2)).toEqual([-1, -1]);
  });

  it('answers whether there is anything newer', async () => {
    const group = await startGroup(count, { parameters: PARAMETERS });
    const [worker, reader] = [startWorker(urlsOf(group)), startWorker(urlsOf(group), { readOnly: true })];
    const first = await reader.pull();
    expect(await reader.pull(undefined, { ifNewerThan: first.version })).toMatchObject({ modified: false });
    await worker.push({ b: new Float32Array(4).fill(1) });
    const second = await reader.pull(undefined, { ifNewerThan: first.version });
    expect(second).toMatchObject({ modified: true, version: 1 });
    expect((second.tensors as typeof first.tensors).b.data).toEqual(Float32Array.of(0, 1, 2, 3));
    const seen: number[] = [];
    for await (const { version, tensors } of reader.watch(['a'])) {
      seen.push(version, tensors.a.data[5] as number);
      if (version === 2) break;
      void worker.push(gradientsOf(1));
    }
    expect(seen).toEqual([1, 0, 2, -1]);
  });
});

describe('a group', () => {
  it('is joined at the highest clock of any shard', async () => {
    const group = await startGroup(3, { parameters: PARAMETERS, consistency: asp() });
    const alone = startWorker(urlsOf(group), { id: 'first' });
    for (let i = 0; i < 4; i++) await alone.tick();
    const second = startWorker(urlsOf(group), { id: 'second' });
    await second.pull();
    expect(second.clock).toBe(4);
    for (const server of group) {
      expect(server.workers().map(({ id, clock }) => [id, clock])).toEqual([
        ['first', 4],
        ['second', 4],
      ]);
    }
  });

  it('pulls from the shards that hold what is asked, while another is away', async () => {
    const group = await startGroup(2, { parameters: { a: { shape: [4] }, b: { shape: [4] } } });
    const worker = startWorker<{ a: unknown; b: unknown }>(urlsOf(group));
    await worker.pull();
    const lost = nextEvent<{ server?: number }>(worker, 'reconnecting');
    await group[1]?.close();
    expect((await lost).server).toBe(1);
    expect((await worker.pull(['a'])).tensors.a.data).toEqual(new Float32Array(4));
    expect(worker.connected).toBe(false);
  });

  it('says which shard refused a push, and brings its clock to that of the others', async () => {
    const parameters = { w: { shape: [8] } } as const;
    let isFailing = true;
    const optimizer = {
      name: 'failing',
      slots: [],
      apply(parameter: Float32Array, gradient: Float32Array) {
        if (isFailing) throw new Error('not today');
        for (let i = 0; i < parameter.length; i++) (parameter[i] as number) -= gradient[i] as number;
      },
    };
    const [first, second] = [
      await startServer({ parameters, shard: { index: 0, count: 2 } }),
      await startServer({ parameters, shard: { index: 1, count: 2 }, optimizer }),
    ];
    second.on('error', () => {});
    const worker = startWorker<typeof parameters>([first.url, second.url], { id: 'w' });
    const gradients = { w: new Float32Array(8).fill(1) };
    await expect(worker.pushPull(gradients)).rejects.toMatchObject({
      code: 'PS_INTERNAL',
      message: expect.stringMatching(/^shard 1 of 2: .*not today/),
    });
    isFailing = false;
    const { pull } = await worker.pushPull(gradients);
    expect([...pull.tensors.w.data]).toEqual([-2, -2, -2, -2, -1, -1, -1, -1]);
    expect(worker.clock).toBe(2);
    for (const server of [first, second]) expect(server.workers().map(({ clock }) => clock)).toEqual([2]);
  });

  it('a run outlasts a shard that is away for longer than a pull may wait', async () => {
    const options = { parameters: MODEL, consistency: asp(), limits: { disconnectGraceMs: 20 } };
    const [first, second] = (await startGroup(2, options)) as [ShardServer, ShardServer];
    const worker = startWorker<typeof MODEL>([first.url, second.url], {
      ...{ pullTimeoutMs: 100, onRollback: 'continue' },
      reconnect: { minDelayMs: 30, maxDelayMs: 60 },
    });
    const { port } = second.address() as { port: number };
    let attempts = 0;
    worker.on('reconnecting', () => {
      attempts++;
      if (attempts === 12) void startServer({ ...options, port, shard: { index: 1, count: 2 } });
    });
    const summary = await worker.run(
      async (parameters, _batch, { step }) => {
        if (step === 3 && attempts === 0) await second.close();
        return { gradients: gradientsFor(parameters, step) };
      },
      { steps: 8 },
    );
    expect(summary.steps).toBe(8);
    expect(attempts).toBeGreaterThanOrEqual(12);
  });

  it('finishes, and leaves all tables', async () => {
    const group = await startGroup(2, { parameters: PARAMETERS });
    const worker = startWorker(urlsOf(group));
    worker.on('step', ({ step }) => {
      if (step === 3) group[1]?.finish('enough');
    });
    const summary = await worker.run(async () => ({ gradients: gradientsOf(1) }));
    expect(summary).toMatchObject({ endedBy: 'finish', finishReason: 'enough' });
    for (const server of group) expect(server.stats().training).toBe(0);
  });
});
