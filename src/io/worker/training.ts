/** `run` and `steps`: what a training loop looks like from outside, over `StepLoop`. */
import type { Outcome } from '../../core/protocol/messages.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import type { PushAnswer } from '../../core/worker/events.js';
import {
  checkExamples,
  checkGradientResult,
  checkGradients,
  checkMetrics,
} from '../../core/worker/gradients.js';
import { isPromiseLike, quiet } from './abort.js';
import { type BatchData, lengthOf } from './batchSource.js';
import type { CutDataShard } from './dataShards.js';
import { type GradientsOf, type TensorsOf, tensorsOf } from './parameters.js';
import type { RowsOf } from './rows.js';
import type { RowsOfBatch } from './rowsAhead.js';
import type { RunSummary } from './runSummary.js';
import type { StepLoop } from './stepLoop.js';

/** How long and on what to train. */
export interface RunOptions<B> {
  /** The batches: an iterable, an async iterable, or a function of the step. Default none: batches are undefined. */
  readonly data?: BatchData<B>;
  /**
   * Instead of `data`: the server hands out data shards, and this cuts each into batches. A batch covers the next
   * examples of its data shard: as many as the gradient's result says in `examples`, or else as its `length`, or else
   * all the rest. The run ends with the server's data set.
   */
  readonly dataShards?: CutDataShard<B>;
  /**
   * The rows of sparse tables that a batch needs: ids in any order, by table. They are pulled with the parameters, and
   * stand among them under the table's name. Default none.
   */
  readonly rows?: RowsOfBatch<B>;
  /** How many steps. Default: as long as there is data, or until the server's `finish`. */
  readonly steps?: number;
  /** Its abort ends the run with `PS_ABORTED`. */
  readonly signal?: AbortSignal;
}

/** What a gradient function is told beside the parameters and the batch. */
export interface StepContext {
  /** Counts from 0. */
  readonly step: number;
  /** The worker's clock. */
  readonly clock: number;
  /** Aborted when the run fails or is aborted. */
  readonly signal: AbortSignal;
}

/** What a gradient function returns. */
export interface GradientResult<P> {
  /** By name, each a Float32Array of its tensor's length; they belong to pslib until the next step begins. */
  readonly gradients: GradientsOf<P>;
  /** At most 32 numbers, sent with the push. */
  readonly metrics?: Readonly<Record<string, number>>;
  /** Examples of the batch. Default its `length`, if it has one. */
  readonly examples?: number;
}

/**
 * Computes the gradients of one batch. The arrays of `parameters` are valid until the step ends, and are
 * reused. Tables are among them with the rows that `rows` of the run named.
 */
export type GradientFunction<P, B> = (
  parameters: TensorsOf<P> & RowsOf<P>,
  batch: B,
  context: StepContext,
) => GradientResult<P> | PromiseLike<GradientResult<P>>;

/** What happened to a push. */
export interface PushResult {
  /**
   * `'applied'`; `'buffered'`: it will be, when its clock closes; `'scaled'`: applied, scaled down for its delay;
   * `'dropped'`: not applied, since it came too late, or the server lost what it was computed from or had no room; in
   * the latter two cases a loop takes the step again.
   */
  readonly outcome: Outcome;
  /** Whether the server had decided this push before (the first answer was lost). */
  readonly duplicate: boolean;
  /** The server's version after it. */
  readonly version: number;
  /** Updates applied between the pull it was computed from and the push. */
  readonly delay: number;
  /**
   * From a group of servers: what became of each shard's part, in the order of shards. The rest of the result then
   * is the worst outcome, whether any was a duplicate, the lowest version and the largest delay.
   */
  readonly shards?: readonly ShardPushResult[];
}

/** What happened to the part of a push that one shard of a group got. */
export interface ShardPushResult extends Omit<PushResult, 'shards'> {
  /** The shard's index. */
  readonly shard: number;
}

