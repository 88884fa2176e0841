/** `pipeline`: communication under computing, and exactly as much less of the worker's own updates as it says. */
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { asp, bsp, type Consistency, ssp } from '../../../src/core/consistency/consistency.js';
import type { StepEvent } from '../../../src/io/worker/workerEvents.js';
import { elementsOf, startGroup, urlsOf } from '../group/groups.js';
import { codeOf, gradientsOf, nextEvent, PARAMETERS, startServer, startWorker } from './bench.js';

/** Cell w holds how many updates of worker w it has. */
function countsOf(workers: number): { counts: { shape: [number] } } {
  return { counts: { shape: [workers] } };
}

/** Ends the computations under way in an order drawn from a seed: whatever order may come up does. */
class Computations {
  readonly #random: Random;
  #waiting: (() => void)[] = [];
  #isRunning = false;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  compute(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#run();
    });
  }

  #run(): void {
    if (this.#isRunning || this.#waiting.length === 0) return;
    this.#isRunning = true;
    setImmediate(() => {
      this.#isRunning = false;
      const [next] = this.#waiting.splice(this.#random.nextInt(this.#waiting.length), 1);
      if (this.#random.nextInt(3) > 0) next?.();
      else if (next !== undefined) this.#waiting.push(next);
      this.#run();
    });
  }
}

interface Seen {
  readonly worker: number;
  readonly step: number;
  readonly counts: number[];
}

async function train(seed: number, pipeline: number, consistency: Consistency, workers = 3, steps = 15) {
  const server = await startServer({ parameters: countsOf(workers), consistency, minWorkers: workers });
  const computations = new Computations(seed);
  const seen: Seen[] = [];
  const events: StepEvent[] = [];
  const run = async (w: number): Promise<void> => {
    const worker = startWorker<ReturnType<typeof countsOf>>(server.url, { id: `w${w}`, pipeline });
    worker.on('step', (event) => events.push(event));
    // One array for all steps: pslib must not need it after the step.
    const gradient = new Float32Array(workers);
    const { steps: taken } = await worker.run(
      async ({ counts }, _batch, { step }) => {
        seen.push({ worker: w, step, counts: [...counts.data] });
        await computations.compute();
        gradient.fill(0)[w] = -1;
        return { gradients: { counts: gradient } };
      },
      { steps },
    );
    expect(taken).toBe(steps);
    await worker.close();
  };
  await Promise.all(Array.from({ length: workers }, (_, w) => run(w)));
  const { tensors } = await server.parameters();
  await server.close();
  return { seen, events, counts: [...tensors.counts.data] };
}

