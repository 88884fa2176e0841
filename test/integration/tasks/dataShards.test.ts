import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { asp, bsp, type ParameterServer, ssp, type UserOptimizer, type Worker } from '../../../src/index.js';
import type { EpochEvent } from '../../../src/io/server/tasks/dataSetOptions.js';
import {
  type Batch,
  batchesOf,
  countBatch,
  countingServer,
  EPOCHS,
  newWorker,
  SIZE,
  tally,
} from './counting.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function listening(server: ParameterServer): Promise<ParameterServer> {
  await server.listen();
  open.push(server);
  return server;
}

function worker(server: ParameterServer, id: string): Worker {
  const made = newWorker(server, id);
  open.push(made);
  return made;
}

function train(each: Worker, batchSize = 16): ReturnType<Worker['run']> {
  return each.run((_parameters, batch) => ({ gradients: countBatch(batch), metrics: { one: 1 } }), {
    dataShards: batchesOf(batchSize),
  });
}

/**
 * Counts how often each cell was in an update. Under BSP an update is the mean over the workers that pushed: an example
 * that one of them had is 1 there, or 1/2, or 1/3; one that two had is seen.
 */
const countUpdates: UserOptimizer = {
  name: 'countUpdates',
  slots: [],
  apply(parameter, gradient) {
    for (const [i, value] of gradient.entries()) {
      const isOfOne = [1, 1 / 2, Math.fround(1 / 3)].includes(-value);
      if (value !== 0) parameter[i] = (parameter[i] as number) + (isOfOne ? 1 : 1000);
    }
  },
};

