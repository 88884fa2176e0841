/**
 * The worker's side of a measurement: one or several connections of one process that repeat an operation,
 * and the times that it took. It goes on after its report until it is told to stop, so that whoever is
 * still measuring keeps the same company.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerWorker } from './peer.js';
import { percentile } from './statistics.js';

/** What a worker repeats: a round, a pull of everything, a pull of the small tensor. */
export type Operation = 'round' | 'pull' | 'pullSmall';

/** Pretended computing before each operation, and how slow it may be. */
export interface Pace {
  readonly stepMs: number;
  /** How much longer a slow step takes. */
  readonly slowFactor: number;
  /** Share of the steps that are slow. */
  readonly slowShare: number;
  readonly seed: number;
}

/** What a measurement found. Times in microseconds. */
export interface WorkerReport {
  /** Operations per second, summed over the connections. */
  readonly rate: number;
  readonly rounds: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly maxUs: number;
}

/** Fewer are no measurement, however long they took. */
const MIN_ROUNDS = 2;
/** After so many, rounds cost what they will cost: of pslib and of bare ws, measured. */
const WARM_ROUNDS = 8000;
/**
 * Processor time from which on a round is long. A round of 1 MB takes 1.2 ms at first and 0.7 when all of it is compiled,
 * after some 5,000 rounds: it is none.
 */
const LONG_ROUND_MS = 3;

/** Repeats an operation on several connections, and measures it. */
export class Measurement {
  #isStopped = false;
  readonly #latencies: number[] = [];
  readonly #loops: Promise<number>[];
  readonly #rates: Promise<number>[];
  readonly #warm: Promise<void>[];

  constructor(
    workers: readonly PeerWorker[],
    operation: Operation,
    pace: Pace | undefined,
    span: { warmUpMs: number; measureMs: number },
    leaves: boolean,
  ) {
    const measured = workers.map((worker, k) => {
      const wait = pace === undefined ? undefined : paceOf({ ...pace, seed: pace.seed + k });
      const tell = { warm: () => {}, rate: (_rate: number) => {} };
      const warm = new Promise<void>((resolve) => {
        tell.warm = resolve;
      });
      const rate = new Promise<number>((resolve) => {
        tell.rate = resolve;
      });
      const loop = this.#repeat(operationOf(worker, operation), wait, span, tell);
      return { warm, rate, loop: leaves ? loop.finally(() => worker.leave?.()) : loop };
    });
    this.#loops = measured.map(({ loop }) => loop);
    this.#rates = measured.map(({ rate }) => rate);
    this.#warm = measured.map(({ warm }) => warm);
  }

  /** Settles when every connection has warmed up. Rejects if an operation failed. */
  async warm(): Promise<void> {
    await this.#unlessOneFails(this.#warm);
  }

  /** Settles when every connection has measured long enough. Rejects if an operation failed. */
  async report(): Promise<WorkerReport> {
    const rates = await this.#unlessOneFails(this.#rates);
    const us = (share: number): number => percentile(this.#latencies, share) * 1e3;
    const rate = rates.reduce((sum, each) => sum + each, 0);
    return { rate, rounds: this.#latencies.length, p50Us: us(0.5), p99Us: us(0.99), maxUs: us(1) };
  }

  /** Ends the loops; how many operations there were in all, warm-up included. */
  async stop(): Promise<number> {
    this.#isStopped = true;
    const totals = await Promise.all(this.#loops);
    return totals.reduce((sum, each) => sum + each, 0);
  }

  #unlessOneFails<T>(awaited: readonly Promise<T>[]): Promise<T[]> {
    const failure = Promise.all(this.#loops).then(() => new Promise<never>(() => {}));
    return Promise.race([Promise.all(awaited), failure]);
  }

  async #repeat(
    operate: () => Promise<void>,
    wait: (() => Promise<void>) | undefined,
    span: { warmUpMs: number; measureMs: number },
    tell: { warm(): void; rate(rate: number): void },
  ): Promise<number> {
    const begin = performance.now();
    const cpuBefore = process.cpuUsage();
    let total = 0;
    let start = 0;
    let rounds = -1;
    let isReported = false;
    const progress = (now: number) => ({
      elapsedMs: now - begin,
      cpuMs: cpuMsSince(cpuBefore),
      rounds: total,
    });
    while (!this.#isStopped) {
      if (wait !== undefined) await wait();
      const before = performance.now();
      await operate();
      const now = performance.now();
      total += 1;
      if (isReported) continue;
      if (rounds >= 0) {
        this.#latencies.push(now - before);
        rounds += 1;
      } else if (isWarm(progress(now), span.warmUpMs, wait !== undefined)) {
        tell.warm();
        rounds = 0;
        start = now;
      }
      if (rounds >= MIN_ROUNDS && now - start >= span.measureMs) {
        tell.rate((rounds / (now - start)) * 1e3);
        isReported = true;
      }
    }
    return total;
  }
}

/**
 * Whether the warm-up is over: its time has passed, and so many rounds that the compiler is done with them, or,
 * where a round is long, so much of this process's own time. Where other programs take the processor, time alone
 * says little.
 */
function isWarm(
  { elapsedMs, cpuMs, rounds }: { elapsedMs: number; cpuMs: number; rounds: number },
  warmUpMs: number,
  isPaced: boolean,
): boolean {
  if (elapsedMs < warmUpMs) return false;
  if (isPaced || rounds >= WARM_ROUNDS || elapsedMs >= 40 * warmUpMs) return true;
  return cpuMs >= 1.5 * warmUpMs && cpuMs >= LONG_ROUND_MS * rounds;
}

/** Processor time of this process since `before`. */
function cpuMsSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e3;
}

function operationOf(worker: PeerWorker, operation: Operation): () => Promise<void> {
  if (operation === 'round') return () => worker.round();
  if (operation === 'pull') return () => worker.pull();
  if (worker.pullSmall === undefined) throw new Error('this peer has no small pulls');
  return () => (worker.pullSmall as () => Promise<void>)();
}

/** A step that takes `stepMs`, or now and then `slowFactor` as long; equal for equal seeds. */
function paceOf({ stepMs, slowFactor, slowShare, seed }: Pace): () => Promise<void> {
  let state = (seed + 1) * 2654435761;
  const random = (): number => {
    // Numerical Recipes' linear congruential generator; its high bits will do.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  for (let k = 0; k < 8; k++) random();
  return async () => {
    await sleep(stepMs * (random() < slowShare ? slowFactor : 1));
  };
}
