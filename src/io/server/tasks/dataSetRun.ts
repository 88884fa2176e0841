/**
 * One data set on its way through its epochs: begins or resumes it in the core, and between two epochs calls
 * `onEpoch`, keeps the best parameters, and opens the next. The queue itself is in the core.
 */
import { invalidArgument, PsError } from '../../../core/base/errors.js';
import type { CoreContext } from '../../../core/server/context.js';
import type { Observation } from '../../../core/server/events.js';
import type { BestEpoch } from '../../../core/tasks/dataQueue.js';
import { dataSetDifference } from '../../../core/tasks/dataSet.js';
import type { Commands } from '../commands.js';
import type { Snapshot } from '../snapshot.js';
import type { CheckedDataSet, EpochEvent } from './dataSetOptions.js';

/** What a data set needs of its server. */
export interface DataSetHost {
  readonly commands: Commands;
  /** Which metric decides what is best; undefined: nothing is kept. */
  readonly keepBest: { readonly metric: string; readonly mode: 'min' | 'max' } | undefined;
  parameters(): Promise<Snapshot>;
  /** Writes the present state as the best; resolves with its path, or undefined where there is no `dataDir`. */
  keep(): Promise<string | undefined>;
  onEpoch(event: Extract<Observation, { kind: 'epoch' }>): void;
  /** Whether this life of the server has had a data set. */
  readonly life: { hasHadDataSet: boolean };
}

/** The best epoch so far. */
export interface BestResult {
  readonly epoch: number;
  /** The metric of `keepBest`. */
  readonly value: number;
  /** Where its parameters are; undefined: without `dataDir`, or kept by an earlier life of the server. */
  readonly path: string | undefined;
  /** Its parameters, where there is no `dataDir`. */
  readonly parameters: EpochEvent['parameters'] | undefined;
}

/** How a data set ended. */
export interface DataSetSummary {
  /** Epochs that were gone through. */
  readonly epochs: number;
  /** Examples that were counted, in all of them. */
  readonly examples: number;
  readonly endedBy: 'epochs' | 'stop';
  /** What `stop` was given. */
  readonly reason: string | undefined;
  /** With `keepBest`. */
  readonly best: BestResult | undefined;
}

/** How far a data set is. */
export interface DataSetProgress {
  /** From 0. */
  readonly epoch: number;
  readonly epochs: number;
  /** Examples of this epoch that are counted. */
  readonly examples: number;
  readonly size: number;
  /** Data shards that workers hold now. */
  readonly leases: number;
  readonly isEnded: boolean;
}

/** A data set that is gone through. */
export class DataSetRun {
  /** Resolves at the end; rejects with what `onEpoch` threw, or `PS_CLOSED`. */
  readonly finished: Promise<DataSetSummary>;
  readonly #host: DataSetHost;
  readonly #checked: CheckedDataSet;
  #resolve: (summary: DataSetSummary) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #context: CoreContext | undefined;
  #number = 0;
  #isStopped = false;
  #reason: string | undefined;
  #isOver = false;
  #best: BestResult | undefined;

  constructor(host: DataSetHost, checked: CheckedDataSet) {
    this.#host = host;
    this.#checked = checked;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.finished.catch(() => {});
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  get progress(): DataSetProgress {
    const { dataSet } = this.#checked;
    const data = this.#context?.state.data;
    const current = data?.current;
    return {
      epoch: current?.epoch ?? 0,
      epochs: dataSet.epochs,
      examples: data?.countedExamples ?? 0,
      size: dataSet.size,
      leases: data?.leases.size ?? 0,
      isEnded: this.#isOver,
    };
  }

  /** Ends it: no further data shard is handed out, and every `run` on data shards ends. */
  stop(reason = 'stopped'): void {
    if (this.#isStopped || this.#isOver) return;
    this.#isStopped = true;
    this.#reason = reason;
    if (this.#context !== undefined) this.#end();
  }

  /** The state is there: begins, or goes on where an earlier life of the server stopped. */
  start(): void {
    this.#host.commands.command((context, { tasks }) => {
      this.#context = context;
      const { dataSet, items, leaseMs } = this.#checked;
      const { current } = context.state.data;
      const difference = current === undefined ? '' : dataSetDifference(current.dataSet, dataSet);
      const isOver = current === undefined || current.isEnded;
      if (!isOver && difference !== undefined) {
        this.#refuse(context, difference);
        return;
      }
      // Whoever comes back behind the end of a data set does not mean to go through it once more.
      const isKnown = difference === undefined && (!isOver || !this.#host.life.hasHadDataSet);
      this.#host.life.hasHadDataSet = true;
      this.#number = (current?.number ?? 0) + (isKnown ? 0 : 1);
      if (!isKnown) tasks.data.record({ kind: 'dataSet', number: this.#number, dataSet });
      tasks.data.attach(items, leaseMs);
      if (isKnown && isOver) this.#resolveWith();
      else if (this.#isStopped) this.#end();
    });
  }

  #refuse(context: CoreContext, difference: string): void {
    const text = `dataset: another one is in dataDir and not gone through: ${difference}`;
    const error = new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'dataset' } });
    // Whoever does not wait for the end hears of it too.
    context.observe({ kind: 'error', error });
    this.fail(error);
  }

  /** An epoch is over. */
  onEpoch(event: Extract<Observation, { kind: 'epoch' }>): void {
    if (event.dataSet !== this.#number || this.#isOver) return;
    this.#between(event).catch((error: unknown) => {
      this.#isStopped = true;
      this.fail(error);
      this.#end();
    });
  }

