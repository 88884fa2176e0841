/**
 * The programs of a checked run, by role: what worker processes do, what they push, and what they check of
 * what they are told. To add one: write the loop as a class with `start()` in `src/testing/programs` (it calls
 * its `SimWorker` and is called back, as `trainingProgram.ts` does), give it a role here, and let `schedule.ts`
 * draw workers of that role. What it is told that must not be, it adds to `checks.violations`; what must hold
 * between workers is a check of its own (`src/testing/check/check.ts`).
 */
import type { PsError } from '../../core/base/errors.js';
import type { Random } from '../../core/base/random.js';
import type { DataLease } from '../../core/protocol/taskMessages.js';
import { decodeValue } from '../../core/protocol/valueCodec.js';
import type { DataRange } from '../../core/tasks/dataProgress.js';
import { examplesAt } from '../../core/tasks/shuffledOrder.js';
import type { PullAnswer } from '../../core/worker/events.js';
import type { CacheUser } from '../check/cacheWatch.js';
import type { CheckModel } from '../check/checkModel.js';
import { CELLS, idsOfCells } from '../check/checkRows.js';
import type { RunChecks } from '../check/runChecks.js';
import { itemOf } from '../cluster/dataSetOwner.js';
import type { SimWorker } from '../cluster/simWorker.js';
import { type DataOwner, DataProgram } from '../programs/dataProgram.js';
import { type ReaderOwner, ReaderProgram } from '../programs/readerProgram.js';
import {
  type ComputedStep,
  type MadePush,
  type ProgramOwner,
  type RowsAsked,
  TrainingProgram,
} from '../programs/trainingProgram.js';
import { recentCells, StepUses } from './cachedWorker.js';
import { PulledStamps } from './pulledStamps.js';
import type { WorkerPlan } from './schedule.js';

/** Bound of a worker's pulls: longer than the server's, whose error says more. */
const PULL_TIMEOUT_MS = 10_000;

/** What a program knows. */
export interface ProgramContext {
  readonly worker: SimWorker;
  readonly plan: WorkerPlan;
  readonly random: Random;
  readonly model: CheckModel;
  readonly checks: RunChecks;
  /** It has a cache. */
  readonly isCached: boolean;
  /** No later process of this worker has taken over. */
  readonly isCurrent: () => boolean;
  /** The program is over. */
  readonly onEnd: () => void;
}

/** A program in one process of a worker. */
export interface CheckedProgram {
  start(): void;
  /** The run is over: what would go on for ever ends. */
  stop(): void;
}

/** A kind of program. */
export interface RoleKind {
  /** Its workers connect with `readOnly`. */
  readonly isReader: boolean;
  /** A run is not over before its workers are. */
  readonly mustFinish: boolean;
  readonly make: (context: ProgramContext) => CheckedProgram;
}

/** The programs, by role. */
export const ROLES: { readonly [R in WorkerPlan['role']]: RoleKind } = {
  trainer: { isReader: false, mustFinish: true, make: trainer },
  dataTrainer: { isReader: false, mustFinish: true, make: dataTrainer },
  reader: { isReader: true, mustFinish: false, make: reader },
  watcher: { isReader: true, mustFinish: false, make: reader },
  idle: { isReader: false, mustFinish: false, make: idle },
};

function trainer(context: ProgramContext): CheckedProgram {
  const program = new TrainingProgram(context.worker, trainerOwner(context));
  return { start: () => program.start(), stop: () => {} };
}

function dataTrainer(context: ProgramContext): CheckedProgram {
  const program = new DataProgram(context.worker, dataOwner(context));
  return { start: () => program.start(), stop: () => {} };
}

function reader(context: ProgramContext): CheckedProgram {
  return new ReaderProgram(context.worker, readerOwner(context));
}

/** A worker that connects and does nothing. */
function idle({ worker }: ProgramContext): CheckedProgram {
  const start = (): void => {
    worker.call({ kind: 'connect' }, ({ error }) => {
      if (error?.retryable === true) start();
    });
  };
  return { start, stop: () => {} };
}

/** What the programs of trainers have in common: what they pull is checked, and what they push is in the ledger. */
function pushing({ worker, plan, random, model, checks, isCached, isCurrent, onEnd }: ProgramContext): {
  readonly stamps: PulledStamps;
  readonly uses: StepUses;
  shares(share: number): boolean;
  pulled(answer: PullAnswer, tensors?: readonly number[]): ComputedStep;
  push(clock: number, range?: DataRange): MadePush;
  onEnd(error: PsError | undefined): void;
  rollbacks(): number;
} {
  const number = checks.numberOf(plan.id) as number;
  const { rollbacks } = checks.ledger;
  const shares = (share: number): boolean => share > 0 && random.nextFloat() < share;
  const stamps = new PulledStamps(() => rollbacks[number] as number);
  const uses = new StepUses();
  return {
    stamps,
    uses,
    shares,
    pulled(answer, tensors) {
      const life = checks.lifeOf(worker);
      uses.add(answer);
      if (isCached) checks.usesTensors(worker, userOf(worker, uses, number, checks), answer, tensors);
      if (!isCached || answer.bytes > 0) checks.pulled(plan.id, answer, tensors, life);
      stamps.add({ version: answer.version, life });
      return computedStep(plan, random, shares);
    },
    push(clock, range) {
      const { computedFrom, pulled } = uses.from();
      const made = {
        worker: number,
        process: worker.number,
        clock: worker.core.clockWhenDone,
        pulled: isCached ? pulled : stamps.use(),
        range,
      };
      const push = checks.ledger.issue(made);
      return {
        content: {
          ...model.push(number, push.cell, clock, plan.pushesWhole),
          ...(isCached ? { computedFrom } : {}),
        },
        onEnded: (ended) => checks.ledger.ended(push, ended),
      };
    },
    onEnd(error) {
      if (error !== undefined && isCurrent()) {
        checks.violations.add('everyone finishes', `${plan.id} ended with ${error.code}: ${error.message}`);
      }
      onEnd();
    },
    rollbacks: () => rollbacks[number] as number,
  };
}

