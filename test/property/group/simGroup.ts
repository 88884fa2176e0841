/**
 * A simulated group: the production cores of several servers and of workers of all of them, with storage on simulated
 * disks, over a simulated network that fails, on virtual time. Every worker adds 1 to a cell of its own on each shard,
 * step by step, and looks at every pull.
 */
import { Random } from '../../../src/core/base/random.js';
import type { Consistency } from '../../../src/core/consistency/consistency.js';
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { slicesOfRows } from '../../../src/core/partition/rowShards.js';
import type { ServerEffect } from '../../../src/core/server/events.js';
import { DEFAULT_SERVER_LIMITS } from '../../../src/core/server/limits.js';
import type { EmbeddingTable } from '../../../src/core/table/embeddingTable.js';
import { sortIds } from '../../../src/core/tensor/rowIds.js';
import type { RowCount } from '../../../src/core/tensor/rowLayout.js';
import { CacheStore } from '../../../src/core/worker/cache/cacheStore.js';
import { CachingCore } from '../../../src/core/worker/cache/cachingCore.js';
import type {
  PullAnswer,
  PushAnswer,
  RequestValue,
  WorkerObservation,
} from '../../../src/core/worker/events.js';
import { GroupCore } from '../../../src/core/worker/group/groupCore.js';
import type { WorkerMachine } from '../../../src/core/worker/workerMachine.js';
import type { SimDataSet } from '../../../src/testing/cluster/dataSetOwner.js';
import { Observers } from '../../../src/testing/cluster/observer.js';
import { DiskStore, MemoryStore, type ServerStore } from '../../../src/testing/cluster/serverStore.js';
import { SimServer } from '../../../src/testing/cluster/simServer.js';
import { type Command, SimWorker } from '../../../src/testing/cluster/simWorker.js';
import { SimDisk } from '../../../src/testing/disk/simDisk.js';
import { Network } from '../../../src/testing/network/network.js';
import { SimProcess } from '../../../src/testing/network/simProcess.js';
import { Timeline } from '../../../src/testing/network/timeline.js';

/** What is simulated. */
export interface SimGroupOptions {
  readonly seed: number;
  readonly count: number;
  readonly workers: number;
  readonly steps: number;
  readonly consistency: Consistency;
  readonly durability: 'memory' | 'journal';
  /** What the first shard hands out; each shard then has a cell for each example in each epoch. */
  readonly data?: SimDataSet;
  /** Every worker also adds 1 to some rows, and looks at them. */
  readonly hasRows?: boolean;
  /** Every worker has a cache, which applies its own updates. */
  readonly hasCache?: boolean;
}

/** Rows of each worker's own, behind those that all share: more than there are shards. */
const ROWS = 8;
const TABLES = { counts: { dim: 2 } } as const;

/** The ids of the rows of worker `number`, or of those that all share. */
function idsOf(number: number): number[] {
  return Array.from({ length: ROWS }, (_, i) => number * 2 ** 33 + i * 7);
}

/** The number under which `idsOf` gives the rows that all share. */
export const SHARED = 1000;

/** Virtual time in which everything must have ended. */
const END_MS = 600_000;
const LEASE_MS = 2_000;

/** One simulated run. */
export class SimGroup {
  readonly options: SimGroupOptions;
  readonly timeline: Timeline = new Timeline();
  readonly random: Random;
  readonly network: Network;
  readonly servers: readonly SimServer[];
  readonly workers: readonly GroupWorker[];
  /** Whether everything has been done that was to be done. */
  isDone: () => boolean = () => this.workers.every(({ isDone }) => isDone);
  /** The caches of its workers. */
  readonly caches: CacheStore[] = [];
  /** What was found wrong. */
  readonly violations: string[] = [];
  /** A shard has put a worker out of its clock table: nobody waits for its updates then. */
  hasEvicted = false;

