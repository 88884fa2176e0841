/**
 * Training with a pipeline, in simulation: pulls for the next k steps are under way while a step is computed. Over any
 * network and any speed of the workers, what a pull contains and what delay a push is said to have stay in their bounds.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { ssp } from '../../../src/core/consistency/consistency.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { DEFAULT_SERVER_LIMITS } from '../../../src/core/server/limits.js';
import type { PullAnswer, PushAnswer } from '../../../src/core/worker/events.js';
import { MemoryStore } from '../../../src/testing/cluster/serverStore.js';
import { SimCluster } from '../../../src/testing/cluster/simCluster.js';
import type { SimWorker } from '../../../src/testing/cluster/simWorker.js';
import { IDEAL_NETWORK } from '../../../src/testing/network/conditions.js';
import { guardMs } from './seeds.js';

const STEPS = 25;
const RUNS = 150;

interface Run {
  readonly seed: number;
  readonly workers: number;
  readonly staleness: number;
  readonly pipeline: number;
  readonly jitterMs: number;
}

function clusterOf({ seed, workers, staleness, jitterMs }: Run): SimCluster {
  const none = Number.POSITIVE_INFINITY;
  return new SimCluster({
    random: new Random(seed),
    network: { ...IDEAL_NETWORK, latencyMs: 0.5, jitterMs },
    store: () => new MemoryStore(),
    server: {
      parameters: { cells: { shape: [workers] } },
      optimizer: sgd({ learningRate: 1 }),
      consistency: ssp({ staleness }),
      seed,
      windowBytes: 65_536,
      continueMs: 0.01,
      core: {
        shard: { index: 0, count: 1 },
        minWorkers: workers,
        delay: { max: none, scale: 'none' },
        clip: { value: none, norm: none },
        nonFinite: 'reject',
        maxPushNorm: none,
        limits: DEFAULT_SERVER_LIMITS,
      },
    },
    workers: {
      reconnect: { retries: 0, minDelayMs: 1, maxDelayMs: 1, maxOfflineMs: 1000 },
      limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 65_536 },
      connectTimeoutMs: 30_000,
      windowBytes: 65_536,
    },
    observers: () => [],
  });
}

/** A loop like that of `Worker.run` with `pipeline`: each step adds 1 to the worker's own cell. */
class PipelinedLoop {
  readonly pulls: { clock: number; cells: readonly number[]; version: number }[] = [];
  readonly pushes: { answer: PushAnswer; pulled: number }[] = [];
  readonly errors: unknown[] = [];
  readonly #worker: SimWorker;
  readonly #rank: number;
  readonly #run: Run;
  readonly #random: Random;
  readonly #answers = new Map<number, PullAnswer>();
  #asked = 0;
  #step = 0;
  #isComputing = false;

  constructor(worker: SimWorker, rank: number, run: Run) {
    this.#worker = worker;
    this.#rank = rank;
    this.#run = run;
    this.#random = new Random(run.seed).fork(rank);
    worker.call({ kind: 'connect' }, ({ error }) =>
      error === undefined ? this.#ask() : this.errors.push(error),
    );
  }

  get isDone(): boolean {
    return this.errors.length > 0 || this.pushes.length === STEPS;
  }

  #ask(): void {
    for (; this.#asked < STEPS && this.#asked <= this.#step + this.#run.pipeline; this.#asked++) {
      const clock = this.#asked;
      const common = { tensors: undefined, into: undefined, training: true, wait: false, consistent: true };
      this.#worker.call(
        { kind: 'pull', ...common, ahead: clock - this.#step, ifNewerThan: undefined, timeoutMs: 60_000 },
        ({ value, error }) => {
          if (error !== undefined) this.errors.push(error);
          const answer = value as PullAnswer;
          this.pulls.push({ clock, cells: [...(answer.arrays?.[0] ?? [])], version: answer.version });
          this.#answers.set(clock, answer);
          this.#compute();
        },
      );
    }
  }

  #compute(): void {
    const answer = this.#answers.get(this.#step);
    if (this.#isComputing || answer === undefined) return;
    this.#isComputing = true;
    this.#worker.process.after(20 * this.#random.nextFloat() ** 3, () => this.#push(answer));
  }

  #push(from: PullAnswer): void {
    const gradient = new Float32Array(this.#run.workers);
    gradient[this.#rank] = -1;
    this.#worker.call(
      {
        kind: 'push',
        tensors: undefined,
        values: [gradient],
        tick: true,
        computedFrom: from.pulled,
        metrics: undefined,
        examples: undefined,
      },
      ({ value, error }) => {
        if (error !== undefined) this.errors.push(error);
        this.pushes.push({ answer: value as PushAnswer, pulled: from.version });
        if (this.pushes.length === STEPS) this.#worker.call({ kind: 'clock', operation: 'leave' }, () => {});
      },
    );
    this.#step++;
    this.#isComputing = false;
    this.#ask();
    this.#compute();
  }
}

const runs = fc
  .record({
    seed: fc.nat(1_000_000),
    workers: fc.integer({ min: 1, max: 4 }),
    staleness: fc.integer({ min: 1, max: 4 }),
    pipeline: fc.integer({ min: 1, max: 4 }),
    jitterMs: fc.constantFrom(0, 2, 15),
  })
  .map((run) => ({ ...run, pipeline: Math.min(run.pipeline, run.staleness) }));

describe('a pipeline of k steps', () => {
  it('pulls hold what staleness and k promise, and delays are counted from the version that was used', {
    timeout: guardMs(RUNS),
  }, () => {
    let longest = Number.NEGATIVE_INFINITY;
    fc.assert(
      fc.property(runs, (run) => {
        const { workers, staleness, pipeline } = run;
        const cluster = clusterOf(run);
        cluster.server.start();
        const loops = Array.from(
          { length: workers },
          (_, rank) => new PipelinedLoop(cluster.startWorker(`w${rank}`, false), rank, run),
        );
        cluster.timeline.run(1_000_000, () => loops.every(({ isDone }) => isDone));
        for (const [rank, { pulls, pushes, errors }] of loops.entries()) {
          expect(errors).toEqual([]);
          expect(pushes).toHaveLength(STEPS);
          for (const { clock, cells, version } of pulls) {
            expect(cells.reduce((sum, cell) => sum + cell, 0)).toBe(version);
            for (const cell of cells) expect(cell).toBeGreaterThanOrEqual(clock - staleness);
            expect(cells[rank]).toBeGreaterThanOrEqual(clock - pipeline);
          }
          for (const { answer, pulled } of pushes) {
            expect(answer.outcome).toBe('applied');
            expect(answer.delay).toBe(answer.version - 1 - pulled);
            expect(answer.delay).toBeLessThanOrEqual((workers - 1) * (2 * staleness + 1) + pipeline);
            if (workers === 1) longest = Math.max(longest, answer.delay - pipeline);
          }
        }
      }),
      { seed: 1, numRuns: RUNS },
    );
    // The bound is reached where a worker is alone: its own updates alone are under way.
    expect(longest).toBe(0);
  });
});
