/** `simulate`: its numbers against closed forms, its training against a loop, its faults, its bad input. */
import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import {
  between,
  logNormal,
  PsError,
  type SimulationOptions,
  simulate,
  withStalls,
} from '../../../src/testingEntry.js';

/** Messages take no time. */
const IDEAL = { latencyMs: 0, jitterMs: 0, megabitPerS: Infinity, serverMegabitPerS: Infinity };

describe('times', () => {
  it('of one worker are those of its gradients', () => {
    const { ms, steps, stepsPerS, computeShare, waitShare, isComplete } = simulate({
      workers: [{ computeMs: 10 }],
      network: IDEAL,
      clocks: 50,
    });
    expect(isComplete).toBe(true);
    expect(steps).toBe(50);
    // All but the reconnect that a worker which starts with its server needs.
    expect(ms).toBeGreaterThanOrEqual(500);
    expect(ms).toBeLessThan(500 + 1_000);
    expect(computeShare).toBeCloseTo(500 / ms, 9);
    expect(stepsPerS).toBeCloseTo(50_000 / ms, 9);
    expect(waitShare).toBe(0);
  });

  it('of BSP are those of the slowest, of ASP those of each', () => {
    const workers = [
      { name: 'fast', count: 3, computeMs: 10 },
      { name: 'slow', computeMs: 40 },
    ];
    const options = { workers, network: IDEAL, clocks: Infinity, forMs: 20_000 };
    const slowSteps = 20_000 / 40;
    const synchronous = simulate({ ...options, consistency: bsp() });
    for (const { steps } of synchronous.workers) expect(steps / slowSteps).toBeCloseTo(1, 1);
    expect(synchronous.isComplete).toBe(false);
    expect(synchronous.ms).toBe(20_000);
    const asynchronous = simulate({ ...options, consistency: asp() });
    for (const { id, steps } of asynchronous.workers)
      expect(steps / (id === 'slow' ? slowSteps : 4 * slowSteps)).toBeCloseTo(1, 1);
    // Three quarters of the time of three in four.
    expect(synchronous.waitShare).toBeGreaterThan(0.5);
    expect(asynchronous.waitShare).toBe(0);
  });

  it('of a large model are those of the lines', () => {
    const transfer = { ...IDEAL, megabitPerS: 8 };
    // A megabyte takes a second each way.
    const { ms } = simulate({ workers: [{ computeMs: 0 }], network: transfer, modelBytes: 1e6, clocks: 10 });
    expect(ms).toBeGreaterThan(19_000);
    expect(ms).toBeLessThan(23_000);
  });
});

describe('what is counted', () => {
  it.each([0, 1, 4])('leads stay within the staleness %i, and delays within theirs', (staleness) => {
    const computeMs = withStalls(logNormal({ medianMs: 20, spread: 1.5 }), { share: 0.05, factor: 8 });
    const workers = [{ count: 6, computeMs }];
    const { leads, delays, updates, steps, dropped } = simulate({
      workers,
      consistency: ssp({ staleness }),
      clocks: 60,
    });
    expect(leads.max).toBe(staleness);
    expect(leads.total).toBe(360);
    expect(delays.max).toBeLessThanOrEqual(5 * (2 * staleness + 1));
    expect(delays.total).toBe(updates);
    expect([updates, steps, dropped]).toEqual([360, 360, 0]);
    expect(delays.quantile(1)).toBe(delays.max);
    expect(delays.counts.reduce((sum, count) => sum + count, 0)).toBe(delays.total);
  });

  it('the same options give the same result, another seed another', () => {
    const options: SimulationOptions = {
      workers: [{ count: 5, computeMs: between(5, 50) }],
      transcript: true,
    };
    const [once, again] = [simulate(options), simulate(options)];
    expect(again.transcript).toEqual(once.transcript);
    expect(once.transcript.length).toBeGreaterThan(1_000);
    expect(simulate({ ...options, seed: 1 }).ms).not.toBe(once.ms);
  });
});

const parameters = { w: { shape: [3], data: Float32Array.of(1, 2, 3) } } as const;

describe('training', () => {
  it('of one BSP worker is the loop on one machine, bit for bit', () => {
    const learningRate = 0.3;
    const gradientAt = (w: Float32Array, step: number): Float32Array =>
      w.map((value, i) => value - Math.fround(0.1 * (i + step)));
    const { parameters: trained, losses } = simulate({
      workers: [{ computeMs: 3 }],
      consistency: bsp(),
      clocks: 40,
      training: {
        parameters,
        optimizer: sgd({ learningRate }),
        batch: (step) => step,
        gradient: ({ w }, step) => ({ gradients: { w: gradientAt(w.data, step) } }),
        loss: ({ w }) => w.data[0] as number,
        lossEveryMs: 50,
      },
    });
    let w: Float32Array = Float32Array.of(1, 2, 3);
    for (let step = 0; step < 40; step++) {
      const gradient = gradientAt(w, step);
      w = w.map((value, i) => value - Math.fround(Math.fround(learningRate) * (gradient[i] as number)));
    }
    expect([...trained.w.data]).toEqual([...w]);
    expect(losses[0]).toEqual({ ms: 0, version: 0, loss: 1 });
    expect(losses.at(-1)?.loss).toBe(w[0]);
    expect(losses.length).toBeGreaterThan(2);
  });

  it('throws what the gradient function throws, and says what is no gradient', () => {
    const training = (gradient: () => never): SimulationOptions['training'] => ({ parameters, gradient });
    const run =
      (gradient: () => unknown): (() => unknown) =>
      () =>
        simulate({ workers: [{ computeMs: 1 }], training: training(gradient as () => never) });
    expect(
      run(() => {
        throw new RangeError('mine');
      }),
    ).toThrow(new RangeError('mine'));
    expect(run(async () => ({}))).toThrow('may not be asynchronous');
    expect(run(() => ({ gradients: { v: new Float32Array(3) } }))).toThrow(PsError);
  });

  it('ends a worker whose push is refused, with the error', () => {
    const { workers, isComplete } = simulate({
      workers: [
        { name: 'good', computeMs: 5 },
        { name: 'bad', computeMs: 5 },
      ],
      clocks: 20,
      training: {
        parameters,
        batch: (step, { worker }) => (worker === 'bad' && step === 7 ? Number.NaN : 0),
        gradient: (_, value: number) => ({ gradients: { w: new Float32Array(3).fill(value) } }),
      },
    });
    expect(isComplete).toBe(false);
    expect(workers.map(({ id, steps, error }) => [id, steps, error?.code])).toEqual([
      ['good', 20, undefined],
      ['bad', expect.any(Number), 'PS_NOT_FINITE'],
    ]);
  });
});

