/**
 * Runs one schedule and checks it: the cluster with its programs and faults, what looks on, the end. After
 * the last fault everyone must finish within a bound of virtual time, and nothing may be left behind.
 *
 *     schedule.ts ─▶ checkedPrograms.ts (what workers do, by role)    ─┐
 *     (a seed)       faults/faults.ts   (what goes wrong, by kind)     ├─▶ SimCluster ─▶ check/*.ts (rules)
 *                    server options, network, disk                    ─┘
 */
import { Random } from '../../core/base/random.js';
import { sgd } from '../../core/optim/sgd.js';
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from '../../core/server/limits.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { WorkerCoreOptions } from '../../core/worker/workerCore.js';
import type { AppendSizes } from '../../io/storage/disk.js';
import { CheckModel } from '../check/checkModel.js';
import { RunChecks } from '../check/runChecks.js';
import { differenceOf } from '../check/stateDifference.js';
import type { Violation } from '../check/violations.js';
import type { ClusterObserver } from '../cluster/observer.js';
import type { StoreHost } from '../cluster/serverStore.js';
import { DiskStore, MemoryStore } from '../cluster/serverStore.js';
import { SimCluster, type SimClusterOptions } from '../cluster/simCluster.js';
import { SimDisk } from '../disk/simDisk.js';
import { inject } from '../faults/faults.js';
import { SimProcess } from '../network/simProcess.js';
import { cachedCore } from './cachedWorker.js';
import { type CheckedProgram, ROLES } from './checkedPrograms.js';
import { type Schedule, trainersOf, type WorkerPlan } from './schedule.js';

/** Everyone must have finished so long after the last fault. */
const PATIENCE_MS = 120_000;
/** A run of the usual size takes a few thousand. */
const MAX_EVENTS = 400_000;
/** So long after that, nothing may be left. */
const DRAIN_MS = 20_000;
/** Leases and the like are short, so that faults reach past them. */
const LIMITS: Partial<ServerLimits> = {
  leaseMs: 2_000,
  pingMs: 500,
  disconnectGraceMs: 300,
  maxStepMs: 10_000,
  pullTimeoutMs: 8_000,
  helloTimeoutMs: 1_000,
};

/** Small too, so that a group of records takes several writes, and a push a filler before it. */
const SMALL_SIZES: AppendSizes = { batchBytes: 512, copiedBytes: 128, filledBytes: 256 };

type StoreAction = Parameters<StoreHost['run']>[0];

/** What came out of a checked run. */
export interface RunReport {
  readonly schedule: Schedule;
  readonly violations: readonly Violation[];
  /** Virtual milliseconds. */
  readonly ms: number;
  readonly events: number;
  /** Updates in the last version, pushes answered, and training pulls answered at each lead. */
  readonly version: number;
  readonly answered: number;
  readonly leads: readonly number[];
  readonly maxDelay: number;
  /** How often a worker lost its place for its silence. */
  readonly evictions: number;
  /** The noise tensor at the end; see `CheckModel`. */
  readonly noise: Float32Array;
}

/** Runs `schedule`. `onlookers` are told everything too. */
export function runSchedule(
  schedule: Schedule,
  onlookers: (cluster: SimCluster) => readonly ClusterObserver[] = () => [],
): RunReport {
  const run = new CheckedRun(schedule, onlookers);
  return run.run();
}

class CheckedRun {
  readonly #schedule: Schedule;
  readonly #cluster: SimCluster;
  readonly #checks: RunChecks;
  readonly #model: CheckModel;
  readonly #random: Random;
  /** When the last fault has ended and the last worker has come. */
  readonly #healsAt: number;
  /** Trainers whose last process has not ended well. */
  readonly #unfinished = new Set<string>();
  readonly #programs: CheckedProgram[] = [];
  #isOver = false;

