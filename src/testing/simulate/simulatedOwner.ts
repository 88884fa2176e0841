/** What a simulated worker does in each step, as `TrainingProgram` asks: it computes, for so long, this push. */
import { invalidArgument, type PsError } from '../../core/base/errors.js';
import type { Random } from '../../core/base/random.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import type { PullAnswer } from '../../core/worker/events.js';
import type { SimWorker } from '../cluster/simWorker.js';
import type { ProgramOwner, PushContent } from '../programs/trainingProgram.js';
import type { ComputeMs } from './computeTimes.js';
import type { SimulatedModel } from './simulatedModel.js';
import type { WorkerTally } from './tally.js';

/** As in production. */
const PULL_TIMEOUT_MS = 60_000;

/** What a worker's steps are made of. */
export interface SimulatedOwnerParts<P extends ParameterSpecs, B> {
  readonly worker: SimWorker;
  readonly index: number;
  readonly clocks: number;
  readonly computeMs: ComputeMs;
  readonly random: Random;
  readonly model: SimulatedModel<P, B>;
  readonly tally: WorkerTally;
  readonly onEnd: (error: PsError | undefined) => void;
}

/** The owner of one worker's program. */
export function simulatedOwner<P extends ParameterSpecs, B>(parts: SimulatedOwnerParts<P, B>): ProgramOwner {
  const { worker, index, clocks, computeMs, model, tally, onEnd } = parts;
  const [times, draws] = [parts.random.fork('times'), parts.random.fork('batches')];
  let step = 0;
  let content: PushContent = { tensors: [], values: [] };
  let refusal: PsError | undefined;
  return {
    style: 'run',
    // A worker whose push is refused takes no further step, as `worker.run` does.
    get untilClock() {
      return refusal === undefined ? clocks : 0;
    },
    pullTimeoutMs: PULL_TIMEOUT_MS,
    saysGoodbye: true,
    pauseMs: () => 0,
    impatienceMs: () => undefined,
    pulls: () => undefined,
    onPullAsked: () => {},
    onPulled({ arrays, clock }: PullAnswer) {
      const place = { worker: worker.id, index, random: draws, step, clock };
      content = model.computes(arrays ?? [], place);
      const ms = typeof computeMs === 'number' ? computeMs : computeMs(times, step);
      if (!(ms >= 0 && Number.isFinite(ms))) {
        throw invalidArgument(`computeMs of ${worker.id} in step ${step}`, ms, 'milliseconds from 0');
      }
      step++;
      tally.computeMs += ms;
      return { computeMs: ms, isBlocking: false, announcedMs: undefined };
    },
    pushes: () => 1,
    push: () => ({
      content,
      onEnded({ error }) {
        if (error === undefined) tally.steps++;
        else if (error.code !== 'PS_OUTCOME_UNKNOWN') refusal ??= error;
      },
    }),
    onEnd: (error) => onEnd(error ?? refusal),
  };
}
