/** What a simulation is described by: its options, their defaults and their checks. */
import { invalidArgument } from '../../core/base/errors.js';
import { checkOptionObject, integer } from '../../core/base/optionObject.js';
import { checkSeed } from '../../core/base/random.js';
import { type Consistency, checkConsistency, ssp } from '../../core/consistency/consistency.js';
import { checkDelayOptions, type DelayOptions } from '../../core/consistency/delayPolicy.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import type { TensorsOf } from '../../io/worker/parameters.js';
import type { GradientFunction } from '../../io/worker/training.js';
import type { SimDurability } from '../cluster/serverStore.js';
import type { Fault } from '../faults/faults.js';
import type { ComputeMs, RandomSource } from './computeTimes.js';
import { checkFault, type SimulatedFault } from './simulatedFaults.js';

/** Workers that are alike. */
export interface SimulatedWorkers {
  /** How many; default 1. */
  readonly count?: number;
  /** Their ids are `name-0`, `name-1`, …; without `count` the one's id is `name`. Default `'worker'`. */
  readonly name?: string;
  /** How long each gradient takes. */
  readonly computeMs: ComputeMs;
  /** When they start, in virtual milliseconds; default 0. */
  readonly joinAtMs?: number;
}

/** The network between the workers and the server. */
export interface SimulatedNetwork {
  /** Shortest time that a message is under way, in milliseconds; default 0.5. */
  readonly latencyMs?: number;
  /** A message is under way for up to so much longer, evenly drawn, in milliseconds; default 0.5. */
  readonly jitterMs?: number;
  /** Of each worker's line, each way, in megabits per second; default 1,000; Infinity: no limit. */
  readonly megabitPerS?: number;
  /** Of the server's line, each way, which all workers share; default 10,000. */
  readonly serverMegabitPerS?: number;
}

/** One worker of a simulation, as its own functions see it. */
export interface SimulatedPlace {
  readonly worker: string;
  /** Counts from 0 over all workers, in the order in which they were given. */
  readonly index: number;
  /** This worker's own stream of random numbers, for batches. */
  readonly random: RandomSource;
}

/** A real model that is trained while time is virtual. */
export interface SimulatedTraining<P extends ParameterSpecs, B> {
  /** As for `ParameterServer`. */
  readonly parameters: P;
  /** As for `ParameterServer`. */
  readonly optimizer?: Optimizer;
  /** As for `worker.run`, but not asynchronous. Its own running time counts nothing; see `computeMs`. */
  readonly gradient: GradientFunction<P, B>;
  /** The batch of a worker's step; default undefined. */
  readonly batch?: (step: number, place: SimulatedPlace) => B;
  /** The loss at the server's parameters; must not keep their arrays. */
  readonly loss?: (parameters: TensorsOf<P>) => number;
  /** How often `loss` is asked, in virtual milliseconds; default 1,000. */
  readonly lossEveryMs?: number;
}

/** A simulation. */
export interface SimulationOptions<P extends ParameterSpecs = ParameterSpecs, B = unknown> {
  /** Who trains. */
  readonly workers: readonly SimulatedWorkers[];
  /** As for `ParameterServer`; default `ssp({ staleness: 3 })`. */
  readonly consistency?: Consistency;
  /** Steps of each worker; default 100; Infinity: until `forMs` is over. */
  readonly clocks?: number;
  /** The simulation ends after so many virtual milliseconds at the latest; default 86,400,000 (a day). */
  readonly forMs?: number;
  /** As for `ParameterServer`; default: all the workers that start at 0. */
  readonly minWorkers?: number;
  /** As for `ParameterServer`. */
  readonly delay?: DelayOptions;
  /**
   * Bytes of the model on the network; 1,000,000, or with `training` what its parameters take. A small model may stand
   * for a large one.
   */
  readonly modelBytes?: number;
  readonly network?: SimulatedNetwork;
  /** Where the server keeps its state; default `'memory'`. */
  readonly durability?: SimDurability;
  /** What a sync of the server's disk takes, in milliseconds; default 1. */
  readonly syncMs?: number;
  /** What goes wrong; default nothing. */
  readonly faults?: readonly SimulatedFault[];
  /** A model to train; default none: gradients are zeros, and only times are of interest. */
  readonly training?: SimulatedTraining<P, B>;
  /** All randomness comes from it: the same options and seed give the same result. An integer; default 0. */
  readonly seed?: number;
  /** Keep a line for every message and event; default false. */
  readonly transcript?: boolean;
}

/** One worker. */
export interface WorkerTerms {
  readonly id: string;
  readonly computeMs: ComputeMs;
  readonly joinAtMs: number;
}

/** Checked options, with defaults. */
export interface CheckedSimulation {
  readonly workers: readonly WorkerTerms[];
  readonly consistency: Consistency;
  readonly clocks: number;
  readonly forMs: number;
  readonly minWorkers: number;
  readonly delay: Required<DelayOptions>;
  readonly modelBytes: number | undefined;
  readonly network: Required<SimulatedNetwork>;
  readonly durability: SimDurability;
  readonly syncMs: number;
  readonly faults: readonly Fault[];
  readonly lossEveryMs: number;
  readonly seed: number;
  readonly hasTranscript: boolean;
}