  constructor(schedule: Schedule, onlookers: (cluster: SimCluster) => readonly ClusterObserver[]) {
    this.#schedule = schedule;
    this.#random = new Random(schedule.seed).fork('run');
    const { healsAt, workers, switches } = schedule;
    const times = [...workers.map(({ joinsAt }) => joinsAt), ...switches.map(({ at }) => at)];
    this.#healsAt = Math.max(healsAt, ...times);
    const trainers = trainersOf(schedule);
    const perClock = Math.max(...trainers.map(({ pushes }) => pushes));
    const { size = 0, epochs = 0 } = schedule.data?.dataSet ?? {};
    const pushes = schedule.data === undefined ? schedule.clocks * perClock : size * epochs;
    this.#model = new CheckModel({
      workers: trainers.length,
      cells: pushes + 12,
      uniform: schedule.uniform,
      noise: schedule.noise,
      hasRows: schedule.hasRows,
    });
    let checks: RunChecks | undefined;
    this.#cluster = new SimCluster({
      ...optionsOf(schedule, this.#model, this.#random),
      observers: (cluster) => {
        checks = new RunChecks(cluster, schedule, this.#model);
        return [checks, ...onlookers(cluster)];
      },
    });
    this.#checks = checks as unknown as RunChecks;
  }

  run(): RunReport {
    const { timeline, server } = this.#cluster;
    const { violations } = this.#checks;
    server.start();
    let last = server.core;
    this.#plan();
    const isFailed = (): boolean => {
      if (timeline.ran > MAX_EVENTS) violations.add('everyone finishes', 'the run goes round in circles');
      return !violations.isEmpty;
    };
    const isDone = (): boolean =>
      isFailed() || (this.#unfinished.size === 0 && timeline.now >= this.#healsAt);
    const endMs = this.#healsAt + PATIENCE_MS;
    try {
      if (!timeline.run(endMs, isDone)) {
        violations.add('everyone finishes', `${[...this.#unfinished].join(', ')} did not finish`);
      }
      this.#isOver = true;
      last = server.core;
      this.#stopOthers();
      timeline.run(timeline.now + DRAIN_MS, () => isFailed() || this.#isQuiet());
      if (!isFailed()) this.#checks.atEnd();
      if (!isFailed()) this.#recoverAgain(last);
    } catch (error) {
      violations.add('no errors', error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    const { state } = last;
    return {
      schedule: this.#schedule,
      violations: violations.found,
      ms: timeline.now,
      events: timeline.ran,
      version: state.version,
      answered: this.#checks.ledger.answered,
      leads: Array.from(this.#checks.pulls.leads, (count) => count ?? 0),
      maxDelay: this.#checks.history.maxDelay,
      evictions: this.#checks.table.evictions,
      noise: state.table.versions.current.slice(this.#model.noiseAt),
    };
  }

  #plan(): void {
    const { timeline, server } = this.#cluster;
    const { workers, switches, faults } = this.#schedule;
    for (const plan of workers) {
      if (ROLES[plan.role].mustFinish) this.#unfinished.add(plan.id);
      timeline.at(plan.joinsAt, () => this.#start(plan));
    }
    for (const { at, model } of switches) timeline.at(at, () => server.setConsistency(model));
    for (const fault of faults) {
      timeline.at(fault.at, () => {
        const isForGood = fault.kind === 'killWorker' && !Number.isFinite(fault.ms);
        if (isForGood && this.#cluster.worker(fault.worker) !== undefined)
          this.#unfinished.delete(fault.worker);
        inject(this.#cluster, fault, (id) => this.#restart(id));
      });
    }
  }

  #restart(id: string): void {
    const plan = this.#schedule.workers.find((each) => each.id === id) as WorkerPlan;
    this.#unfinished.add(id);
    this.#start(plan);
  }

  #start(plan: WorkerPlan): void {
    const { isReader, make } = ROLES[plan.role];
    const isCached = this.#schedule.hasCache && plan.role === 'trainer';
    const makeCore = isCached ? (core: WorkerCoreOptions) => cachedCore(core, this.#schedule) : undefined;
    const worker = this.#cluster.startWorker(plan.id, isReader, makeCore);
    const random = this.#random.fork(plan.id).fork(worker.number);
    const isCurrent = (): boolean => this.#cluster.worker(plan.id) === worker;
    const onEnd = (): void => {
      if (isCurrent()) this.#unfinished.delete(plan.id);
    };
    const program = make({
      worker,
      plan,
      random,
      model: this.#model,
      checks: this.#checks,
      isCached,
      isCurrent,
      onEnd,
    });
    this.#programs.push(program);
    program.start();
  }

  /** Those that would go on for ever go; trainers that stayed connected too. */
  #stopOthers(): void {
    for (const program of this.#programs) program.stop();
    for (const worker of this.#cluster.workers) {
      if (worker.process.isAlive && !worker.core.hasEnded)
        worker.call({ kind: 'close', reason: 'over' }, () => {});
    }
  }

  /** What is recovered now is what there was in `last`, the core of the last life. */
  #recoverAgain(last: ServerCore): void {
    const { timeline, server, store } = this.#cluster;
    const { durability } = this.#schedule;
    if (!(store instanceof DiskStore) || durability === 'memory' || durability === 'checkpoint') return;
    const { violations } = this.#checks;
    server.kill(false);
    const again = server.makeCore();
    const process = new SimProcess('recovery', timeline, 0);
    let isOpen = false;
    const host = { process, run: (action: StoreAction) => void action(again), note: () => {} };
    new DiskStore(store.disk, durability, Number.POSITIVE_INFINITY).open(again, host, () => {
      isOpen = true;
    });
    if (!timeline.run(timeline.now + DRAIN_MS, () => isOpen))
      violations.add('recovery', 'the state can not be recovered');
    const difference = differenceOf(last.state, again.state);
    if (difference !== undefined) violations.add('recovery gives the same state', difference);
  }

  #isQuiet(): boolean {
    const { server, workers } = this.#cluster;
    const { state, view } = server.core;
    if (!this.#isOver || state.clocks.size > 0 || view.pulls.waiting > 0 || this.#cluster.store.pending > 0)
      return false;
    for (const { process, pending } of workers) if (process.isAlive && pending > 0) return false;
    return state.table.versions.pinnedVersions === 0 && view.staging.usedBytes === 0;
  }
}

function optionsOf(
  schedule: Schedule,
  model: CheckModel,
  random: Random,
): Omit<SimClusterOptions, 'observers'> {
  const { consistency, minWorkers, chunkBytes, windowBytes, pinnedVersions, durability } = schedule;
  const { maxDelay, halvesFromDelay } = schedule;
  const storeRandom = random.fork('store');
  return {
    random,
    network: { ...schedule.network },
    store: (timeline) => {
      if (durability === 'memory') return new MemoryStore();
      const [least, most] = schedule.syncMs;
      const times = {
        syncMs: () => least + (most - least) * storeRandom.nextFloat(),
        callMs: () => 0.05,
      };
      const disk = new SimDisk(
        timeline,
        storeRandom,
        times,
        schedule.areRecordsLarge ? SMALL_SIZES : undefined,
      );
      return new DiskStore(disk, durability, schedule.checkpointMs);
    },
    server: {
      parameters: model.parameters,
      tables: model.tables,
      optimizer: sgd({ learningRate: 1 }),
      consistency,
      seed: 0,
      windowBytes,
      continueMs: 0.01,
      data: schedule.data,
      core: {
        shard: { index: 0, count: 1 },
        minWorkers,
        delay: { scale: (delay) => (delay >= halvesFromDelay ? 0.5 : 1), max: maxDelay },
        clip: { value: Number.POSITIVE_INFINITY, norm: Number.POSITIVE_INFINITY },
        nonFinite: 'reject',
        maxPushNorm: Number.POSITIVE_INFINITY,
        limits: {
          ...DEFAULT_SERVER_LIMITS,
          ...LIMITS,
          chunkBytes,
          pinnedVersions,
          stagingBytes: Math.max(schedule.stagingBytes, model.pushBytes),
        },
      },
    },
    workers: {
      reconnect: {
        retries: Number.POSITIVE_INFINITY,
        minDelayMs: 10,
        maxDelayMs: 400,
        maxOfflineMs: 600_000,
      },
      limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 67_108_864 },
      connectTimeoutMs: 30_000,
      windowBytes,
    },
  };
}