/** One step of a training loop of your own; see `Worker.steps`. */
export interface Step<P, B> extends StepContext {
  /** Valid until `push`, or until the step ends. */
  readonly parameters: TensorsOf<P> & RowsOf<P>;
  readonly batch: B;
  /**
   * Pushes the gradients and ends the step; at most once. A step without it only ticks. Rejects, and ends
   * the loop, as `Worker.push` does.
   */
  push(
    gradients: GradientsOf<P>,
    options?: { readonly metrics?: Readonly<Record<string, number>>; readonly examples?: number },
  ): Promise<PushResult>;
}

/** The caller's part of a push's answer. */
export function pushResultOf({ outcome, duplicate, version, delay, shards }: PushAnswer): PushResult {
  return { outcome, duplicate, version, delay, ...(shards === undefined ? {} : { shards }) };
}

/** Takes steps with `gradientFn` until the loop ends. The caller ends the loop, whatever happens. */
export async function runSteps<P, B>(
  loop: StepLoop<B>,
  catalogue: Catalogue,
  clock: () => number,
  gradientFn: GradientFunction<P, B>,
): Promise<RunSummary> {
  const parametersOf = namedSets<P>(catalogue);
  await loop.begin();
  for (let input = await loop.next(); input !== undefined; input = await loop.next()) {
    const { batch } = input;
    await loop.announce();
    const { signal, step } = loop;
    const returned = gradientFn(parametersOf(loop.pulled), batch, { step, clock: clock(), signal });
    const result = checkGradientResult(isPromiseLike(returned) ? await loop.orFailure(returned) : returned);
    const metrics = checkMetrics(result.metrics);
    const examples = checkExamples(result.examples) ?? lengthOf(batch);
    void quiet(loop.endStep(checkGradients(catalogue, result.gradients), { metrics, examples }));
    await loop.room();
  }
  return loop.summary();
}

/** The steps of `loop`, for a loop of the caller's. The loop is ended when the iteration is. */
export async function* iterateSteps<P, B>(
  loop: StepLoop<B>,
  catalogue: Catalogue,
  clock: () => number,
  onEnd: () => Promise<void>,
): AsyncGenerator<Step<P, B>, void, undefined> {
  const parametersOf = namedSets<P>(catalogue);
  try {
    await loop.begin();
    for (let input = await loop.next(); input !== undefined; input = await loop.next()) {
      const { batch } = input;
      await loop.announce();
      let ended: Promise<PushAnswer | undefined> | undefined;
      const push: Step<P, B>['push'] = async (gradients, options = {}) => {
        const metrics = checkMetrics(options.metrics);
        const examples = checkExamples(options.examples) ?? lengthOf(batch);
        const checked = checkGradients(catalogue, gradients);
        ended ??= quiet(loop.endStep(checked, { metrics, examples }));
        return pushResultOf((await ended) as PushAnswer);
      };
      const { signal, step } = loop;
      const parameters = parametersOf(loop.pulled);
      const quietPush: Step<P, B>['push'] = (...given) => quiet(push(...given));
      yield { step, clock: clock(), signal, parameters, batch, push: quietPush };
      ended ??= quiet(loop.endStep(undefined, { metrics: undefined, examples: undefined }));
      await loop.room();
    }
  } finally {
    await onEnd();
  }
}

/** Sets of arrays by name; there are few sets, and each is named once. Rows are added to them. */
function namedSets<P>(
  catalogue: Catalogue,
): (pulled: StepLoop<unknown>['pulled']) => TensorsOf<P> & RowsOf<P> {
  const known = new Map<readonly Float32Array[], TensorsOf<P>>();
  return ({ arrays, rows }) => {
    const tensors = known.get(arrays) ?? tensorsOf<P>(catalogue.entries, arrays);
    known.set(arrays, tensors);
    return (rows === undefined ? tensors : { ...tensors, ...rows }) as TensorsOf<P> & RowsOf<P>;
  };
}