describe('a pipeline', () => {
  const cases = [
    [0, 0],
    [0, 2],
    [1, 1],
    [1, 3],
    [2, 2],
    [3, 5],
  ] as const;

  it.each(cases)(
    'of %i steps under SSP(%i) keeps every bound, whatever order things come in',
    async (k, s) => {
      for (let seed = 0; seed < 6; seed++) {
        const workers = 3;
        const { seen, events, counts } = await train(seed, k, ssp({ staleness: s }), workers);
        expect(counts).toEqual([15, 15, 15]);
        for (const { worker, step, counts: at } of seen) {
          // Of its own updates at most the last k are missing, and nothing is there before it was made.
          expect(at[worker]).toBeGreaterThanOrEqual(step - k);
          expect(at[worker]).toBeLessThanOrEqual(step);
          for (const other of at) expect(other).toBeGreaterThanOrEqual(step - s);
        }
        const delays = events.map(({ delay = 0 }) => delay);
        expect(Math.max(...delays)).toBeLessThanOrEqual((workers - 1) * (2 * s + 1) + k);
      }
    },
  );

  it('really runs ahead: a step lacks its worker’s last k updates, and its push says so', async () => {
    const { seen, events } = await train(1, 2, asp(), 1, 8);
    expect(seen.map(({ counts }) => counts[0])).toEqual([0, 0, 0, 1, 2, 3, 4, 5]);
    expect(events.map(({ delay }) => delay)).toEqual([0, 1, 2, 2, 2, 2, 2, 2]);
  });

  it('of a group of servers keeps the bounds at each of them', async () => {
    const [workers, s, k, steps] = [2, 2, 2, 12];
    const model = { parameters: countsOf(workers), consistency: ssp({ staleness: s }), minWorkers: workers };
    const servers = await startGroup(2, model);
    const computations = new Computations(5);
    const run = async (w: number): Promise<void> => {
      const worker = startWorker<ReturnType<typeof countsOf>>(urlsOf(servers), { id: `w${w}`, pipeline: k });
      const summary = await worker.run(
        async ({ counts }, _batch, { step }) => {
          expect(counts.data[w]).toBeGreaterThanOrEqual(step - k);
          expect(Math.min(...counts.data)).toBeGreaterThanOrEqual(step - s);
          await computations.compute();
          return { gradients: { counts: Float32Array.from(counts.data, (_, i) => (i === w ? -1 : 0)) } };
        },
        { steps },
      );
      expect(summary.steps).toBe(steps);
    };
    await Promise.all([run(0), run(1)]);
    expect(await elementsOf(servers)).toEqual([steps, steps]);
  });

  it('of no steps changes no bit: it is the loop that waits for each answer', async () => {
    const run = async (pipeline: number | undefined) => {
      const server = await startServer({ parameters: PARAMETERS, consistency: ssp({ staleness: 3 }) });
      const worker = startWorker(server.url, pipeline === undefined ? {} : { pipeline });
      await worker.run(({ b }) => ({ gradients: { b: b.data.map((x, i) => x / (3 + i)) } }), { steps: 40 });
      return (await server.parameters()).tensors.b.data;
    };
    const expected = Float32Array.of(1, 2, 3, 4);
    for (let step = 0; step < 40; step++) {
      for (const [i, x] of expected.entries()) expected[i] = x - Math.fround(x / (3 + i));
    }
    expect(await run(undefined)).toEqual(expected);
    expect(await run(0)).toEqual(expected);
  });

  it('needs as much staleness: the server says how much there is', async () => {
    const message = async (consistency: Consistency) => {
      const server = await startServer({ parameters: PARAMETERS, consistency });
      const worker = startWorker(server.url, { pipeline: 2 });
      return worker
        .run(() => ({ gradients: gradientsOf(1) }), { steps: 3 })
        .then(
          () => 'fine',
          (error: Error) => error.message,
        );
    };
    expect(await message(bsp())).toContain('pipeline must be at most 0');
    expect(await message(ssp({ staleness: 1 }))).toContain('pipeline must be at most 1');
    expect(await message(ssp({ staleness: 2 }))).toBe('fine');
    expect(await message(asp())).toBe('fine');
  });

  it('goes on under a model that allows less than it did', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: asp() });
    const worker = startWorker(server.url, { pipeline: 3 });
    const run = worker.run(
      async (_parameters, _batch, { step }) => {
        if (step === 5) await server.setConsistency(bsp());
        return { gradients: gradientsOf(1) };
      },
      { steps: 20 },
    );
    expect((await run).steps).toBe(20);
    expect((await server.parameters()).tensors.a.data[0]).toBe(-20);
  });

  it('survives lost connections: every push is applied once', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: ssp({ staleness: 3 }) });
    const worker = startWorker(server.url, { pipeline: 2 });
    const { steps } = await worker.run(
      async (_parameters, _batch, { step }) => {
        if (step % 10 === 5) worker.cut();
        return { gradients: gradientsOf(1) };
      },
      { steps: 50 },
    );
    expect(steps).toBe(50);
    expect((await server.parameters()).tensors.a.data[0]).toBe(-50);
    expect(worker.clock).toBe(50);
  });

  it('ends with the data, with finish and with a refusal, and leaves nothing under way', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: asp() });
    const worker = startWorker(server.url, { pipeline: 2 });
    const none = { training: 0, waitingPulls: 0 };
    const run = (step: number) => ({ gradients: gradientsOf(step === 4 ? Number.NaN : 1) });
    expect(await worker.run(() => run(0), { data: [1, 2, 3] })).toMatchObject({ steps: 3, endedBy: 'data' });
    expect(server.stats()).toMatchObject({ version: 3, ...none });
    expect(await codeOf(worker.run(async (_p, _b, { step }) => run(step), { steps: 99 }))).toBe(
      'PS_NOT_FINITE',
    );
    expect(server.stats()).toMatchObject(none);
    const before = server.stats().version;
    const ended = await worker.run(
      (_p, _b, { step }) => {
        if (step === 5) server.finish('enough');
        return run(0);
      },
      { steps: 1000 },
    );
    expect(ended).toMatchObject({ endedBy: 'finish', finishReason: 'enough' });
    expect(server.stats()).toMatchObject({ version: before + ended.steps, ...none });
  });

  it('after a rollback counts what is left, and takes as many steps as were wanted', async () => {
    const first = await startServer({ parameters: PARAMETERS, consistency: asp() });
    const port = first.address()?.port ?? 0;
    const worker = startWorker(first.url, { pipeline: 2, onRollback: 'continue' });
    const rolledBack = nextEvent(worker, 'rollback');
    let second: typeof first | undefined;
    const { steps } = await worker.run(
      async (_p, _b, { step }) => {
        if (step === 6 && second === undefined) {
          await first.close();
          second = await startServer({ parameters: PARAMETERS, consistency: asp(), port });
          await rolledBack;
        }
        return { gradients: gradientsOf(1) };
      },
      { steps: 20 },
    );
    expect(steps).toBe(20);
    if (second === undefined) throw new Error('no second server');
    const { version } = await second.parameters();
    expect(version).toBeGreaterThanOrEqual(20 - 6);
    expect(version).toBeLessThanOrEqual(20);
  });

  it('in a loop of one’s own begins the next step before the push is answered', async () => {
    const server = await startServer({ parameters: PARAMETERS, consistency: asp() });
    const worker = startWorker(server.url, { pipeline: 1 });
    const log: string[] = [];
    for await (const { step, push } of worker.steps({ steps: 4 })) {
      log.push(`step ${step}`);
      void push(gradientsOf(1)).then(({ version }) => log.push(`version ${version}`));
    }
    expect(log.indexOf('step 1')).toBeLessThan(log.indexOf('version 1'));
    expect(log.at(-1)).toBe('version 4');
    expect(server.stats().version).toBe(4);
  });
});