  /** It can't go on. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reject(error);
  }

  async #between(event: Extract<Observation, { kind: 'epoch' }>): Promise<void> {
    const { onEpoch, dataSet } = this.#checked;
    const { keepBest } = this.#host;
    const { epoch, examples, version } = event;
    let { metrics } = event;
    let parameters: EpochEvent['parameters'] | undefined;
    if (onEpoch !== undefined || keepBest !== undefined) {
      parameters = (await this.#host.parameters()).tensors;
    }
    if (onEpoch !== undefined && parameters !== undefined) {
      const stop = (reason?: string): void => this.#stopAfter(reason);
      const { epochs } = dataSet;
      const more = await onEpoch({ epoch, epochs, examples, version, parameters, metrics, stop });
      metrics = { ...metrics, ...checkMore(more) };
    }
    const best = await this.#judge(epoch, metrics, parameters);
    this.#host.onEpoch({ ...event, metrics });
    if (this.#isOver) return;
    if (this.#isStopped || epoch + 1 >= dataSet.epochs) this.#end(best);
    else this.#record({ kind: 'epoch', epoch: epoch + 1, isEnd: false, best });
  }

  /** Training ends once `onEpoch` has. */
  #stopAfter(reason = 'stopped'): void {
    this.#isStopped = true;
    this.#reason = reason;
  }

  /** Keeps the parameters if they are the best so far. */
  async #judge(
    epoch: number,
    metrics: Readonly<Record<string, number>>,
    parameters: EpochEvent['parameters'] | undefined,
  ): Promise<BestEpoch | undefined> {
    const { keepBest } = this.#host;
    const value = keepBest === undefined ? undefined : metrics[keepBest.metric];
    const before = this.#context?.state.data.best;
    if (keepBest === undefined || value === undefined || !Number.isFinite(value)) return before;
    const isBetter =
      before === undefined || (keepBest.mode === 'min' ? value < before.value : value > before.value);
    if (!isBetter) return before;
    const path = await this.#host.keep();
    this.#best = { epoch, value, path, parameters: path === undefined ? parameters : undefined };
    return { epoch, value };
  }

  #end(best = this.#context?.state.data.best): void {
    const { epoch = 0 } = this.#context?.state.data.current ?? {};
    this.#record({ kind: 'epoch', epoch, isEnd: true, best });
    this.#resolveWith();
  }

  /** All of it is over, now or since an earlier life of the server. */
  #resolveWith(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const data = this.#context?.state.data;
    const { size, epochs: all } = this.#checked.dataSet;
    const { epoch = 0 } = data?.current ?? {};
    const { countedExamples = 0, best } = data ?? {};
    const epochs = epoch + (countedExamples === size ? 1 : 0);
    this.#resolve({
      epochs,
      examples: epoch * size + countedExamples,
      endedBy: this.#isStopped || epochs < all ? 'stop' : 'epochs',
      reason: this.#reason,
      best: best && (this.#best ?? { ...best, path: undefined, parameters: undefined }),
    });
  }

  #record(record: { kind: 'epoch'; epoch: number; isEnd: boolean; best: BestEpoch | undefined }): void {
    this.#host.commands.command((_context, { tasks }) => tasks.data.record(record));
  }
}

function checkMore(more: unknown): Readonly<Record<string, number>> {
  if (more === undefined || more === null) return {};
  const isMetrics =
    typeof more === 'object' && Object.values(more).every((value) => typeof value === 'number');
  if (!isMetrics)
    throw invalidArgument('onEpoch', more, 'a function that returns nothing, or metrics (numbers by name)');
  return more as Readonly<Record<string, number>>;
}
