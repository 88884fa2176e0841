/**
 * `ParameterServer`: a server core with sockets and time. This class checks arguments, starts and stops
 * things and turns commands into changes of the core; every rule stands in the core.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { EventEmitter } from 'eventemitter3';
import { invalidArgument, PsError } from '../../core/base/errors.js';
import { type Consistency, checkConsistency } from '../../core/consistency/consistency.js';
import { checkLearningRate, type LearningRate } from '../../core/optim/learningRate.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import type { Observation } from '../../core/server/events.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import { checkSharedOptimizer } from '../../core/table/tableSpecs.js';
import { primeMalloc } from '../primeMalloc.js';
import type { ServerStats, WorkerInfo } from '../serverReport.js';
import type { CheckpointReport } from '../storage/checkpointTurns.js';
import { monotonicNow } from '../time.js';
import { answerAsks } from './askDesk.js';
import type { Auth } from './auth.js';
import { Commands, type Decision } from './commands.js';
import { CoreRunner } from './coreRunner.js';
import { closedError, drainingError } from './endErrors.js';
import { Entrance } from './entrance.js';
import { HttpPlace } from './httpPlace.js';
import { makeCore } from './makeCore.js';
import { type CheckpointMoment, Persistence } from './persistence.js';
import { emitObservation, guarded, logObservation, type ParameterServerEvents } from './serverEvents.js';
import {
  type CheckedServerOptions,
  checkServerOptions,
  type ParameterServerOptions,
} from './serverOptions.js';
import { statsOf } from './serverStats.js';
import type { ServerWatch } from './serverWatch.js';
import { checkShardConsistency } from './shardOption.js';
import { copyJob, flatValues, loadRecord, type Snapshot } from './snapshot.js';
import { ServerTasks } from './tasks/serverTasks.js';
import { workerInfos } from './workerInfo.js';

/**
 * Holds a model's parameters; workers pull them, and it applies what they push, within the bounds of
 * its consistency model.
 *
 * Throws `PS_INVALID_ARGUMENT` for wrong options. Nothing happens before `listen`.
 */
export class ParameterServer<
  P extends ParameterSpecs = ParameterSpecs,
