import { afterEach, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import {
  asp,
  bsp,
  type Consistency,
  ParameterCache,
  type ParameterCacheOptions,
  ParameterServer,
  sgd,
  ssp,
  Worker,
} from '../../../src/index.js';
import { startWorker } from './bench.js';

const WORKERS = 3;
const ROWS = 8;
const parameters = { w: { shape: [WORKERS] } } as const;
const tables = { words: { dim: WORKERS } } as const;
type Model = typeof parameters & typeof tables;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(consistency: Consistency, options: object = {}): Promise<ParameterServer> {
  const optimizer = sgd({ learningRate: 1 });
  const server = new ParameterServer({ parameters, tables, optimizer, consistency, port: 0, ...options });
  closing.push(() => server.close());
  await server.listen();
  return server;
}

/** The shards of a group that holds the model. */
async function serveGroup(count: number, consistency: Consistency): Promise<ParameterServer[]> {
  const shards = Array.from({ length: count }, (_, index) => ({ shard: { index, count } }));
  return Promise.all(shards.map((shard) => serve(consistency, { ...shard, minWorkers: WORKERS })));
}

function workerOf(
  server: ParameterServer | readonly ParameterServer[],
  id: string,
  cache: ParameterCache,
): ReturnType<typeof startWorker<Model>> {
  const urls = [server].flat().map(({ url }) => url as string);
  return startWorker<Model>(urls, { id, cache });
}

/** What worker `rank` pushes to add 1 to its own column of `ids`. */
function onesFor(rank: number, ids: readonly number[]): { ids: number[]; values: Float32Array } {
  const values = new Float32Array(ids.length * WORKERS);
  ids.forEach((_, i) => {
    values[i * WORKERS + rank] = -1;
  });
  return { ids: [...ids], values };
}

const applyOwn: ParameterCacheOptions['applyOwn'] = (values, gradient) => {
  for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) - (gradient[i] as number);
};