describe('runs on data shards', () => {
  it.each([
    ['ssp', ssp({ staleness: 1 })],
    ['bsp', bsp()],
    ['bsp with a backup worker', bsp({ backupWorkers: 1 })],
    ['asp', asp()],
  ])('count every example once in every epoch, under %s', async (_name, consistency) => {
    const server = await listening(countingServer({ consistency, optimizer: countUpdates }));
    const epochs: EpochEvent[] = [];
    const run = server.tasks.dataset({
      size: SIZE,
      shardSize: 30,
      epochs: EPOCHS,
      shuffle: true,
      onEpoch: (event) => void epochs.push(event),
    });
    const workers = ['a', 'b', 'c'].map((id) => worker(server, id));
    const summaries = await Promise.all(workers.map((each) => train(each)));
    expect(await tally(server)).toEqual({ 1: SIZE * EPOCHS });
    expect(await run.finished).toMatchObject({ epochs: EPOCHS, examples: SIZE * EPOCHS, endedBy: 'epochs' });
    expect(summaries.every(({ endedBy }) => endedBy === 'data')).toBe(true);
    // At the end of an epoch all of it is in the parameters, and nothing of the next.
    for (const { epoch, parameters, metrics } of epochs) {
      const counts = parameters.counts?.data as Float32Array;
      expect(counts.subarray(0, (epoch + 1) * SIZE).every((count) => count === 1)).toBe(true);
      expect(counts.subarray((epoch + 1) * SIZE).every((count) => count === 0)).toBe(true);
      expect(metrics).toEqual({ one: 1 });
    }
    expect(epochs.map(({ epoch }) => epoch)).toEqual([0, 1]);
  });

  it.each([
    ['bsp', bsp()],
    ['ssp', ssp({ staleness: 0 })],
  ])(
    'compute a batch anew whose push was refused, whatever waits for its tick, under %s',
    async (_name, consistency) => {
      const server = await listening(countingServer({ consistency }));
      server.tasks.dataset({ size: SIZE, shardSize: 40, epochs: EPOCHS });
      const tried = new Set<string>();
      await worker(server, 'a').run(
        (_parameters, batch) => {
          const gradients = countBatch(batch);
          const name = `${batch.epoch}:${batch.examples[0]}`;
          if (!tried.has(name)) gradients.counts.fill(Number.NaN);
          tried.add(name);
          return { gradients };
        },
        { dataShards: batchesOf(16) },
      );
      expect(await tally(server)).toEqual({ 1: SIZE * EPOCHS });
    },
  );

  it('begin again where a worker that is gone had come to', async () => {
    const server = await listening(countingServer({ limits: { disconnectGraceMs: 1 } }));
    server.tasks.dataset({ size: SIZE, shardSize: 100, epochs: EPOCHS });
    const first = worker(server, 'a');
    let batches = 0;
    const begun: number[] = [];
    const gone = first.run(
      (_parameters, batch) => {
        if (++batches === 4) throw new Error('enough');
        return { gradients: countBatch(batch) };
      },
      { dataShards: batchesOf(16) },
    );
    await expect(gone).rejects.toThrow('enough');
    const second = worker(server, 'b');
    await second.run<Batch>((_parameters, batch) => ({ gradients: countBatch(batch) }), {
      dataShards: (shard) => {
        begun.push(shard.begin);
        return batchesOf(16)(shard);
      },
    });
    expect(begun[0]).toBe(48);
    expect(await tally(server)).toEqual({ 1: SIZE * EPOCHS });
  });

  it('leave the clock table while they wait for the last data shard', async () => {
    const server = await listening(countingServer({ consistency: ssp({ staleness: 0 }) }));
    server.tasks.dataset({ size: 64, shardSize: 64 });
    const [holder, waiter] = [worker(server, 'holder'), worker(server, 'waiter')];
    let isWaiting: Promise<unknown> | undefined;
    const held = holder.run(
      async (_parameters, batch) => {
        isWaiting ??= once(waiter as never, 'waiting');
        const [event] = (await isWaiting) as [{ reason: string; laggards: { id: string }[] }];
        expect(event.reason).toBe('data');
        expect(event.laggards.map(({ id }) => id)).toEqual(['holder']);
        expect(server.workers().find(({ id }) => id === 'waiter')?.state).not.toBe('training');
        return { gradients: countBatch(batch) };
      },
      { dataShards: batchesOf(4) },
    );
    await once(holder as never, 'open');
    await Promise.all([held, train(waiter)]);
    expect(await tally(server)).toEqual({ 1: 64, 0: SIZE * EPOCHS - 64 });
  });

  it('go to whoever comes for them: a fast worker does more', async () => {
    const server = await listening(countingServer({ consistency: asp() }));
    const run = server.tasks.dataset({ size: SIZE, shardSize: 10 });
    const [slow, fast] = [worker(server, 'slow'), worker(server, 'fast')];
    const done: string[] = [];
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    server.on('dataShard', ({ id, examples }) => {
      done.push(id);
      // The slow one has one in hand, and the next.
      if (examples === SIZE - 20) release();
    });
    const begun = once(slow as never, 'open');
    const slowly = slow.run<Batch>(
      async (_parameters, batch) => {
        await released;
        return { gradients: countBatch(batch) };
      },
      { dataShards: batchesOf(10) },
    );
    await begun;
    while (run.progress.leases < 2) await slow.stats();
    await Promise.all([slowly, train(fast, 10)]);
    expect(done.filter((id) => id === 'fast')).toHaveLength(SIZE / 10 - 2);
    expect(done.at(-1)).toBe('slow');
    expect(await tally(server)).toEqual({ 1: SIZE, 0: SIZE });
  });

  it('are taken from a worker that is there and does nothing, and counted once when it goes on', async () => {
    const server = await listening(countingServer({ consistency: asp() }));
    const run = server.tasks.dataset({ size: SIZE, shardSize: 50, leaseMs: 200 });
    const warnings: string[] = [];
    server.on('warning', ({ message }) => warnings.push(message));
    const [stuck, other] = [worker(server, 'stuck'), worker(server, 'other')];
    const goOn = run.finished.then(() => {});
    let isStuck = (): void => {};
    const begun = new Promise<void>((resolve) => {
      isStuck = resolve;
    });
    const hung = stuck.run<Batch>(
      async (_parameters, batch) => {
        isStuck();
        await goOn;
        return { gradients: countBatch(batch) };
      },
      { dataShards: batchesOf(16) },
    );
    await begun;
    await train(other);
    expect((await run.finished).examples).toBe(SIZE);
    await hung;
    expect(warnings[0]).toMatch(
      /^stuck has made no progress for 200 ms, and loses the \d data shards that it had$/,
    );
    expect(await tally(server)).toEqual({ 1: SIZE, 0: SIZE });
  });

  it('compute anew what was dropped for its delay', async () => {
    const server = await listening(countingServer({ consistency: asp(), delay: { max: 0 } }));
    server.tasks.dataset({ size: SIZE, shardSize: 50, epochs: EPOCHS });
    let dropped = 0;
    const workers = ['a', 'b', 'c'].map((id) => worker(server, id));
    for (const each of workers) {
      each.on('step', ({ outcome }) => {
        if (outcome === 'dropped') dropped++;
      });
    }
    await Promise.all(workers.map((each) => train(each, 10)));
    expect(dropped).toBeGreaterThan(0);
    expect(await tally(server)).toEqual({ 1: SIZE * EPOCHS });
  });

  it('get the items from the server, in the order of the epoch', async () => {
    const server = await listening(countingServer());
    const items = Array.from({ length: SIZE }, (_, i) => ({ i, data: Float32Array.of(i, i + 0.5) }));
    server.tasks.dataset({ items, shardSize: 7, shuffle: true });
    const seen: number[] = [];
    const run = async (each: Worker): Promise<void> => {
      await each.run<{ examples: number[]; epoch: number; length: number }>(
        (_parameters, batch) => ({ gradients: countBatch(batch) }),
        {
          dataShards: function* (shard) {
            const given = (shard as { items?: readonly (typeof items)[number][] }).items ?? [];
            for (const [at, { i, data }] of given.entries()) {
              expect(shard.indices[at]).toBe(i);
              expect([...data]).toEqual([i, i + 0.5]);
              seen.push(i);
              yield { examples: [i], epoch: shard.epoch, length: 1 };
            }
          },
        },
      );
    };
    await Promise.all([run(worker(server, 'a')), run(worker(server, 'b'))]);
    expect(seen.sort((a, b) => a - b)).toEqual(items.map(({ i }) => i));
    expect(await tally(server)).toEqual({ 1: SIZE, 0: SIZE });
  });

  it('end when onEpoch stops, and keep the best epoch', async () => {
    const server = await listening(countingServer({ keepBest: { metric: 'score', mode: 'max' } }));
    const scores = [1, 3, 2];
    const run = server.tasks.dataset({
      size: 40,
      shardSize: 10,
      epochs: 100,
      onEpoch: async ({ epoch, stop }) => {
        if (epoch === 2) stop('good enough');
        return { score: scores[epoch] as number };
      },
    });
    const told: unknown[] = [];
    server.on('epoch', ({ epoch, metrics }) => told.push([epoch, metrics.score]));
    const one = worker(server, 'a');
    await one.run((_parameters, batch) => ({ gradients: countBatch({ ...batch, epoch: 0 }) }), {
      dataShards: batchesOf(10),
    });
    const summary = await run.finished;
    expect(summary).toMatchObject({ epochs: 3, examples: 120, endedBy: 'stop', reason: 'good enough' });
    expect(summary.best).toMatchObject({ epoch: 1, value: 3 });
    // What was best, not what is now.
    expect(summary.best?.parameters?.counts?.data[0]).toBe(2);
    expect(told).toEqual([
      [0, 1],
      [1, 3],
      [2, 2],
    ]);
  });

  it('end for everyone with the error of onEpoch', async () => {
    const server = await listening(countingServer());
    const run = server.tasks.dataset({
      size: 20,
      epochs: 2,
      onEpoch: () => {
        throw new Error('no disk');
      },
    });
    await train(worker(server, 'a'));
    await expect(run.finished).rejects.toThrow('no disk');
  });
});

