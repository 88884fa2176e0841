/** Sparse tables of groups of servers, on loopback: rows spread over the shards, as if one server held them. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { codeOf, startServer, startWorker } from '../worker/bench.js';
import { type ShardServer, startGroup, urlsOf } from './groups.js';

const COUNTS = [1, 2, 3, 5];

const parameters = { w: { shape: [3] } } as const;
const tables = {
  words: { dim: 3, init: 'uniform' },
  bias: { dim: 1, optimizer: adagrad({ learningRate: 0.5 }) },
} as const;
type Model = typeof parameters & typeof tables;

/** Ids all over the place, some of them twice. */
function someIds(random: Random, count: number): number[] {
  return Array.from({ length: count }, () => random.nextInt(40) * (random.nextInt(4) === 0 ? 2 ** 34 : 1));
}

function gradients(random: Random): Record<string, unknown> {
  const rows = (dim: number): object => {
    const ids = someIds(random, 1 + random.nextInt(20));
    return { ids, values: Float32Array.from({ length: ids.length * dim }, () => random.nextNormal()) };
  };
  return { w: Float32Array.of(1, -1, random.nextNormal()), words: rows(3), bias: rows(1) };
}

describe.each(COUNTS)('tables of a group of %i', (count) => {
  const options = { parameters, tables, seed: 3 };

  it('train, clipped by the global norm, to the bits of one server', async () => {
    const settings = { ...options, optimizer: adam({ learningRate: 0.01 }), clip: { norm: 2 } };
    const alone = (await startServer(settings)) as ShardServer;
    const group = await startGroup(count, settings);
    const workers = [[alone.url], urlsOf(group).reverse()].map((urls) =>
      startWorker<Model>(urls, { id: 'w' }),
    );
    const pulled = await Promise.all(
      workers.map(async (worker) => {
        const random = new Random(count);
        await worker.connect();
        for (let step = 0; step < 12; step++) await worker.push(gradients(random) as never);
        const ids = [...someIds(random, 30), 12345, 3];
        const { data } = await worker.pullRows('words', ids);
        return [...data, ...(await worker.pullRows('bias', ids)).data];
      }),
    );
    expect(pulled[1]).toEqual(pulled[0]);
    const rows = (server: ShardServer): number[] => server.stats().tables.map((each) => each.rows);
    const held = group.map(rows);
    for (const [i, of] of rows(alone).entries()) {
      expect(held.reduce((sum, each) => sum + (each[i] as number), 0)).toBe(of);
    }
    // Every shard has some of them.
    for (const each of held) expect(each[0]).toBeGreaterThan(0);
  });

  it.each([bsp(), ssp({ staleness: 1 })])('add what every worker pushes, under %o', async (consistency) => {
    const group = await startGroup(count, {
      ...{ parameters, consistency, minWorkers: 3 },
      tables: { sums: { dim: 2 } },
      optimizer: sgd({ learningRate: 1 }),
    });
    const ids = [0, 1, 2, 3, 2 ** 40, 2 ** 41, 77, 2 ** 53 - 1];
    const workers = ['x', 'y', 'z'].map((id) => startWorker(urlsOf(group), { id }));
    await Promise.all(
      workers.map((worker) =>
        worker.run(
          () => ({
            gradients: { sums: { ids, values: new Float32Array(2 * ids.length).fill(-3) } } as never,
          }),
          { steps: 20 },
        ),
      ),
    );
    const expected = consistency.name === 'bsp' ? 60 : 180;
    const { data } = await (workers[0] as (typeof workers)[0]).pullRows('sums', ids);
    expect([...data]).toEqual(Array(2 * ids.length).fill(expected));
  });

  it('refuse what one shard would refuse, before anything is sent', async () => {
    const group = await startGroup(count, { parameters, tables: { few: { dim: 1, maxRows: 2 * count } } });
    const worker = startWorker<Model>(urlsOf(group), { id: 'w' });
    await worker.connect();
    const few = (length: number, value = 1): never => {
      const ids = Array.from({ length }, (_, i) => i);
      return { few: { ids, values: new Float32Array(length).fill(value) } } as never;
    };
    expect(await codeOf(worker.push(few(2 * count + 1)))).toBe('PS_TABLE_FULL');
    expect(await codeOf(worker.push(few(1, Number.NaN)))).toBe('PS_NOT_FINITE');
    expect(group.map((server) => server.stats().version)).toEqual(Array(count).fill(0));
    await worker.push(few(1));
    expect(group.map((server) => server.stats().version)).toEqual(Array(count).fill(1));
  });
});