  constructor(options: SimGroupOptions) {
    const { seed, count, workers } = options;
    this.options = options;
    this.random = new Random(seed);
    this.network = new Network(this.timeline, this.random.fork('network'), {
      latencyMs: 1,
      jitterMs: 4,
      lateShare: 0.05,
      lateMs: 60,
      bytesPerMs: 1_000,
      serverBytesPerMs: Number.POSITIVE_INFINITY,
      isZeroCopy: true,
      bytesFactor: 1,
    });
    this.servers = Array.from({ length: count }, (_, index) => this.#server(index));
    const steppers = options.data === undefined ? workers : 0;
    this.workers = Array.from({ length: steppers }, (_, k) => new GroupWorker(this, k));
  }

  /** Elements that each shard holds: a cell of each worker, and one that all share. */
  get width(): number {
    const { data, workers } = this.options;
    return data === undefined ? workers + 1 : data.dataSet.epochs * data.dataSet.size;
  }

  /** The values that each shard holds. */
  get values(): Float32Array[] {
    return this.servers.map(({ core }) => core.state.table.versions.current);
  }

  /** What the rows of worker `number` (or the shared ones) are, wherever they are. */
  rowsOf(number: number): number[] {
    const { words, count } = sortIds('ids', idsOf(number));
    const slices = slicesOfRows(words, this.options.count);
    const rows = Array<number>(2 * count).fill(Number.NaN);
    for (const [shard, { words: held, positions }] of slices.entries()) {
      const table = this.servers[shard]?.core.state.tables.tables[0] as EmbeddingTable;
      const found = new Float32Array(held.length);
      table.read(held, 0, positions.length, found);
      for (const [i, at] of positions.entries()) rows.splice(2 * at, 2, ...found.subarray(2 * i, 2 * i + 2));
    }
    return rows;
  }

  /** Runs until every worker has done its steps; false if they don't get there. */
  run(): boolean {
    for (const server of this.servers) server.start();
    for (const worker of this.workers) worker.start();
    // A shard that recovers has no values yet.
    const areUp = (): boolean => this.servers.every(({ listening }) => listening !== undefined);
    return this.timeline.run(END_MS, () => this.isDone() && areUp());
  }

  /** A process of worker `id`, the `number`-th under its id, connected to all shards. */
  process(id: string, number: number, observe: (observation: WorkerObservation) => void): SimWorker {
    const random = this.random.fork(id).fork(number);
    const process = new SimProcess(id, this.timeline, random.nextInt(1_000_000));
    const order = random.shuffle([...this.servers]);
    return new SimWorker({
      process,
      number,
      network: this.network,
      server: order[0] as SimServer,
      others: order.slice(1),
      core: {
        id,
        session: `${id}#${number}`,
        readOnly: false,
        connectTimeoutMs: 120_000,
        reconnect: { retries: 1e9, minDelayMs: 5, maxDelayMs: 100, maxOfflineMs: 400_000 },
        limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 1e6 },
        seed: random.nextUint32(),
      },
      makeCore: (core) => this.#cached(new GroupCore({ ...core, kernels: referenceKernels })),
      windowBytes: 65_536,
      observer: new Observers([{ workerObserves: (_id, _process, observation) => observe(observation) }]),
    });
  }

  #cached(core: GroupCore): WorkerMachine {
    if (this.options.hasCache !== true) return core;
    const applyOwn = (values: Float32Array, gradient: Float32Array): void => {
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) - (gradient[i] as number);
    };
    const store = new CacheStore({ applyOwn });
    this.caches.push(store);
    return new CachingCore(core, store);
  }

  #server(index: number): SimServer {
    const { count, consistency, workers, durability, data } = this.options;
    const shard = { index, count };
    const unlimited = Number.POSITIVE_INFINITY;
    const serverStepped = (_event: unknown, effects: readonly ServerEffect[]): void => {
      this.hasEvicted ||= effects.some(
        (each) =>
          each.kind === 'observe' &&
          each.observation.kind === 'leave' &&
          each.observation.reason !== 'goodbye',
      );
    };
    const observer = new Observers([{ serverStepped }]);
    return new SimServer(
      this.timeline,
      this.network,
      {
        parameters: { cells: { shape: [count, this.width] } },
        tables: this.options.hasRows === true ? TABLES : {},
        optimizer: sgd({ learningRate: 1 }),
        consistency,
        core: {
          shard,
          group: 'g',
          minWorkers: data === undefined ? workers : 1,
          delay: { scale: 'none', max: unlimited },
          clip: { value: unlimited, norm: unlimited },
          nonFinite: 'reject',
          maxPushNorm: unlimited,
          limits: { ...DEFAULT_SERVER_LIMITS, leaseMs: LEASE_MS, pingMs: 500, disconnectGraceMs: 1_500 },
        },
        seed: 1,
        windowBytes: 65_536,
        continueMs: 0.05,
        data: index === 0 ? data : undefined,
      },
      this.#store(index, durability),
      observer,
    );
  }

  #store(index: number, durability: 'memory' | 'journal'): ServerStore {
    if (durability === 'memory') return new MemoryStore();
    const random = this.random.fork('disk').fork(index);
    const times = { syncMs: () => 0.5 + 3 * random.nextFloat(), callMs: () => 0.05 };
    const disk = new SimDisk(this.timeline, random.fork('torn'), times);
    return new DiskStore(disk, durability, 3_000, { index, count: this.options.count });
  }
}

/** A worker that takes steps at all shards. */
export class GroupWorker {
  readonly id: string;
  readonly number: number;
  readonly process: SimProcess;
  readonly worker: SimWorker;
  readonly observations: WorkerObservation[] = [];
  /** The clock that each of its pushes was made in, in order. */
  readonly pushClocks: number[] = [];
  /** Pushes that were answered. */
  answered = 0;
  isDone = false;
  readonly #group: SimGroup;

