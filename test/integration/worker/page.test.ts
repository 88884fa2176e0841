/** A worker whose page is hidden, frozen, woken and left, as its browser would say; without a browser. */
import { describe, expect, it } from 'vitest';
import { ssp } from '../../../src/core/consistency/consistency.js';
import {
  type CuttableWorker,
  gradientsOf,
  nextEvent,
  PARAMETERS,
  startServer,
  startWorker,
} from './bench.js';

const consistency = ssp({ staleness: 0 });
const start = () => startServer({ parameters: PARAMETERS, consistency, minWorkers: 2 });

/** Trains until `signal` is aborted; returns the steps taken. */
async function train(worker: CuttableWorker<typeof PARAMETERS>, steps: number): Promise<number> {
  return (await worker.run(() => ({ gradients: gradientsOf(1) }), { steps })).steps;
}

const clockReaches = (worker: CuttableWorker<typeof PARAMETERS>, clock: number) =>
  nextEvent<{ clock: number }>(worker, 'step', (event) => event.clock >= clock);

describe('a worker whose page is hidden', () => {
  it('holds nobody back, takes no steps, and goes on when the page is seen again', async () => {
    const server = await start();
    const [hidden, other] = [startWorker(server.url, { id: 'hidden' }), startWorker(server.url)];
    const ends = [train(hidden, 40), train(other, 100)];
    await clockReaches(hidden, 5);
    hidden.page.hide();
    // With staleness 0 the other could be one clock ahead.
    await clockReaches(other, 50);
    expect(hidden.clock).toBeLessThan(10);
    expect(server.workers().find(({ id }) => id === 'hidden')?.lead).toBeUndefined();
    hidden.page.show();
    expect(await Promise.all(ends)).toEqual([40, 100]);
    expect((await server.parameters()).version).toBe(140);
  });

  it('holds nobody back while its gradient function waits to be seen', async () => {
    const server = await start();
    const [hidden, other] = [startWorker(server.url), startWorker(server.url)];
    let show = () => {};
    const shown = new Promise<void>((resolve) => {
      show = resolve;
    });
    const gradientFn = async (_: unknown, __: unknown, { step }: { step: number }) => {
      if (step === 3) {
        hidden.page.hide();
        await shown;
      }
      return { gradients: gradientsOf(1) };
    };
    const waiting = hidden.run(gradientFn, { steps: 10 });
    expect(await train(other, 50)).toBe(50);
    hidden.page.show();
    show();
    expect((await waiting).steps).toBe(10);
    expect((await server.parameters()).version).toBe(60);
  });

  it("goes on with whenHidden: 'stay'", async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const worker = startWorker(server.url, { whenHidden: 'stay' });
    worker.page.hide();
    expect(await train(worker, 10)).toBe(10);
  });

  it('ends its run if that is aborted meanwhile', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const worker = startWorker(server.url);
    worker.page.hide();
    const abort = new AbortController();
    const run = worker.run(() => ({ gradients: gradientsOf(1) }), { steps: 10, signal: abort.signal });
    await nextEvent(worker, 'open');
    abort.abort();
    await expect(run).rejects.toMatchObject({ code: 'PS_ABORTED' });
  });
});

describe('a worker whose page is frozen', () => {
  it('holds nobody back, comes back, and has every push applied once', async () => {
    const server = await start();
    const [frozen, other] = [startWorker(server.url), startWorker(server.url)];
    const ends = [train(frozen, 60), train(other, 60)];
    for (const clock of [5, 20, 35]) {
      await clockReaches(frozen, clock);
      frozen.page.sleep();
      expect(frozen.connected).toBe(false);
      // Nobody has to wait for a lease to end: it said that it leaves.
      await clockReaches(other, Math.min(60, other.clock + 5));
      frozen.page.wake();
    }
    expect(await Promise.all(ends)).toEqual([60, 60]);
    expect((await server.parameters()).version).toBe(120);
    expect(frozen.connections).toBe(4);
  });

  it('ends at once when the page goes away', async () => {
    const server = await startServer({ parameters: PARAMETERS });
    const worker = startWorker(server.url);
    await worker.connect();
    const left = nextEvent<{ reason: string }>(server, 'worker:leave');
    worker.page.end();
    expect((await left).reason).toBe('goodbye');
  });
});
