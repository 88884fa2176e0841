/** Workers behind a proxy that resets, stalls and slices: every push is applied exactly once. */
import { afterEach, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { asp, ParameterServer, sgd, ssp, Worker } from '../../../src/index.js';
import { gradientsOf, PARAMETERS, WORKERS } from './cells.js';
import { FaultyProxy } from './proxy.js';

const ends: (() => Promise<void> | void)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

describe.each([
  ['asp', asp()],
  ['ssp', ssp({ staleness: 2 })],
])('a network that resets, stalls and slices, under %s', (_name, consistency) => {
  it('loses and doubles nothing', { timeout: 120_000 }, async () => {
    const server = new ParameterServer({
      parameters: PARAMETERS,
      optimizer: sgd({ learningRate: 1 }),
      consistency,
      port: 0,
      // A stalled connection is found dead by its silence.
      limits: { chunkBytes: 1024, leaseMs: 1000, pingMs: 250 },
    });
    ends.push(() => server.close());
    await server.listen();
    const proxy = new FaultyProxy(server.address()?.port as number, new Random(consistency.name.length));
    ends.push(() => proxy.close());
    const url = `ws://127.0.0.1:${await proxy.listen()}/`;
    const reconnect = { minDelayMs: 5, maxDelayMs: 50 };
    const workers = Array.from(
      { length: WORKERS },
      (_, rank) => new Worker(url, { id: `w${rank}`, reconnect }),
    );
    ends.push(async () => void (await Promise.all(workers.map((worker) => worker.close()))));
    const steps = 40;
    await Promise.all(
      workers.map(async (worker, rank) => {
        await worker.connect();
        await worker.run(
          ({ own }, _batch, { step }) => {
            // Its own updates are all there, whatever happened on the way.
            expect(own?.data[rank]).toBe(step);
            return { gradients: gradientsOf(rank) };
          },
          { steps },
        );
      }),
    );
    expect(proxy.resets).toBeGreaterThan(WORKERS);
    expect(proxy.stalls).toBeGreaterThan(0);
    const { version, tensors } = await server.parameters();
    expect([...tensors.own.data]).toEqual(Array(WORKERS).fill(steps));
    expect(tensors.shared.data[0]).toBe(WORKERS * steps);
    expect(new Set(tensors.padding.data)).toEqual(new Set([WORKERS * steps]));
    expect(version).toBe(WORKERS * steps);
  });
});
