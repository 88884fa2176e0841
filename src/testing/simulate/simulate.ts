/**
 * `simulate`: trains with any number of workers in virtual time, with the cores, the codec and the storage that
 * production has, and says what came of it. A minute of 64 workers takes about a second of one core.
 *
 *     options ─▶ SimCluster (server, network, disk, processes) ─▶ Tally, loss, transcript ─▶ result
 */
import type { PsError } from '../../core/base/errors.js';
import { Random } from '../../core/base/random.js';
import { DEFAULT_SERVER_LIMITS } from '../../core/server/limits.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import type { TensorsOf } from '../../io/worker/parameters.js';
import { DiskStore, MemoryStore } from '../cluster/serverStore.js';
import { SimCluster, type SimClusterOptions } from '../cluster/simCluster.js';
import { SimDisk } from '../disk/simDisk.js';
import { inject } from '../faults/faults.js';
import { TrainingProgram } from '../programs/trainingProgram.js';
import { Transcript } from '../transcript/transcript.js';
import type { Distribution } from './distribution.js';
import { SimulatedModel } from './simulatedModel.js';
import { simulatedOwner } from './simulatedOwner.js';
import { type CheckedSimulation, checkSimulation, type SimulationOptions } from './simulationOptions.js';
import { Tally } from './tally.js';

/** What one worker did. */
export interface SimulatedWorkerResult {
  readonly id: string;
  /** Pushes that were answered. */
  readonly steps: number;
  /** Time spent on gradients, in virtual milliseconds. */
  readonly computeMs: number;
  /** Time that its pulls waited at the server: for slower workers, for enough workers to join. */
  readonly waitMs: number;
  /** What ended it before its last step: a refused push, for instance; undefined: nothing. */
  readonly error: PsError | undefined;
}

/** What came of a simulation. Times are virtual milliseconds. */
export interface SimulationResult<P extends ParameterSpecs = ParameterSpecs> {
  /** How long training took. */
  readonly ms: number;
  /** Whether every worker took all its steps; those that were killed for good are not asked. */
  readonly isComplete: boolean;
  /** Of all workers together. */
  readonly steps: number;
  readonly stepsPerS: number;
  /** Updates that the server applied: the version. Under BSP one for each clock. */
  readonly updates: number;
  /** Share of all workers' time, from 0 to 1, that they computed, and that their pulls waited at the server. */
  readonly computeShare: number;
  readonly waitShare: number;
  /** At every answered pull: the worker's clock − minClock. */
  readonly leads: Distribution;
  /** Of every update: versions between the pull that it was computed from and itself; 0 under BSP. */
  readonly delays: Distribution;
  /** Pushes that came too late to count. */
  readonly dropped: number;
  /** How often a worker lost its place in the clock table for its silence, and how often one was told of a rollback. */
  readonly evictions: number;
  readonly rollbacks: number;
  readonly workers: readonly SimulatedWorkerResult[];
  /** The loss over time, the first before training; empty without `training.loss`. */
  readonly losses: readonly { readonly ms: number; readonly version: number; readonly loss: number }[];
  /** The parameters at the end. */
  readonly parameters: TensorsOf<P>;
  /** `time  who  what`, a line for every message and event; empty unless it was asked for. */
  readonly transcript: readonly string[];
}

/**
 * Simulates a training run, in the caller's thread, and returns what came of it. The same options give the same
 * result. O(messages): about 150,000 events a second. Throws `PS_INVALID_ARGUMENT` for options that are
 * none, and what `training`'s functions throw.
 */
export function simulate<P extends ParameterSpecs = ParameterSpecs, B = unknown>(
  options: SimulationOptions<P, B>,
): SimulationResult<P> {
  const checked = checkSimulation(options);
  const model = new SimulatedModel(options.training, checked.modelBytes, checked.seed);
  return new Simulation(checked, model).run();
}

class Simulation<P extends ParameterSpecs, B> {
  readonly #options: CheckedSimulation;
  readonly #model: SimulatedModel<P, B>;
  readonly #random: Random;
  readonly #tally = new Tally();
  readonly #cluster: SimCluster;
  readonly #unfinished = new Set<string>();
  readonly #errors = new Map<string, PsError>();
  readonly #losses: { ms: number; version: number; loss: number }[] = [];
  #transcript: Transcript | undefined;