describe('bad input', () => {
  it.each([
    ['no size and no items', {}, 'dataset'],
    ['both', { size: 3, items: [1] }, 'dataset'],
    ['zero examples', { size: 0 }, 'dataset.size'],
    ['no items', { items: [] }, 'dataset.size'],
    ['a shard size larger than the set', { size: 3, shardSize: 4 }, 'dataset.shardSize'],
    ['epochs: 0', { size: 3, epochs: 0 }, 'dataset.epochs'],
    ['a lease of no time', { size: 3, leaseMs: 0 }, 'dataset.leaseMs'],
    ['onEpoch that is none', { size: 3, onEpoch: 1 }, 'dataset.onEpoch'],
    ['a misspelt option', { size: 3, shards: 4 }, 'dataset.shards'],
  ])('%s', async (_name, options, option) => {
    const server = countingServer();
    expect(() => server.tasks.dataset(options as never)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option } }),
    );
  });

  it('items that can not be sent', () => {
    const server = countingServer();
    expect(() => server.tasks.dataset({ items: [1, () => 2] })).toThrow(
      expect.objectContaining({ code: 'PS_VALUE_INVALID', message: expect.stringContaining('items[1]') }),
    );
  });

  it('a data set while another is gone through; and after it was stopped, which is fine', async () => {
    const server = await listening(countingServer());
    const first = server.tasks.dataset({ size: 10 });
    expect(() => server.tasks.dataset({ size: 20 })).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' }),
    );
    first.stop();
    expect((await first.finished).endedBy).toBe('stop');
    server.tasks.dataset({ size: SIZE, shardSize: 50 });
    await train(worker(server, 'a'));
    expect(await tally(server)).toEqual({ 1: SIZE, 0: SIZE });
  });

  it.each([
    ['batches that cover too little', (batch: { length: number }) => batch.length, 1, /cover 1 of its 10/],
    ['more examples than are left', () => 11, 10, /from 1 to 10/],
    ['no examples', () => 0, 10, /from 1 to 10/],
  ])('%s', async (_name, examples, batches, text) => {
    const server = await listening(countingServer());
    server.tasks.dataset({ size: 10, shardSize: 10 });
    const one = worker(server, 'a');
    const run = one.run(
      (_parameters, batch: { length: number; epoch: number; examples: number[] }) => ({
        gradients: countBatch(batch),
        examples: examples(batch),
      }),
      {
        dataShards: function* (shard) {
          for (let i = 0; i < batches; i++)
            yield { epoch: 0, examples: [shard.indices[i] as number], length: 1 };
        },
      },
    );
    await expect(run).rejects.toMatchObject({
      code: 'PS_INVALID_ARGUMENT',
      message: expect.stringMatching(text),
    });
    // Another worker goes on with it.
    await train(worker(server, 'b'));
    expect((await tally(server))[1]).toBe(10);
  });
});