> extends EventEmitter<ParameterServerEvents> {
  /** Data shards and generic tasks for the workers; see `docs/guides/tasks.md`. */
  readonly tasks: ServerTasks;
  readonly #options: CheckedServerOptions;
  readonly #core: ServerCore;
  readonly #runner: CoreRunner;
  readonly #commands: Commands;
  readonly #entrance: Entrance;
  readonly #place: HttpPlace;
  readonly #persistence: Persistence;
  #state: 'new' | 'listening' | 'closed' = 'new';
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #draining: Promise<void> | undefined;

  /** `watch` is told what happens. */
  constructor(options: ParameterServerOptions<P>, watch?: ServerWatch) {
    super();
    this.#options = checkServerOptions(options);
    this.#core = makeCore(this.#options);
    const onObservation = (observation: Observation): void => {
      guarded(() => logObservation(observation, this.#options.logger));
      this.tasks.onObservation(observation);
      emitObservation(observation, this, (name, ...args) => this.#emit(name, ...args));
      watch?.observe(observation, monotonicNow());
    };
    this.#runner = new CoreRunner(this.#core, this.#options.core.limits, onObservation);
    this.#commands = new Commands(this.#runner);
    answerAsks(this, this.#options, this.#runner, this.#commands, (connection, afterMs) => ({
      role: this.#entrance.roleOf(connection),
      record: watch?.report(monotonicNow(), afterMs),
    }));
    this.#entrance = new Entrance(this.#options, this.#runner, this.#commands, onObservation);
    const health = () => ({
      failure: this.#runner.failure ?? this.#core.failure,
      isDraining: this.#draining !== undefined || this.#state !== 'listening',
    });
    this.#place = new HttpPlace(this.#options, this.handleUpgrade.bind(this), health, (request, response) =>
      this.handleRequest(request, response),
    );
    this.#persistence = new Persistence({
      core: this.#core,
      runner: this.#runner,
      storage: this.#options.storage,
      shard: this.#options.core.shard,
      onObservation,
    });
    this.tasks = new ServerTasks(this, {
      ...this.#options,
      commands: this.#commands,
      keep: () => this.#persistence.keepBest(),
      emit: (event) => this.#emit('epoch', event),
    });
  }

  /**
   * Begins to serve. With `dataDir` it recovers the state first. With `port` it resolves when the port is open;
   * attached to a server of yours it does not make that one listen. It may be called again after a failure before recovery.
   * Rejects with `PS_CONNECT_FAILED` when the port can't be had, `PS_ABORTED` when `signal` aborts first,
   * `PS_CLOSED` after `close`, `PS_INVALID_ARGUMENT` when called twice or when the options don't fit the state in
   * `dataDir`, and for `dataDir` with `PS_DATA_DIR_IN_USE`, `PS_STORAGE`, `PS_CORRUPT` or `PS_VERSION`.
   */
  async listen(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#state === 'closed') throw closedError();
    if (this.#state !== 'new') throw new PsError('PS_INVALID_ARGUMENT', 'listen was called before');
    this.#state = 'listening';
    this.#opening = this.#open(options.signal);
    await this.#opening;
    this.tasks.start();
    this.#runner.start();
    this.#entrance.start();
    this.#emit('listening', { url: this.#place.url() });
  }

  async #open(signal: AbortSignal | undefined): Promise<void> {
    const throwIfOver = (): void => {
      if (this.#closing !== undefined) throw closedError();
      if (signal?.aborted !== true) return;
      throw new PsError('PS_ABORTED', 'listen was aborted', { cause: signal.reason });
    };
    try {
      throwIfOver();
      await Promise.all([primeMalloc(), this.#persistence.open()]);
      throwIfOver();
      await this.#place.open();
      throwIfOver();
      if (this.#runner.failure !== undefined) throw this.#runner.failure;
    } catch (error) {
      this.#place.detach();
      await this.#place.close();
      await this.#persistence.close();
      if (this.#state === 'listening') this.#state = 'new';
      throw error;
    }
  }

  /**
   * Where workers connect: `ws://…`. Throws `PS_INVALID_ARGUMENT` while it is not known: before it listens, and
   * with `noServer`.
   */
  get url(): string {
    const url = this.#place.url();
    if (url === undefined)
      throw invalidArgument('url', url, 'asked for once the server listens on an address');
    return url;
  }

  /** The address it listens at, or null. */
  address(): AddressInfo | null {
    return this.#place.address();
  }

  /** The consistency model in force. */
  get consistency(): Consistency {
    return this.#core.state.model;
  }

  /**
   * Takes an upgrade request of an HTTP server of yours, if its path is this server's; returns whether it
   * was. A request that was not is left untouched.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if (this.#state !== 'listening') return false;
    return this.#entrance.handle(request, socket, head, !this.#persistence.isAwaited);
  }

  /** Answers an HTTP request for the dashboard or `metrics`, if it is one; returns whether it was. */
  handleRequest(_request: IncomingMessage, _response: ServerResponse): boolean {
    return false;
  }

  /** Who may come in. */
  protected get gate(): Pick<Entrance, 'mayMonitor' | 'allowsOrigin'> {
    return this.#entrance;
  }

  /** A copy of all parameters at one version. Rejects with `PS_CLOSED` after `close`. O(parameters). */
  async parameters(): Promise<Snapshot<Extract<keyof P, string>>> {
    if (this.#state === 'closed') throw closedError();
    return this.#runner.promise((resolve) => {
      this.#commands.change((context) => copyJob(context, (snapshot) => resolve(snapshot as never)));
    });
  }

  /**
   * Replaces all parameters by those of `snapshot`, or of the safetensors file at that path, and optimizer slots start
   * anew; or, with the slots, by those of the group's checkpoint there, and then workers' sessions end: each gets a
   * `rollback`. Sparse tables get the rows of a checkpoint of theirs; without any they stay. The version rises by 1.
   * Rejects and changes nothing if they don't fit: with `PS_INVALID_ARGUMENT`, `PS_UNKNOWN_TENSOR`, `PS_WRONG_LENGTH` or
   * `PS_NOT_FINITE`; a file also with `PS_STORAGE`, or `PS_CORRUPT` if it is damaged. It may have more tensors.
   */
  async load(snapshot: Pick<Snapshot, 'tensors'> | string): Promise<void> {
    const loaded =
      typeof snapshot === 'string'
        ? await this.#persistence.read(snapshot)
        : { values: flatValues(this.#core.state.table.catalogue, snapshot), isGroup: false };
    await this.#record((context) => loadRecord(context, loaded));
    if (loaded.isGroup) await this.#commands.forgetSessions();
  }

  /**
   * Takes a checkpoint in `dataDir`, or writes one to `path`, a safetensors file that other tools read too.
   * Holds every push that was answered before. Rejects with `PS_STORAGE` if it can't be written, `PS_CLOCK_TIMEOUT`.
   */
  async checkpoint(path?: string, at: CheckpointMoment = {}): Promise<CheckpointReport> {
    if (this.#state === 'closed') throw closedError();
    this.#requireState();
    return this.#persistence.checkpoint(path, at);
  }

  /** Changes the consistency model; pulls that wait are looked at again at once. See `docs/guides/consistency.md`. */
  async setConsistency(consistency: Consistency): Promise<void> {
    const checked = checkConsistency('consistency', consistency);
    const model = checkShardConsistency(checked, this.#options.core.shard, this.#options.tables.length > 0);
    await this.#record((context) => ({ kind: 'consistency', model, rates: context.state.table.ratesNow(1) }));
  }

  /** Changes the optimizer of all parameters that have none of their own; its slots start anew. */
  async setOptimizer(optimizer: Optimizer): Promise<void> {
    await this.#record({ kind: 'optimizer', optimizer: checkSharedOptimizer(optimizer, this.#core) });
  }

  /** Changes the learning rate of the server's optimizer, and leaves its slots as they are. */
  async setLearningRate(learningRate: LearningRate): Promise<void> {
    await this.#record({ kind: 'optimizer', learningRate: checkLearningRate('learningRate', learningRate) });
  }

  /** Every worker and reader, the slowest first. */
  workers(): WorkerInfo[] {
    return workerInfos(this.#core, monotonicNow());
  }

  /** Counts, for monitoring. */
  stats(): ServerStats {
    return statsOf(this.#core, this.#runner);
  }

  /**
   * From now on `auth` decides who may connect, and every open connection is judged by it at once: one whose right
   * is not the same is ended, and may come back with another token. Resolves to how many were. A server that was
   * made without `auth` can't be given one. Throws `PS_INVALID_ARGUMENT`.
   */
  async setAuth(auth: Auth): Promise<number> {
    return this.#entrance.setAuth(auth);
  }

  /** Asks `auth` again about every open connection, as it is done every `limits.reauthenticateMs`. As `setAuth`. */
  async reauthenticate(): Promise<number> {
    return this.#entrance.judgeAll();
  }

  /**
   * Ends the worker, and the readers, called `id`: they are out of the clock table at once and may not come back
   * (`PS_EVICTED`); a new process under the id may, if its token lets it in. Resolves to whether there was one.
   */
  async evict(id: string, reason = ''): Promise<boolean> {
    if (this.#state === 'closed') throw closedError();
    this.#requireState();
    return this.#commands.evict(id, reason);
  }

  /** Tells every worker to end its `run` after the step that it is in; also those that connect later. */
  finish(reason = 'finished'): void {
    this.#commands.command((_context, dispatcher) => dispatcher.announcements.finish(reason));
  }

  /**
   * Prepares to close without losing work: tells every worker to come back after `retryAfterMs` (default
   * 1,000) and refuses new ones, finishes the pushes that are under way, for `timeoutMs` (`limits.drainTimeoutMs`) at
   * most, ends all connections, and takes a checkpoint if there is a `dataDir`. Call `close` afterwards.
   */
  drain(options: { retryAfterMs?: number; timeoutMs?: number } = {}): Promise<void> {
    const { drainTimeoutMs } = this.#options.core.limits;
    this.#draining ??= this.#drain(options.retryAfterMs ?? 1000, options.timeoutMs ?? drainTimeoutMs);
    return this.#draining;
  }

  async #drain(retryAfterMs: number, timeoutMs: number): Promise<void> {
    if (this.#state !== 'listening') throw closedError();
    this.#commands.command((_context, dispatcher) => dispatcher.announcements.drain(retryAfterMs));
    await this.#runner.until(() => this.#core.view.isQuiet, timeoutMs);
    this.#commands.command((_context, dispatcher) => dispatcher.closeAll(drainingError(retryAfterMs)));
    if (this.#options.storage !== undefined) await this.#persistence.checkpoint(undefined);
  }

  /**
   * Ends all connections and stops listening. A server of yours that it was attached to goes on. Connections
   * that do not close within `timeoutMs` (`limits.closeTimeoutMs`) are cut off. Repeating it waits for the same end.
   */
  close(options: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? this.#options.core.limits.closeTimeoutMs);
    return this.#closing;
  }

  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#state = 'closed';
    this.#entrance.stop();
    this.tasks.close();
    await this.#opening?.catch(() => {});
    this.#place.detach();
    this.#commands.command((_context, dispatcher) =>
      dispatcher.closeAll(new PsError('PS_DRAINING', 'the server is closing')),
    );
    await this.#runner.stop(timeoutMs);
    await this.#place.close();
    try {
      await this.#persistence.close();
    } finally {
      this.#emit('close');
    }
  }

  /** What changes the state must wait until it is recovered. */
  #requireState(): void {
    if (this.#runner.failure !== undefined) throw this.#runner.failure;
    if (!this.#persistence.isAwaited) return;
    throw new PsError('PS_INVALID_ARGUMENT', 'with dataDir this can be done once listen has resolved');
  }

  /** Records a change of settings in its turn. */
  async #record(decision: Decision): Promise<void> {
    if (this.#state === 'closed') throw closedError();
    this.#requireState();
    await this.#commands.record(decision);
  }

  /** Calls the listeners. */
  #emit<K extends keyof ParameterServerEvents>(name: K, ...args: Parameters<ParameterServerEvents[K]>): void {
    guarded(() => (this.emit as (name: K, ...args: unknown[]) => boolean)(name, ...args));
  }
}