const KEYS = [
  ...(['workers', 'consistency', 'clocks', 'forMs', 'minWorkers', 'delay', 'modelBytes', 'network'] as const),
  ...(['durability', 'syncMs', 'faults', 'training', 'seed', 'transcript'] as const),
];
const DURABILITIES: readonly string[] = ['memory', 'journal', 'journal-async', 'checkpoint'];
const DAY_MS = 86_400_000;
const MAX_WORKERS = 10_000;

/** Checks `options`. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkSimulation<P extends ParameterSpecs, B>(
  options: SimulationOptions<P, B>,
): CheckedSimulation {
  checkOptionObject('simulate', options, KEYS);
  const { clocks = 100, forMs = DAY_MS, durability = 'memory', seed = 0, transcript = false } = options;
  const workers = checkWorkers(options.workers);
  const atStart = workers.filter(({ joinAtMs }) => joinAtMs === 0).length;
  if (!DURABILITIES.includes(durability)) {
    throw invalidArgument('durability', durability, `one of ${DURABILITIES.join(', ')}`);
  }
  if (clocks !== Number.POSITIVE_INFINITY) integer('clocks', clocks, 1);
  else if (options.forMs === undefined)
    throw invalidArgument('forMs', undefined, 'a number: clocks has no end');
  const ids = new Set(workers.map(({ id }) => id));
  const { faults = [] } = options;
  if (!Array.isArray(faults)) throw invalidArgument('faults', faults, 'an array of faults');
  const lossEveryMs = options.training?.lossEveryMs ?? 1_000;
  return {
    workers,
    consistency: checkConsistency('consistency', options.consistency ?? ssp({ staleness: 3 })),
    clocks,
    forMs: atLeast('forMs', forMs, 0),
    minWorkers: integer('minWorkers', options.minWorkers ?? atStart, 0),
    delay: checkDelayOptions(options.delay),
    modelBytes: options.modelBytes === undefined ? undefined : integer('modelBytes', options.modelBytes, 4),
    network: checkNetwork(options.network ?? {}),
    durability,
    syncMs: atLeast('syncMs', options.syncMs ?? 1, 0),
    faults: (faults as readonly SimulatedFault[]).map((each, i) => checkFault(`faults[${i}]`, each, ids)),
    lossEveryMs: more('training.lossEveryMs', lossEveryMs),
    seed: checkSeed('seed', seed),
    hasTranscript: transcript,
  };
}

function checkWorkers(groups: readonly SimulatedWorkers[]): WorkerTerms[] {
  if (!Array.isArray(groups) || groups.length === 0) {
    throw invalidArgument('workers', groups, 'an array of { count, name, computeMs }');
  }
  const found = new Map<string, WorkerTerms>();
  for (const [i, group] of (groups as readonly SimulatedWorkers[]).entries()) {
    const option = `workers[${i}]`;
    checkOptionObject(option, group, ['count', 'name', 'computeMs', 'joinAtMs']);
    const { count, name = 'worker', computeMs, joinAtMs = 0 } = group;
    if (typeof name !== 'string' || name === '') throw invalidArgument(`${option}.name`, name, 'a name');
    const isTime = typeof computeMs === 'function' || (typeof computeMs === 'number' && computeMs >= 0);
    if (!isTime) throw invalidArgument(`${option}.computeMs`, computeMs, 'milliseconds, or a function');
    const size = integer(`${option}.count`, count ?? 1, 0);
    for (let k = 0; k < size; k++) {
      const id = count === undefined ? name : `${name}-${k}`;
      if (found.has(id)) throw invalidArgument(`${option}.name`, name, 'a name that no other workers have');
      found.set(id, { id, computeMs, joinAtMs: atLeast(`${option}.joinAtMs`, joinAtMs, 0) });
    }
  }
  if (found.size === 0 || found.size > MAX_WORKERS) {
    throw invalidArgument('workers', found.size, `1 to ${MAX_WORKERS} workers`);
  }
  return [...found.values()];
}

function checkNetwork(network: SimulatedNetwork): Required<SimulatedNetwork> {
  checkOptionObject('network', network, ['latencyMs', 'jitterMs', 'megabitPerS', 'serverMegabitPerS']);
  const { latencyMs = 0.5, jitterMs = 0.5, megabitPerS = 1_000, serverMegabitPerS = 10_000 } = network;
  return {
    latencyMs: atLeast('network.latencyMs', latencyMs, 0),
    jitterMs: atLeast('network.jitterMs', jitterMs, 0),
    megabitPerS: more('network.megabitPerS', megabitPerS),
    serverMegabitPerS: more('network.serverMegabitPerS', serverMegabitPerS),
  };
}

function atLeast(option: string, value: unknown, least: number): number {
  if (typeof value === 'number' && value >= least && Number.isFinite(value)) return value;
  throw invalidArgument(option, value, `a number from ${least}`);
}

function more(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0) return value;
  throw invalidArgument(option, value, 'a number > 0');
}
