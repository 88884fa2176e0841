/**
 * One checked run as plain data, drawn from a seed: who trains how, on what network, with which
 * consistency, and what goes wrong when. The same seed and options give the same schedule for ever.
 */
import { Random } from '../../core/base/random.js';
import { asp, bsp, type Consistency, ssp } from '../../core/consistency/consistency.js';
import type { DataSet } from '../../core/tasks/dataSet.js';
import type { SimDataSet } from '../cluster/dataSetOwner.js';
import type { SimDurability } from '../cluster/serverStore.js';
import { drawFaults, type Fault, type FaultKind } from '../faults/faults.js';
import type { NetworkConditions } from '../network/conditions.js';
import type { StepStyle } from '../programs/trainingProgram.js';

/** What a search may fix; the rest is drawn. */
export interface ScheduleOptions {
  readonly workers?: number | undefined;
  readonly clocks?: number | undefined;
  readonly consistency?: Consistency | undefined;
  /** Which faults may happen. */
  readonly faults?: readonly FaultKind[] | undefined;
  /** Where the server keeps its state. */
  readonly durability?: SimDurability | undefined;
  /** Workers that join late, pause, leave early, read or do nothing; live changes of the model. Default drawn. */
  readonly membership?: 'fixed' | 'changing' | undefined;
  /** One pull and one push in each clock, of a model without late pushes. */
  readonly isPlain?: boolean | undefined;
  /** No fault lasts longer. */
  readonly maxFaultMs?: number | undefined;
  /** Add the noise tensor. */
  readonly hasNoise?: boolean | undefined;
  /** The server hands out a data set, and trainers train on its data shards. */
  readonly hasData?: boolean | undefined;
  /** Add sparse tables: rows in every push, and pulled for some steps. */
  readonly hasRows?: boolean | undefined;
  /** Trainers have caches. */
  readonly hasCache?: boolean | undefined;
}

const DURABILITIES = ['memory', 'journal', 'journal', 'journal', 'journal-async', 'checkpoint'] as const;

/** How one worker behaves. */
export interface WorkerPlan {
  readonly id: string;
  readonly role: 'trainer' | 'dataTrainer' | 'reader' | 'watcher' | 'idle';
  /** Virtual milliseconds. */
  readonly joinsAt: number;
  /** It is finished at this clock. */
  readonly untilClock: number;
  readonly style: StepStyle;
  /** A step takes between these, and now and then `slowFactor` times as long. */
  readonly computeMs: readonly [least: number, most: number];
  readonly slowShare: number;
  readonly slowFactor: number;
  readonly isBlocking: boolean;
  readonly announces: boolean;
  /** Pushes per clock, and the share of clocks without any. */
  readonly pushes: number;
  readonly skipShare: number;
  /** Clock before which it pauses outside the table, and for how long; −1: none. */
  readonly pausesBefore: number;
  readonly pauseMs: number;
  readonly impatientShare: number;
  readonly pullsWhole: boolean;
  readonly pushesWhole: boolean;
  readonly saysGoodbye: boolean;
  /** Most examples in a batch. */
  readonly batch: number;
}

/** A change of the consistency model while training runs. */
export interface Switch {
  readonly at: number;
  readonly model: Consistency;
}

/** One checked run. */
export interface Schedule {
  readonly seed: number;
  readonly clocks: number;
  readonly workers: readonly WorkerPlan[];
  /** What is handed out; undefined: workers just push. */
  readonly data: SimDataSet | undefined;
  readonly consistency: Consistency;
  readonly switches: readonly Switch[];
  readonly minWorkers: number;
  readonly durability: SimDurability;
  /** A sync takes between these. */
  readonly syncMs: readonly [least: number, most: number];
  /** The journal writes what a push has as if it were megabytes: in several writes, behind fillers. */
  readonly areRecordsLarge: boolean;
  /** Between two checkpoints; Infinity: none but the first. */
  readonly checkpointMs: number;
  readonly network: NetworkConditions;
  readonly chunkBytes: number;
  readonly windowBytes: number;
  readonly uniform: number;
  readonly noise: number;
  readonly hasRows: boolean;
  readonly hasCache: boolean;
  readonly stagingBytes: number;
  readonly pinnedVersions: number;
  readonly maxDelay: number;
  readonly halvesFromDelay: number;
  readonly faults: readonly Fault[];
  /** One pull and one push of everyone in each clock, and nobody comes or goes. */
  readonly isUniform: boolean;
  /** When the last fault has ended. */
  readonly healsAt: number;
}

