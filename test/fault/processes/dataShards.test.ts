/**
 * Data shards handed to processes that are killed: workers die in the middle of a data shard, others join, servers are
 * killed and come back with what they had on disk. By what was applied, each example counts exactly once in each
 * epoch, on every shard of the group.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { Child } from './child.js';
import { EPOCHS, SIZE } from './dataCells.js';

const WORKERS = 4;
const WORKER_KILLS = 6;
const SERVER_KILLS = 2;
/** While somebody starts, the others may take so many batches. */
const MEANWHILE = 25;

const jobs: Job[] = [];
afterEach(async () => {
  await Promise.all(jobs.splice(0).map((job) => job.end()));
});

/** Servers and workers of one data set, and how many batches they may take. */
class Job {
  readonly random: Random;
  readonly workers: Child[] = [];
  /** Their names. */
  readonly names: string[] = [];
  readonly servers: Child[] = [];
  readonly epochs: { epoch: number; examples: number; isExact: boolean }[] = [];
  readonly done: Promise<Record<string, unknown>>;
  #resolve: (said: Record<string, unknown>) => void = () => {};
  readonly #children: Child[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'pslib-data-'));
  readonly #urls: string[] = [];
  readonly #asking: Child[] = [];
  #taken = 0;
  #allowed = 0;
  #onTaken: (() => void) | undefined;
  #names = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    jobs.push(this);
  }

  async start(count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, index) => this.startServer(index, count)));
    await Promise.all(Array.from({ length: WORKERS }, (_, k) => this.startWorker(k, this.newName())));
  }

  newName(): string {
    return `worker-${++this.#names}`;
  }

  /** Starts server `index`, at its old address if it had one. */
  async startServer(index: number, count: number): Promise<void> {
    const port = this.#urls[index] === undefined ? 0 : new URL(this.#urls[index]).port;
    const server = this.#start('dataServerProcess.ts', [
      join(this.#folder, String(index)),
      port,
      index,
      count,
    ]);
    this.servers[index] = server;
    server.process.on('message', (said: { kind: string } & Record<string, unknown>) => {
      if (said.kind === 'epoch') this.epochs.push(said as never);
      else if (said.kind === 'done') this.#resolve(said);
    });
    this.#urls[index] = (await server.next('listening')).url as string;
  }

  /** Starts a worker in place `k`. */
  async startWorker(k: number, name: string): Promise<void> {
    const urls = this.random.shuffle([...this.#urls]);
    const worker = this.#start('dataWorkerProcess.ts', [name, this.servers.length, ...urls]);
    this.workers[k] = worker;
    this.names[k] = name;
    worker.process.on('message', ({ kind }: { kind: string }) => {
      if (kind !== 'asks') return;
      this.#asking.push(worker);
      this.#serve();
    });
    await worker.next('connected');
  }

  /** Lets `count` more batches be taken; resolves when they are. */
  take(count: number): Promise<void> {
    this.allow(count);
    return new Promise((resolve) => {
      this.#onTaken = resolve;
      this.#serve();
    });
  }

  allow(count: number): void {
    this.#allowed = this.#taken + count;
    this.#serve();
  }

  async tally(): Promise<unknown[]> {
    const said = this.servers.map((server) => server.next('tally'));
    for (const server of this.servers) server.tell('tally');
    return (await Promise.all(said)).map(({ counts }) => counts);
  }

  async end(): Promise<void> {
    await Promise.all(this.#children.map((child) => child.kill()));
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #start(file: string, args: readonly (string | number)[]): Child {
    const child = new Child(file, args);
    this.#children.push(child);
    return child;
  }

  #serve(): void {
    while (this.#taken < this.#allowed) {
      const worker = this.#asking.shift();
      if (worker === undefined) return;
      if (!worker.process.connected) continue;
      worker.tell('go on');
      this.#taken++;
    }
    this.#onTaken?.();
    this.#onTaken = undefined;
  }
}

async function killWorker(job: Job): Promise<void> {
  const { random } = job;
  const k = random.nextInt(WORKERS);
  await (job.workers[k] as Child).kill();
  job.allow(MEANWHILE);
  // Either another one joins, or the same comes back.
  const name = random.nextInt(2) === 0 ? job.newName() : (job.names[k] as string);
  await job.startWorker(k, name);
}

async function killServer(job: Job, index: number): Promise<void> {
  await (job.servers[index] as Child).kill();
  job.allow(MEANWHILE);
  await job.startServer(index, job.servers.length);
}

describe.each([1, 2, 3])('data shards of %i server(s)', (count) => {
  it('count each example once in each epoch, whoever is killed and whoever joins', {
    timeout: 120_000,
  }, async () => {
    const job = new Job(count);
    await job.start(count);
    // Kills of servers stand among those of workers; every server of a group has its turn.
    const kills = [
      ...Array.from({ length: WORKER_KILLS }, () => () => killWorker(job)),
      ...Array.from({ length: Math.max(SERVER_KILLS, count) }, (_, i) => () => killServer(job, i % count)),
    ];
    for (const kill of job.random.shuffle(kills)) {
      await job.take(10 + job.random.nextInt(25));
      await kill();
    }
    const finished = job.workers.map((worker) => worker.next('finished'));
    job.allow(Number.POSITIVE_INFINITY);
    expect(await job.done).toMatchObject({ epochs: EPOCHS, examples: EPOCHS * SIZE, endedBy: 'epochs' });
    await Promise.all(finished);
    expect(await job.tally()).toEqual(Array(count).fill({ 1: EPOCHS * SIZE }));
    expect(job.epochs.every(({ isExact }) => isExact)).toBe(true);
    expect(new Set(job.epochs.map(({ epoch }) => epoch))).toEqual(new Set([0, 1, 2]));
  });
});