function trainerOwner(context: ProgramContext): ProgramOwner {
  const { plan, random, model, checks } = context;
  const number = checks.numberOf(plan.id) as number;
  const { stamps, uses, shares, pulled, push, onEnd } = pushing(context);
  return {
    style: plan.style,
    untilClock: plan.untilClock,
    pullTimeoutMs: PULL_TIMEOUT_MS,
    saysGoodbye: plan.saysGoodbye,
    pauseMs: (clock) => (clock === plan.pausesBefore ? plan.pauseMs : 0),
    impatienceMs: () => (shares(plan.impatientShare) ? random.nextInt(30) : undefined),
    pulls: () => (plan.pullsWhole ? undefined : [number, model.sizes.workers]),
    rows: () => (model.sizes.hasRows === true ? rowsAsked(context, stamps, uses) : undefined),
    onPullAsked: () => {
      const { core, id, number: process } = context.worker;
      uses.begin(core.clockWhenDone, checks.bounds.lastKnown(`${id}#${process}`));
    },
    onPulled: pulled,
    pushes: () => (shares(plan.skipShare) ? 0 : plan.pushes),
    push,
    onEnd,
  };
}

function dataOwner(context: ProgramContext): DataOwner {
  const { plan, random, checks } = context;
  const { pulled, push, onEnd, rollbacks } = pushing(context);
  return {
    isAhead: plan.style === 'run',
    pullTimeoutMs: PULL_TIMEOUT_MS,
    untilClock: plan.untilClock,
    pushes: plan.pushes,
    rollbacks,
    batch: (left) => Math.min(left, 1 + random.nextInt(plan.batch)),
    onLeased(lease, bytes) {
      const { from, end, size, seed, itemBytes } = lease as Required<DataLease>;
      if (itemBytes === undefined) return;
      const expected = Array.from(examplesAt(from, end, size, seed), itemOf);
      if (JSON.stringify(decodeValue(bytes)) === JSON.stringify(expected)) return;
      checks.violations.add('items', `${plan.id} gets other items than those of positions ${from} to ${end}`);
    },
    onPulled: pulled,
    push,
    onEnd,
  };
}

/** Rows of a few cells, the worker's own among them; or, for some steps, none. */
function rowsAsked(
  { worker, plan, random, model, checks, isCached }: ProgramContext,
  stamps: PulledStamps,
  uses: StepUses,
): RowsAsked | undefined {
  if (random.nextInt(4) === 0) return undefined;
  const { workers, cells } = model.sizes;
  const some = Array.from({ length: 1 + random.nextInt(4) }, (_, i) => ({
    worker: i === 0 ? (checks.numberOf(plan.id) as number) : random.nextInt(workers),
    cell: random.nextInt(cells),
  }));
  const { words, cells: asked } = idsOfCells(
    isCached ? recentCells(random, { clock: uses.clock, workers, cells }) : some,
  );
  return {
    table: CELLS,
    words,
    onPulled(answer) {
      const life = checks.lifeOf(worker);
      uses.add(answer);
      const number = checks.numberOf(plan.id) as number;
      if (isCached) checks.usesRows(worker, userOf(worker, uses, number, checks), answer, asked);
      else checks.pulledRows(plan.id, answer, asked, life);
      stamps.addRows({ version: answer.version, life });
    },
  };
}

/** Who uses what came, and by which models it may go. */
function userOf(worker: SimWorker, uses: StepUses, number: number, { bounds }: RunChecks): CacheUser {
  return uses.user(worker.id, number, worker.core.clockWhenDone, bounds);
}

function computedStep(plan: WorkerPlan, random: Random, shares: (share: number) => boolean): ComputedStep {
  const [least, most] = plan.computeMs;
  const usual = least + (most - least) * random.nextFloat();
  const computeMs = shares(plan.slowShare) ? usual * plan.slowFactor : usual;
  return { computeMs, isBlocking: plan.isBlocking, announcedMs: plan.announces ? 5_000 : undefined };
}

function readerOwner({ worker, plan, random, checks }: ProgramContext): ReaderOwner {
  const isConsistent = random.nextInt(3) > 0;
  return {
    isWatching: plan.role === 'watcher',
    keepsCopy: isConsistent && random.fork('copy').nextInt(2) === 0,
    isConsistent,
    pullTimeoutMs: PULL_TIMEOUT_MS,
    pauseMs: () => 1 + random.nextInt(30),
    onPulled(answer, newerThan) {
      if (answer.arrays === undefined && newerThan === undefined) {
        checks.violations.add('answers', `${plan.id} is told "not modified" without having asked`);
      }
      checks.read(plan.id, answer, checks.lifeOf(worker), this.isConsistent);
    },
    onEnd: () => {},
  };
}