/** Draws the schedule of `seed`. */
export function drawSchedule(seed: number, options: ScheduleOptions = {}): Schedule {
  const random = new Random(seed).fork('schedule');
  const clocks = options.clocks ?? 20;
  const count = options.workers ?? 2 + random.nextInt(3);
  const data = options.hasData === true ? drawData(random.fork('data')) : undefined;
  const isPlain = options.isPlain ?? false;
  const isChanging =
    options.membership === undefined ? random.nextInt(2) === 0 : options.membership === 'changing';
  const consistency = options.consistency ?? drawConsistency(random, count, isPlain);
  const stepMs = pick(random, [4, 10, 10, 25]);
  const trainers = Array.from({ length: count }, (_, i) =>
    drawTrainer(random.fork(`trainer ${i}`), i, {
      ...{ clocks, stepMs, isPlain, isChanging: isChanging && i > 0, dataSet: data?.dataSet },
    }),
  );
  const others = isChanging ? drawOthers(random.fork('others'), trainers) : [];
  // Those of runs with caches are drawn apart, which leaves the rest of such a run as it was without them.
  const switching = options.hasCache === true ? random.fork('switches') : random;
  const switches =
    isChanging && options.consistency === undefined ? drawSwitches(switching, count, clocks * stepMs) : [];
  const durability = options.durability ?? pick(random, DURABILITIES);
  const spanMs = clocks * stepMs * 1.5;
  const kinds = (options.faults ?? []).filter((kind) => kind !== 'secondProcess' || remembers(durability));
  const { faults: drawn, healsAt } = drawFaults(random.fork('faults'), kinds, trainers, {
    spanMs,
    maxMs: options.maxFaultMs ?? Number.POSITIVE_INFINITY,
  });
  // Those that are killed for good may never have joined; those that are done do not join a history that lacks them.
  const forgets = drawn.some(({ kind }) => ['killServer', 'failDisk', 'drainServer'].includes(kind));
  // A server that has forgotten everyone can't tell which of two processes is the later one.
  const faults = drawn.filter(({ kind }) => kind !== 'secondProcess' || !forgets || durability === 'journal');
  const isLossy =
    (forgets && durability !== 'journal') ||
    faults.some(({ kind, ms }) => kind === 'killWorker' && !Number.isFinite(ms));
  const mayDrop = !isPlain && consistency.name !== 'bsp' && random.nextInt(4) === 0;
  return {
    seed,
    clocks,
    workers: [...trainers, ...others],
    data,
    consistency,
    switches,
    // A worker that finds no data shard never enters.
    minWorkers: (isPlain || random.nextInt(3) === 0) && !isLossy && data === undefined ? count : 1,
    durability,
    syncMs: pick(random, [
      [0, 1],
      [1, 4],
      [2, 30],
    ] as const),
    areRecordsLarge: random.fork('records').nextInt(2) === 0,
    checkpointMs: pick(random, [100, 400, 800, Number.POSITIVE_INFINITY]),
    network: drawNetwork(random.fork('network')),
    chunkBytes: pick(random, [64, 256, 256, 512, 512, 1024, 1024, 4096, 4096, 4096]),
    windowBytes: pick(random, [1, 512, 2048, 65_536]),
    uniform: options.hasNoise === true ? 8 : pick(random, [1, 8, 40]),
    noise: options.hasNoise === true ? 24 : 0,
    hasRows: options.hasRows ?? false,
    hasCache: options.hasCache ?? false,
    stagingBytes: pick(random, [2_000, 8_000, 1_000_000]),
    pinnedVersions: pick(random, [1, 2, 2, 3]),
    maxDelay: mayDrop && random.nextInt(2) === 0 ? random.nextInt(6) : Number.POSITIVE_INFINITY,
    halvesFromDelay: mayDrop ? 1 + random.nextInt(4) : Number.POSITIVE_INFINITY,
    faults,
    isUniform: isPlain && !isChanging && faults.length === 0,
    healsAt,
  };
}

/** Whether a server that restarts knows which process of a worker is the last. */
function remembers(durability: SimDurability): boolean {
  return durability === 'journal' || durability === 'memory';
}

/** One of `choices`, all equally likely. */
export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[random.nextInt(choices.length)] as T;
}

function drawConsistency(random: Random, workers: number, isPlain: boolean): Consistency {
  const kind = random.nextInt(10);
  if (kind < 3) {
    const backups = !isPlain && workers > 2 && random.nextInt(4) === 0 ? 1 : 0;
    return bsp({ backupWorkers: backups });
  }
  if (kind < 9) return ssp({ staleness: pick(random, [0, 0, 1, 1, 2, 3, 5]) });
  return asp();
}