describe('faults', () => {
  const count = 4;
  const workers = [{ name: 'w', count, computeMs: between(5, 15) }];

  it('of every kind lose no answered push: with a journal every worker gets to its last step', () => {
    const { isComplete, steps, updates, rollbacks, transcript } = simulate({
      workers,
      clocks: 200,
      durability: 'journal',
      faults: [
        { kind: 'loseConnection', worker: 'w-0', atMs: 700 },
        { kind: 'cutOff', worker: 'w-1', atMs: 800, forMs: 300 },
        { kind: 'stopWorker', worker: 'w-2', atMs: 900, forMs: 500 },
        { kind: 'killServer', atMs: 1_500, forMs: 100 },
        { kind: 'killServer', atMs: 2_500, forMs: 100, losesPower: true },
        { kind: 'stopServer', atMs: 5_000, forMs: 200 },
        { kind: 'stallDisk', atMs: 5_500, forMs: 200 },
        { kind: 'killWorker', worker: 'w-3', atMs: 6_000, forMs: 50 },
      ],
      transcript: true,
    });
    expect(isComplete).toBe(true);
    expect(rollbacks).toBe(0);
    // Every answered push is applied once; the process that was killed may have had some that were never answered.
    expect(updates).toBeGreaterThanOrEqual(steps);
    expect(updates).toBeLessThanOrEqual(steps + 4);
    expect(steps).toBeGreaterThan(count * 150);
    for (const text of ['loses its connection', 'is cut off', 'stops for 500', 'is killed', 'loses power'])
      expect(
        transcript.some((line) => line.includes(text)),
        text,
      ).toBe(true);
  });

  it('a server without a journal goes back, and says so', () => {
    const { rollbacks, isComplete } = simulate({
      workers,
      clocks: 100,
      faults: [{ kind: 'killServer', atMs: 1_200, forMs: 50 }],
    });
    expect(isComplete).toBe(true);
    expect(rollbacks).toBe(count);
  });

  it('a worker that is killed for good is not waited for', () => {
    const {
      workers: ended,
      isComplete,
      evictions,
    } = simulate({
      workers,
      clocks: 100,
      faults: [{ kind: 'killWorker', worker: 'w-3', atMs: 1_000, forMs: Infinity }],
    });
    expect(isComplete).toBe(true);
    expect(ended.map(({ steps }) => steps === 100)).toEqual([true, true, true, false]);
    expect(evictions).toBe(1);
  });
});

describe('bad input', () => {
  const computeMs = 1;
  it.each([
    ['workers', {}],
    ['workers', { workers: [] }],
    ['workers', { workers: [{ count: 0, computeMs }] }],
    ['workers[0].computeMs', { workers: [{ computeMs: -1 }] }],
    ['workers[1].name', { workers: [{ computeMs }, { computeMs }] }],
    ['workers[0].count', { workers: [{ computeMs, count: 1.5 }] }],
    ['workers[0].speed', { workers: [{ computeMs, speed: 1 }] }],
    ['clocks', { workers: [{ computeMs }], clocks: 0 }],
    ['forMs', { workers: [{ computeMs }], clocks: Infinity }],
    ['network.latencyMs', { workers: [{ computeMs }], network: { latencyMs: -1 } }],
    ['network.megabitPerS', { workers: [{ computeMs }], network: { megabitPerS: 0 } }],
    ['durability', { workers: [{ computeMs }], durability: 'disk' }],
    ['faults[0].kind', { workers: [{ computeMs }], faults: [{ kind: 'fire', atMs: 1 }] }],
    [
      'faults[0].worker',
      { workers: [{ computeMs }], faults: [{ kind: 'cutOff', worker: 'x', atMs: 1, forMs: 1 }] },
    ],
    ['faults[0].atMs', { workers: [{ computeMs }], faults: [{ kind: 'stopServer', forMs: 1 }] }],
    ['seed', { workers: [{ computeMs }], seed: -1 }],
    ['consistency', { workers: [{ computeMs }], consistency: 'ssp' }],
    ['simulate.staleness', { workers: [{ computeMs }], staleness: 3 }],
  ])('%s is named', (option, options) => {
    const error = errorOf(() => simulate(options as unknown as SimulationOptions));
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option } });
  });

  it('of compute times is found when they are drawn', () => {
    const error = errorOf(() => simulate({ workers: [{ computeMs: () => Number.NaN }] }));
    expect(error.message).toContain('computeMs of worker in step 0');
    expect(errorOf(() => between(5, 1)).code).toBe('PS_INVALID_ARGUMENT');
  });
});

function errorOf(run: () => unknown): PsError {
  try {
    run();
  } catch (error) {
    return error as PsError;
  }
  throw new Error('nothing was thrown');
}