  constructor(group: SimGroup, number: number) {
    this.#group = group;
    this.number = number;
    this.id = `worker-${number}`;
    this.worker = group.process(this.id, 1, (observation) => this.observations.push(observation));
    this.process = this.worker.process;
  }

  start(): void {
    this.#ask<undefined>({ kind: 'connect' }, () => this.#step());
  }

  #step(): void {
    const { steps } = this.#group.options;
    if (this.answered === steps) {
      this.#comeAgain();
      return;
    }
    const pull = {
      tensors: undefined,
      into: undefined,
      training: true,
      ifNewerThan: undefined,
      wait: false,
    } as const;
    const rest = { consistent: true, timeoutMs: 300_000 } as const;
    this.#ask<PullAnswer>({ kind: 'pull', ...pull, ...rest }, (answer) => {
      this.#look(answer);
      const compute = (): void => {
        this.process.after(this.#group.random.nextFloat() * 5, () => this.#push());
      };
      if (this.#group.options.hasRows !== true) {
        compute();
        return;
      }
      const rows = { table: 0, words: sortIds('ids', idsOf(this.number)).words };
      this.#ask<PullAnswer>({ kind: 'pull', ...pull, ...rest, rows }, (own) => {
        this.#lookAtRows(own);
        compute();
      });
    });
  }

  /** Leaves, and enters once more: then all shards have it at one clock, whatever happened before. */
  #comeAgain(): void {
    const change = (operation: 'leave' | 'enter', then: () => void): void => {
      this.#ask({ kind: 'clock', operation }, then);
    };
    change('leave', () =>
      change('enter', () => {
        const clocks = this.#group.servers.map(({ core }) => core.state.session(this.id).clock);
        if (new Set(clocks).size > 1) this.#group.violations.push(`${this.id} is at the clocks ${clocks}`);
        change('leave', () => {
          this.isDone = true;
        });
      }),
    );
  }

  #push(): void {
    const { count } = this.#group.options;
    const { width } = this.#group;
    const gradient = new Float32Array(count * width);
    for (let shard = 0; shard < count; shard++) {
      gradient[shard * width + this.number] = -1;
      gradient[shard * width + width - 1] = -1;
    }
    this.pushClocks.push(this.worker.core.clock);
    const rest = { tensors: undefined, metrics: undefined, examples: undefined };
    const sparse = this.#group.options.hasRows === true ? rowGradient(this.number) : { values: [] };
    const values = [gradient, ...sparse.values];
    this.#ask<PushAnswer>({ kind: 'push', ...sparse, values, tick: true, ...rest }, () => {
      this.answered++;
      this.#step();
    });
  }

  /** Read-my-writes on every row. */
  #lookAtRows({ arrays }: PullAnswer): void {
    const { options, violations } = this.#group;
    if (options.consistency.name === 'bsp') return;
    const rows = [...(arrays?.[0] ?? [])];
    if (rows.every((value) => value === this.answered)) return;
    violations.push(`${this.id}: rows ${rows} of its own ${this.answered} pushes`);
  }

  /** Read-my-writes on every shard, and the bound of SSP. */
  #look({ arrays, clock }: PullAnswer): void {
    const { options, width, workers, violations } = this.#group;
    const cells = arrays?.[0] as Float32Array;
    const { consistency } = options;
    for (let shard = 0; shard < options.count; shard++) {
      const own = cells[shard * width + this.number] as number;
      const isExact = consistency.name === 'bsp' || own === this.answered;
      if (!isExact)
        violations.push(`${this.id} at shard ${shard}: ${own} of its own ${this.answered} pushes`);
      if (consistency.name !== 'ssp' || this.#group.hasEvicted) continue;
      const oldest = clock - consistency.staleness - 1;
      for (const other of workers) {
        const due = other.pushClocks.filter((made) => made <= oldest).length;
        const seen = cells[shard * width + other.number] as number;
        if (seen < due)
          violations.push(
            `${this.id} at clock ${clock}, shard ${shard}: ${seen} of ${due} pushes of ${other.id}`,
          );
      }
    }
  }

  #ask<T extends RequestValue>(command: Command, then: (value: T) => void): void {
    this.worker.call(command, ({ value, error }) => {
      if (error === undefined) then(value as T);
      else
        this.#group.violations.push(
          `${this.id}: ${command.kind} failed with ${error.code}: ${error.message}`,
        );
    });
  }
}

/** One more on each row of worker `number`, and on those that all share. */
function rowGradient(number: number): { rows: RowCount[]; values: Float32Array[] } {
  const { words, count } = sortIds('ids', [...idsOf(number), ...idsOf(SHARED)]);
  return {
    rows: [{ table: 0, count }],
    values: [
      new Float32Array(words.buffer, words.byteOffset, words.length),
      new Float32Array(2 * count).fill(-1),
    ],
  };
}
