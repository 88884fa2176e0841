/** `server.tasks`: data sets and generic tasks of one server. It routes; the work is in `DataSetRun` and `TaskMap`. */
import { PsError } from '../../../core/base/errors.js';
import type { Shard } from '../../../core/partition/keyRange.js';
import type { Observation } from '../../../core/server/events.js';
import type { ServerLimits } from '../../../core/server/limits.js';
import type { Snapshot } from '../snapshot.js';
import { checkDataSetOptions, type DataSetOptions, stillRunning } from './dataSetOptions.js';
import { type DataSetHost, DataSetRun } from './dataSetRun.js';
import type { MapOptions, TaskInputs } from './mapOptions.js';
import { type MapHost, TaskMap, type TaskOwner } from './taskMap.js';

/** What the tasks of a server are made with. */
export interface ServerTasksParts extends Pick<DataSetHost, 'commands' | 'keepBest' | 'keep'> {
  /** Of shuffles. */
  readonly seed: number;
  /** Which shard of a group the server is, and how long a step may take. */
  readonly core: { readonly shard: Shard; readonly limits: Pick<ServerLimits, 'maxStepMs'> };
  emit(event: Omit<Extract<Observation, { kind: 'epoch' }>, 'kind'>): void;
}

/** The tasks of one server. */
export class ServerTasks {
  readonly #parts: ServerTasksParts;
  readonly #dataSetHost: DataSetHost;
  readonly #owners = new Map<number, TaskOwner>();
  readonly #maps = new Set<TaskOwner>();
  #lastTask = 0;
  #run: DataSetRun | undefined;
  #isStarted = false;
  #closed: PsError | undefined;

  /** Made by its server. */
  constructor(server: { parameters(): Promise<Snapshot> }, parts: ServerTasksParts) {
    this.#parts = parts;
    const { commands, keepBest } = parts;
    this.#dataSetHost = {
      ...{ commands, keepBest, life: { hasHadDataSet: false } },
      keep: () => parts.keep(),
      parameters: () => server.parameters(),
      onEpoch: ({ kind: _kind, ...event }) => parts.emit(event),
    };
    commands.whenFailed((error) => this.fail(error));
  }

  /**
   * Hands out a data set to the workers that `run` on `dataShards`, so that each example counts once in each
   * epoch. One at a time. With `dataDir` it goes on where an earlier life of the server stopped, if it is
   * described as it was then; one that was gone through then is over at once.
   *
   * Throws `PS_INVALID_ARGUMENT` for wrong options, while another one is gone through, or on another shard of a group
   * than the first, and `PS_VALUE_INVALID` for items that can't be sent.
   */
  dataset(options: DataSetOptions): DataSetRun {
    this.#mustHandOut('dataset');
    if (this.#run?.isOver === false) throw stillRunning();
    const { seed, core } = this.#parts;
    const run = new DataSetRun(
      this.#dataSetHost,
      checkDataSetOptions(options, { seed, maxStepMs: core.limits.maxStepMs }),
    );
    this.#run = run;
    if (this.#isStarted) run.start();
    return run;
  }

  /**
   * Hands out `inputs` to the workers that handle `tasks`, and iterates over what became of them: the results,
   * and the errors of those that failed as often as `retries` allow. Inputs are read as there is room. Leaving the
   * loop calls off what is left. Rejects if reading the inputs fails, `signal` is aborted, or the server closes.
   *
   * Throws `PS_INVALID_ARGUMENT` for wrong options, or on another shard of a group than the first.
   */
  map<I, R = unknown>(inputs: TaskInputs<I>, options: MapOptions = {}): TaskMap<I, R> {
    this.#mustHandOut('map');
    const map = new TaskMap<I, R>(this.#host, inputs, options);
    return map;
  }

  #mustHandOut(name: 'dataset' | 'map'): void {
    if (this.#closed !== undefined) throw this.#closed;
    const { index, count } = this.#parts.core.shard;
    if (index === 0) return;
    const text = `${name}: workers ask shard 0 of a group for tasks and data shards; this is shard ${index} of ${count}`;
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: name } });
  }

  /** The server has its state: what was given before begins. */
  start(): void {
    this.#isStarted = true;
    this.#run?.start();
  }

  /** The server is closed: what is under way fails. */
  close(): void {
    this.fail(new PsError('PS_CLOSED', 'the server is closed'));
  }

  /** The server can't go on. */
  fail(error: PsError): void {
    this.#closed ??= error;
    this.#run?.fail(error);
    for (const map of [...this.#maps]) map.fail(error);
  }

  onObservation(observation: Observation): void {
    if (observation.kind === 'epoch') this.#run?.onEpoch(observation);
    else if (observation.kind === 'taskResult') {
      const { task, id, value } = observation;
      this.#takeOwner(task)?.onResult(task, id, value);
    } else if (observation.kind === 'taskFailed') {
      const { task, attempts, error } = observation;
      this.#takeOwner(task)?.onFailed(task, attempts, error);
    }
  }

  readonly #host: MapHost = {
    nextTask: () => ++this.#lastTask,
    add: (tasks, owner) => {
      this.#maps.add(owner);
      for (const { id } of tasks) this.#owners.set(id, owner);
      this.#parts.commands.command((_context, dispatcher) => dispatcher.tasks.generic.add(tasks));
    },
    cancel: (ids) => {
      for (const id of ids) this.#owners.delete(id);
      this.#parts.commands.command((_context, dispatcher) => dispatcher.tasks.generic.cancel(ids));
    },
    ended: (owner) => {
      this.#maps.delete(owner);
    },
  };

  #takeOwner(task: number): TaskOwner | undefined {
    const owner = this.#owners.get(task);
    this.#owners.delete(task);
    return owner;
  }
}