function drawSwitches(random: Random, workers: number, spanMs: number): Switch[] {
  const count = pick(random, [0, 0, 1, 2]);
  return Array.from({ length: count }, () => ({
    at: Math.floor(random.nextFloat() * spanMs),
    model: drawConsistency(random, workers, false),
  })).sort((a, b) => a.at - b.at);
}

interface TrainerTerms {
  readonly clocks: number;
  readonly stepMs: number;
  readonly isPlain: boolean;
  readonly isChanging: boolean;
  readonly dataSet: DataSet | undefined;
}

function drawTrainer(random: Random, number: number, terms: TrainerTerms): WorkerPlan {
  const { clocks, stepMs, isPlain, isChanging, dataSet } = terms;
  const isStraggler = random.nextInt(4) === 0;
  const least = stepMs * (isStraggler ? 2 : 0.5);
  const pauses = isChanging && random.nextInt(4) === 0;
  // On data shards there is an end without.
  const lastClock = dataSet === undefined ? clocks : Number.POSITIVE_INFINITY;
  return {
    id: String.fromCharCode(97 + number),
    role: dataSet === undefined ? 'trainer' : 'dataTrainer',
    joinsAt: isChanging && random.nextInt(3) === 0 ? Math.floor(random.nextFloat() * clocks * stepMs) : 0,
    untilClock: isChanging && random.nextInt(4) === 0 ? 1 + random.nextInt(clocks) : lastClock,
    style: pick(random, ['run', 'run', 'ticking', 'apart'] as const),
    computeMs: [least, least * (1 + random.nextInt(3))],
    slowShare: pick(random, [0, 0, 0.1]),
    slowFactor: 5,
    isBlocking: random.nextInt(3) === 0,
    announces: random.nextInt(2) === 0,
    pushes: isPlain || random.nextInt(4) > 0 ? 1 : 2,
    skipShare: isPlain ? 0 : pick(random, [0, 0, 0.2]),
    pausesBefore: pauses ? 1 + random.nextInt(clocks) : -1,
    pauseMs: Math.floor(random.nextFloat() * 10 * stepMs),
    impatientShare: isPlain ? 0 : pick(random, [0, 0, 0.1]),
    pullsWhole: isPlain || random.nextInt(3) > 0,
    pushesWhole: random.nextInt(3) === 0,
    saysGoodbye: random.nextInt(3) > 0,
    batch: dataSet === undefined ? 0 : 1 + random.fork('batch').nextInt(Math.min(6, dataSet.shardSize)),
  };
}

/** Data shards of several batches, and now and then of one example. */
function drawData(random: Random): SimDataSet {
  const size = 12 + random.nextInt(40);
  const dataSet = {
    size,
    shardSize: 1 + random.nextInt(12),
    epochs: 1 + random.nextInt(3),
    shuffle: random.nextInt(2) === 0,
    seed: random.nextUint32(),
    hasItems: random.nextInt(3) === 0,
  };
  return { dataSet, pauseMs: pick(random, [0, 1, 30]), leaseMs: pick(random, [100, 1_000, 10_000]) };
}

/** Those who push, in the order of their numbers. */
export function trainersOf({ workers }: Pick<Schedule, 'workers'>): WorkerPlan[] {
  return workers.filter(({ role }) => role === 'trainer' || role === 'dataTrainer');
}

/** Workers that pull or do nothing: nobody ever waits for them. */
function drawOthers(random: Random, trainers: readonly WorkerPlan[]): WorkerPlan[] {
  const count = pick(random, [0, 0, 1, 2]);
  return Array.from({ length: count }, (_, i) => ({
    ...(trainers[0] as WorkerPlan),
    id: `other${i}`,
    role: pick(random, ['reader', 'watcher', 'idle'] as const),
    joinsAt: random.nextInt(50),
    saysGoodbye: true,
  }));
}

function drawNetwork(random: Random): NetworkConditions {
  const isLate = random.nextInt(3) === 0;
  return {
    latencyMs: pick(random, [0, 0.2, 1, 5]),
    jitterMs: pick(random, [0, 0.5, 3, 10]),
    lateShare: isLate ? 0.05 : 0,
    lateMs: isLate ? 60 : 0,
    bytesPerMs: pick(random, [50, 500, 10_000, Number.POSITIVE_INFINITY]),
    serverBytesPerMs: Number.POSITIVE_INFINITY,
    isZeroCopy: random.nextInt(2) === 0,
    bytesFactor: 1,
  };
}