describe('a cache', () => {
  it.each([
    ...[0, 1, 3].flatMap((staleness) => [{ staleness }, { staleness, applyOwn }]),
    ...[
      { count: 3, staleness: 2 },
      { count: 3, staleness: 2, applyOwn },
    ],
  ] as { count?: number; staleness: number; applyOwn?: typeof applyOwn }[])(
    'serves no row that lacks an update of a clock below c − s, or one of the worker’s own: %o',
    async ({ count = 1, staleness, ...options }) => {
      const servers = await serveGroup(count, ssp({ staleness }));
      const random = new Random(7);
      // How often each worker had pushed to each row by the end of each of its clocks.
      const pushed = Array.from({ length: WORKERS }, () => [new Float64Array(ROWS)]);
      let checked = 0;
      const caches = await Promise.all(
        pushed.map(async (mine, rank) => {
          const cache = new ParameterCache(options);
          const worker = workerOf(servers, `w${rank}`, cache);
          await worker.run(
            ({ words }, ids: number[], { step }) => {
              if (random.nextInt(25) === 0) setImmediate(() => worker.cut());
              ids.forEach((id, i) => {
                pushed.forEach((theirs, other) => {
                  const seen = words.data[i * WORKERS + other] as number;
                  const due = other === rank ? mine.length - 1 : step - staleness;
                  const least = due < 0 ? 0 : (theirs[Math.min(due, theirs.length - 1)]?.[id] ?? 0);
                  if (other === rank) expect(seen).toBe(least);
                  else expect(seen).toBeGreaterThanOrEqual(least);
                  checked++;
                });
              });
              const written = ids.filter(() => random.nextInt(3) === 0);
              const next = (mine.at(-1) as Float64Array).slice();
              for (const id of written) next[id] = (next[id] as number) + 1;
              mine.push(next);
              return { gradients: { words: onesFor(rank, written) } };
            },
            {
              steps: 60,
              data: () => Array.from({ length: ROWS }, (_, id) => id).filter(() => random.nextInt(2) === 0),
              rows: (ids) => ({ words: ids }),
            },
          );
          return cache;
        }),
      );
      expect(checked).toBeGreaterThan(1000);
      const hits = caches.reduce((sum, { stats }) => sum + stats.hits, 0);
      // With no staleness what was pulled in a clock is of use in that clock alone.
      if (staleness === 0) expect(hits).toBe(0);
      else expect(hits).toBeGreaterThan(staleness === 1 ? 5 : 60);
    },
  );

  it('answers pulls of tensors too, without asking, and counts', async () => {
    const server = await serve(ssp({ staleness: 2 }));
    const cache = new ParameterCache();
    const worker = workerOf(server, 'a', cache);
    await worker.pull();
    await worker.tick();
    const { receivedMessages } = server.stats();
    const { tensors } = await worker.pull();
    tensors.w.data[0] = 99;
    expect((await worker.pull()).tensors.w.data[0]).toBe(0);
    expect(server.stats().receivedMessages).toBe(receivedMessages);
    expect(cache.stats).toMatchObject({ hits: 2, misses: 1, hitRate: 2 / 3, entries: 1 });
    await worker.push({ w: Float32Array.of(1, 0, 0) });
    expect((await worker.pull()).tensors.w.data[0]).toBe(-1);
    for (let i = 0; i < 3; i++) await worker.tick();
    await worker.pull();
    // Clock 4, and what it has is of clock 1 or before.
    expect(cache.stats).toMatchObject({ hits: 2, misses: 3 });
  });

  it.each([1, 3])('hears of a lower staleness from each of %d servers', async (count) => {
    const shards = Array.from({ length: count }, (_, index) => ({ shard: { index, count } }));
    const consistency = ssp({ staleness: 5 });
    const servers = await Promise.all(shards.map((shard) => serve(consistency, shard)));
    const cache = new ParameterCache();
    const worker = workerOf(servers, 'a', cache);
    await worker.pull();
    await worker.tick();
    await worker.pull();
    expect(cache.stats).toMatchObject({ hits: 1, misses: 1 });
    for (const server of servers) await server.setConsistency(ssp({ staleness: 0 }));
    // An answer that was given after the change: whoever has it knows the bound.
    await worker.tick();
    await worker.pull();
    expect(cache.stats).toMatchObject({ hits: 1, misses: 2 });
    await worker.pull();
    expect(cache.stats).toMatchObject({ hits: 2, misses: 2 });
  });

  it('keeps to its bound of memory, the least lately used going first', async () => {
    const server = await serve(ssp({ staleness: 3 }));
    const cache = new ParameterCache({ maxBytes: 1_000 });
    const worker = workerOf(server, 'a', cache);
    const ids = Array.from({ length: 100 }, (_, i) => i);
    await worker.pullRows('words', ids);
    expect(cache.stats.bytes).toBeLessThanOrEqual(1_000);
    await worker.pullRows('words', [99]);
    await worker.pullRows('words', [0]);
    expect(cache.stats).toMatchObject({ hits: 1, misses: 101 });
  });

  it('serves nothing that a lost server had, nor without a bound unless it is told so', async () => {
    const server = await serve(ssp({ staleness: 3 }));
    const port = server.address()?.port ?? 0;
    const cache = new ParameterCache({ applyOwn });
    const worker = startWorker<Model>(server.url, { id: 'a', cache, onRollback: 'continue' });
    await worker.push({ words: onesFor(0, [1]) });
    expect([...(await worker.pullRows('words', [1])).data]).toEqual([1, 0, 0]);
    await server.close();
    const again = await serve(ssp({ staleness: 3 }), { port });
    await new Promise((resolve) => worker.once('open', resolve));
    expect([...(await worker.pullRows('words', [1])).data]).toEqual([0, 0, 0]);
    await again.close();
    const free = await serve(asp());
    const strict = new ParameterCache();
    const loose = new ParameterCache({ maxClocks: 2 });
    for (const each of [strict, loose]) {
      const one = workerOf(free, `w${each === strict}`, each);
      for (let i = 0; i < 4; i++) {
        await one.pullRows('words', [5]);
        await one.tick();
      }
    }
    expect(strict.stats.hits).toBe(0);
    expect(loose.stats).toMatchObject({ hits: 2, misses: 2 });
  });

  it('does not trust its own update where the server does more than it says', async () => {
    const server = await serve(bsp());
    const cache = new ParameterCache({ applyOwn });
    const worker = workerOf(server, 'a', cache);
    await worker.pullRows('words', [1]);
    await worker.push({ words: onesFor(0, [1]) });
    // Buffered: not to be seen before its clock has closed.
    expect([...(await worker.pullRows('words', [1])).data]).toEqual([0, 0, 0]);
  });

  it('is of one worker, and of its kind', () => {
    const cache = new ParameterCache();
    const url = 'ws://127.0.0.1:1';
    void new Worker(url, { cache }).close();
    expect(() => new Worker(url, { cache })).toThrow('another worker');
    expect(() => new Worker(url, { cache: {} as ParameterCache })).toThrow('cache');
    for (const options of [{ maxBytes: 0 }, { maxClocks: -1 }, { applyOwn: 7 as never }]) {
      expect(() => new ParameterCache(options)).toThrow(Object.keys(options)[0]);
    }
  });
});