  constructor(options: CheckedSimulation, model: SimulatedModel<P, B>) {
    this.#options = options;
    this.#model = model;
    this.#random = new Random(options.seed).fork('simulate');
    this.#cluster = new SimCluster({
      ...clusterOptions(options, model, this.#random),
      observers: ({ timeline }) => {
        if (!options.hasTranscript) return [this.#tally];
        this.#transcript = new Transcript(() => timeline.now, { isShort: true });
        return [this.#tally, this.#transcript];
      },
    });
  }

  run(): SimulationResult<P> {
    const { timeline, server } = this.#cluster;
    const { workers, faults, forMs } = this.#options;
    server.start();
    for (const { id, joinAtMs } of workers) {
      this.#unfinished.add(id);
      timeline.at(joinAtMs, () => this.#start(id));
    }
    for (const fault of faults) {
      timeline.at(fault.at, () => {
        if (fault.kind === 'killWorker' && fault.ms === Number.POSITIVE_INFINITY)
          this.#unfinished.delete(fault.worker);
        inject(this.#cluster, fault, (id) => this.#start(id));
      });
    }
    this.#measureLoss();
    const isComplete = timeline.run(forMs, () => this.#unfinished.size === 0);
    const ms = isComplete ? timeline.now : forMs;
    return this.#result(ms, isComplete && this.#errors.size === 0);
  }

  #start(id: string): void {
    const index = this.#options.workers.findIndex((each) => each.id === id);
    const { computeMs } = this.#options.workers[index] as CheckedSimulation['workers'][number];
    const worker = this.#cluster.startWorker(id, false);
    const onEnd = (error: PsError | undefined): void => {
      // Another process may have taken over.
      if (this.#cluster.worker(id) !== worker) return;
      if (error !== undefined) this.#errors.set(id, error);
      this.#unfinished.delete(id);
    };
    const random = this.#random.fork(id).fork(worker.number);
    const { clocks } = this.#options;
    const tally = this.#tally.of(id);
    const owner = simulatedOwner({
      worker,
      index,
      clocks,
      computeMs,
      random,
      model: this.#model,
      tally,
      onEnd,
    });
    new TrainingProgram(worker, owner).start();
  }

  #measureLoss(): void {
    const { timeline, server } = this.#cluster;
    const { state } = server.core;
    const loss = this.#model.lossAt(state.table.versions.current);
    if (loss === undefined) return;
    this.#losses.push({ ms: timeline.now, version: state.version, loss });
    timeline.after(this.#options.lossEveryMs, () => this.#measureLoss());
  }

  #result(ms: number, isComplete: boolean): SimulationResult<P> {
    const { leads, delays, updates, dropped, evictions, rollbacks } = this.#tally;
    const workers = this.#options.workers.map(({ id }) => ({
      id,
      ...this.#tally.of(id),
      error: this.#errors.get(id),
    }));
    const sum = (of: (each: SimulatedWorkerResult) => number): number =>
      workers.reduce((total, each) => total + of(each), 0);
    const { state } = this.#cluster.server.core;
    const last = this.#losses.at(-1);
    const values = state.table.versions.current.slice();
    const loss = last === undefined || last.ms === ms ? undefined : this.#model.lossAt(values);
    if (loss !== undefined) this.#losses.push({ ms, version: state.version, loss });
    const steps = sum((each) => each.steps);
    const presentMs = this.#options.workers.reduce(
      (total, { joinAtMs }) => total + Math.max(0, ms - joinAtMs),
      0,
    );
    return {
      ms,
      isComplete,
      steps,
      stepsPerS: (1_000 * steps) / ms,
      updates,
      computeShare: sum((each) => each.computeMs) / presentMs,
      waitShare: sum((each) => each.waitMs) / presentMs,
      leads,
      delays,
      dropped,
      evictions,
      rollbacks,
      workers,
      losses: this.#losses,
      parameters: this.#model.tensorsIn(values),
      transcript: this.#transcript?.lines ?? [],
    };
  }
}

function clusterOptions<P extends ParameterSpecs, B>(
  options: CheckedSimulation,
  model: SimulatedModel<P, B>,
  random: Random,
): Omit<SimClusterOptions, 'observers'> {
  const { network, durability, syncMs, consistency, minWorkers, delay, seed } = options;
  const windowBytes = 65_536;
  return {
    random,
    network: {
      latencyMs: network.latencyMs,
      jitterMs: network.jitterMs,
      lateShare: 0,
      lateMs: 0,
      bytesPerMs: network.megabitPerS * 125,
      serverBytesPerMs: network.serverMegabitPerS * 125,
      isZeroCopy: false,
      bytesFactor: model.bytesFactor,
    },
    store: (timeline) => {
      if (durability === 'memory') return new MemoryStore();
      const disk = new SimDisk(timeline, random.fork('disk'), { syncMs: () => syncMs, callMs: () => 0.05 });
      return new DiskStore(disk, durability, 300_000);
    },
    server: {
      parameters: model.parameters,
      optimizer: model.optimizer,
      consistency,
      seed,
      windowBytes,
      continueMs: 0.01,
      core: {
        shard: { index: 0, count: 1 },
        minWorkers,
        delay,
        clip: { value: Number.POSITIVE_INFINITY, norm: Number.POSITIVE_INFINITY },
        nonFinite: 'reject',
        maxPushNorm: Number.POSITIVE_INFINITY,
        limits: DEFAULT_SERVER_LIMITS,
      },
    },
    workers: {
      reconnect: {
        retries: Number.POSITIVE_INFINITY,
        minDelayMs: 500,
        maxDelayMs: 30_000,
        maxOfflineMs: 600_000,
      },
      limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 67_108_864 },
      connectTimeoutMs: 30_000,
      windowBytes,
    },
  };
}
