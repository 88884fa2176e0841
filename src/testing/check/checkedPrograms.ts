/** The programs of a checked run: what they push, and what they check of what they are told. */
import type { PsError } from '../../core/base/errors.js';
import type { Random } from '../../core/base/random.js';
import type { PullAnswer } from '../../core/worker/events.js';
import type { ReaderOwner } from '../cluster/readerProgram.js';
import type { SimWorker } from '../cluster/simWorker.js';
import type { ProgramOwner } from '../cluster/trainingProgram.js';
import type { CheckModel } from './checkModel.js';
import type { RunChecks } from './runChecks.js';
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
}

/** The owner of a training program. `isCurrent`: no later process has taken over. */
export function trainerOwner(
  context: ProgramContext,
  isCurrent: () => boolean,
  onEnd: () => void,
): ProgramOwner {
  const { worker, plan, random, model, checks } = context;
  const number = checks.numberOf(plan.id) as number;
  const shares = (share: number): boolean => share > 0 && random.nextFloat() < share;
  let pulled: { readonly version: number; readonly life: number } | undefined;
  return {
    style: plan.style,
    untilClock: plan.untilClock,
    pullTimeoutMs: PULL_TIMEOUT_MS,
    saysGoodbye: plan.saysGoodbye,
    pauseMs: (clock) => (clock === plan.pausesBefore ? plan.pauseMs : 0),
    impatienceMs: () => (shares(plan.impatientShare) ? random.nextInt(30) : undefined),
    pulls: () => (plan.pullsWhole ? undefined : [number, model.sizes.workers]),
    onPullAsked: () => {},
    onPulled(answer: PullAnswer, tensors) {
      const life = checks.lifeOf(worker);
      checks.pulled(plan.id, answer, tensors, life);
      pulled = { version: answer.version, life };
      return computedStep(plan, random, shares);
    },
    pushes: () => (shares(plan.skipShare) ? 0 : plan.pushes),
    push(clock) {
      const now = worker.core.clock;
      const push = checks.ledger.issue({ worker: number, process: worker.number, clock: now, pulled });
      return {
        content: model.push(number, push.cell, clock, plan.pushesWhole),
        onEnded: (ended) => checks.ledger.ended(push, ended, checks.lifeOf(worker)),
      };
    },
    onEnd(error: PsError | undefined) {
      if (error !== undefined && isCurrent()) {
        checks.violations.add('everyone finishes', `${plan.id} ended with ${error.code}: ${error.message}`);
      }
      onEnd();
    },
  };
}

function computedStep(
  plan: WorkerPlan,
  random: Random,
  shares: (share: number) => boolean,
): ReturnType<ProgramOwner['onPulled']> {
  const [least, most] = plan.computeMs;
  const usual = least + (most - least) * random.nextFloat();
  const computeMs = shares(plan.slowShare) ? usual * plan.slowFactor : usual;
  return { computeMs, isBlocking: plan.isBlocking, announcedMs: plan.announces ? 5_000 : undefined };
}

/** The owner of a reader's program. */
export function readerOwner({ worker, plan, random, checks }: ProgramContext): ReaderOwner {
  return {
    isWatching: plan.role === 'watcher',
    isConsistent: random.nextInt(3) > 0,
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

/** A worker that connects and does nothing. */
export function idleCheck({ worker }: ProgramContext): void {
  const connect = (): void => {
    worker.call({ kind: 'connect' }, ({ error }) => {
      if (error?.retryable === true) connect();
    });
  };
  connect();
}
