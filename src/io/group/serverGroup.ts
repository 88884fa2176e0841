/**
 * `ServerGroup`: the shards of one model on this machine, each a server in a process of its own. This class starts
 * and asks them and puts together what they say; a worker connects to the shards themselves.
 */
import { resolve } from 'node:path';
import { EventEmitter } from 'eventemitter3';
import { invalidArgument, PsError } from '../../core/base/errors.js';
import { type Consistency, checkConsistency } from '../../core/consistency/consistency.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import { checkOptimizer, specOf } from '../../core/optim/updateRule.js';
import { keyRangeOf } from '../../core/partition/keyRange.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import { Catalogue, type TensorSpec } from '../../core/tensor/catalogue.js';
import { flatValues, type Snapshot, tensorsOf } from '../server/snapshot.js';
import type { ServerStats, WorkerInfo } from '../serverReport.js';
import { changeAll } from './changeAll.js';
import { type GroupCheckpointReport, takeCheckpoint, verifyParts } from './groupCheckpoint.js';
import { GroupEvents, type ServerGroupEvents } from './groupEvents.js';
import { type CheckedGroupOptions, checkGroupOptions, type ServerGroupOptions } from './groupOptions.js';
import { ShardChild } from './shardChild.js';
import { PIECE_ELEMENTS, type ShardCalls, type ShardStart } from './shardMessages.js';
import { ShardRevivals } from './shardRevival.js';

/** How long `close` waits for connections to end. */
const CLOSE_TIMEOUT_MS = 5_000;
/** How long a process may take to end beyond that. */
const END_TIMEOUT_MS = 5_000;

/** All tensors of a group's model. */
export interface GroupSnapshot<Name extends string = string> extends Snapshot<Name> {
  /** Of each shard; `version` is the lowest. */
  readonly versions: readonly number[];
}

/**
 * Holds a model's parameters in several servers on this machine, each with a core and memory of its own.
 *
 * Throws `PS_INVALID_ARGUMENT` for wrong options, and for options that are not plain data. Nothing happens before
 * `listen`.
 */
export class ServerGroup<P extends ParameterSpecs = ParameterSpecs> extends EventEmitter<ServerGroupEvents> {
  /** How many shards. */
  readonly count: number;
  readonly #options: CheckedGroupOptions;
  readonly #events: GroupEvents;
  readonly #revivals: ShardRevivals;
  #shards: ShardChild[] = [];
  /** How each shard is started again where it was; undefined: it keeps no state. */
  #restarts: readonly (ShardStart | undefined)[] = [];
  #urls: readonly string[] | undefined;
  /** Of the whole model. */
  #catalogue: Catalogue | undefined;
  #state: 'new' | 'listening' | 'closed' = 'new';
  #opening: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: ServerGroupOptions<P>) {
    super();
    this.#options = checkGroupOptions(options);
    this.count = this.#options.count;
    this.#revivals = new ShardRevivals({
      start: (index) => this.#start(index),
      revived: (index, shard) => {
        this.#shards[index] = shard;
        this.#emit('warning', { message: 'it was started again and listens', shard: index });
      },
      failed: (error) => this.#emit('error', error),
    });
    this.#events = new GroupEvents(this.count, (name, ...args) => this.#emit(name, ...args));
  }

  /**
   * Starts the shards' processes and lets them listen. Rejects, and leaves none behind, with what the first that can't
   * says: see `ParameterServer.listen`; `PS_ABORTED` when `signal` aborts first.
   */
  async listen(options: { signal?: AbortSignal } = {}): Promise<void> {
    if (this.#state === 'closed') throw closedError();
    if (this.#state !== 'new') throw new PsError('PS_INVALID_ARGUMENT', 'listen was called before');
    this.#state = 'listening';
    this.#opening = this.#open(options.signal);
    await this.#opening;
    this.#emit('listening', { urls: this.urls });
  }

  async #open(signal: AbortSignal | undefined): Promise<void> {
    const throwIfOver = (): void => {
      if (this.#closing !== undefined) throw closedError();
      if (signal?.aborted) throw new PsError('PS_ABORTED', 'listen was aborted', { cause: signal.reason });
    };
    try {
      throwIfOver();
      this.#shards = this.#options.starts.map((_, index) => this.#start(index));
      const { starts } = this.#options;
      const models = await Promise.all(
        this.#shards.map((shard, i) => shard.call('start', [starts[i] as ShardStart])),
      );
      this.#catalogue = new Catalogue(models[0] as TensorSpec[]);
      throwIfOver();
      const addresses = await this.#ask('listen');
      throwIfOver();
      this.#urls = addresses.map(({ url }) => url);
      this.#restarts = addresses.map(({ url, keepsState }, i) =>
        keepsState ? startAt(url, starts[i] as ShardStart) : undefined,
      );
    } catch (error) {
      await this.#end(0);
      if (this.#state === 'listening') this.#state = 'new';
      throw error;
    }
  }

  #start(index: number): ShardChild {
    return new ShardChild(index, {
      event: (name, args) => this.#events.take(index, name, args),
      died: (error) => {
        this.#emit('error', error);
        const again = this.#restarts[index];
        if (again !== undefined) this.#revivals.begin(again);
      },
    });
  }

  /** Where workers connect, in the order of shards. Throws `PS_INVALID_ARGUMENT` before it listens. */
  get urls(): readonly string[] {
    if (this.#urls === undefined)
      throw invalidArgument('urls', undefined, 'asked for once the group listens');
    return this.#urls;
  }

  /** A copy of all parameters, of each shard at one version. Rejects with `PS_CLOSED` after `close`. */
  async parameters(): Promise<GroupSnapshot<Extract<keyof P, string>>> {
    this.#mustListen();
    const catalogue = this.#catalogue as Catalogue;
    const values = new Float32Array(catalogue.length);
    const answers = await Promise.all(
      this.#shards.map((shard, index) => {
        const { begin } = keyRangeOf(catalogue.length, { index, count: this.count });
        return shard.call('parameters', [], (offset, piece) => values.set(piece, begin + offset));
      }),
    );
    const versions = answers.map(({ version }) => version);
    const tensors = tensorsOf(catalogue, values);
    return { version: Math.min(...versions), versions, tensors } as never;
  }

  /**
   * Replaces all parameters by those of `snapshot`, or of the group's checkpoint (of whatever number of shards) or the
   * safetensors file at that path; optimizer slots start anew and every shard's version rises by 1. Rejects if they
   * don't fit, as `ParameterServer.load` does; a group's checkpoint is verified before any shard changes. If only some
   * shards refuse all the same, the message names them.
   */
  async load(snapshot: Pick<Snapshot, 'tensors'> | string): Promise<void> {
    this.#mustListen();
    if (typeof snapshot === 'string') {
      const path = resolve(snapshot);
      await verifyParts(path);
      await changeAll(this.#shards, (shard) => shard.call('loadFrom', [path]));
      return;
    }
    const catalogue = this.#catalogue as Catalogue;
    const values = flatValues(catalogue, snapshot);
    await changeAll(this.#shards, (shard, index) => {
      const { begin, end } = keyRangeOf(catalogue.length, { index, count: this.count });
      return shard.call('load', [], undefined, piecesOf(values.subarray(begin, end)));
    });
  }

  /**
   * Takes a checkpoint of the whole model while training goes on: a directory at `path` with a file of each shard and a
   * manifest, or, without `path`, one in the `dataDir` of each shard. Every shard takes its part when its minClock first
   * reaches a clock that all agree on, or nobody trains; so the parts hold all updates of the clocks before. Rejects, and
   * leaves an earlier checkpoint at `path` whole, with `PS_CLOCK_TIMEOUT` (`timeoutMs`, 60,000) or `PS_STORAGE`.
   */
  async checkpoint(
    path?: string,
    options: { readonly timeoutMs?: number } = {},
  ): Promise<GroupCheckpointReport> {
    this.#mustListen();
    return takeCheckpoint(this.#shards, path, options.timeoutMs);
  }

  /** Changes the consistency model of all shards. `bsp` with backup workers is refused. */
  async setConsistency(consistency: Consistency): Promise<void> {
    const model = checkConsistency('consistency', consistency);
    await this.#change((shard) => shard.call('setConsistency', [model]));
  }

  /** Changes the optimizer of all parameters that have none of their own, to a built-in one; its slots start anew. */
  async setOptimizer(optimizer: Optimizer): Promise<void> {
    const spec = specOf(checkOptimizer('optimizer', optimizer));
    await this.#change((shard) => shard.call('setOptimizer', [spec]));
  }

  /** Changes the learning rate of the shards' optimizer, to a number; its slots stay. */
  async setLearningRate(learningRate: number): Promise<void> {
    if (typeof learningRate !== 'number') {
      throw invalidArgument('learningRate', learningRate, 'a number (it is handed to other processes)');
    }
    await this.#change((shard) => shard.call('setLearningRate', [learningRate]));
  }

  /** Every worker and reader of each shard, in the order of shards. */
  async workers(): Promise<readonly (readonly WorkerInfo[])[]> {
    return this.#ask('workers');
  }

  /** Counts of each shard, in the order of shards. */
  async stats(): Promise<readonly ServerStats[]> {
    return this.#ask('stats');
  }

  /** Tells every worker to end its `run` after the step that it is in; also those that connect later. */
  async finish(reason?: string): Promise<void> {
    await this.#ask('finish', reason);
  }

  /** Prepares all shards to close without losing work; see `ParameterServer.drain`. */
  async drain(options: { retryAfterMs?: number; timeoutMs?: number } = {}): Promise<void> {
    await this.#ask('drain', options);
  }

  /** Closes all shards and ends their processes. Repeating it waits for the same end. */
  close(options: { timeoutMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(options.timeoutMs ?? CLOSE_TIMEOUT_MS);
    return this.#closing;
  }

  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#state = 'closed';
    await this.#opening?.catch(() => {});
    await this.#end(timeoutMs);
    this.#emit('close');
  }

  async #end(timeoutMs: number): Promise<void> {
    await this.#revivals.end();
    const shards = this.#shards;
    this.#shards = [];
    await Promise.all(shards.map((shard) => shard.end({ timeoutMs }, timeoutMs + END_TIMEOUT_MS)));
  }

  /** Asks every shard the same; the answers stand in the order of shards. */
  async #ask<Name extends keyof ShardCalls>(
    name: Name,
    ...args: Parameters<ShardCalls[Name]>
  ): Promise<ReturnType<ShardCalls[Name]>[]> {
    this.#mustListen();
    return Promise.all(this.#shards.map((shard) => shard.call(name, args)));
  }

  async #change(change: (shard: ShardChild) => Promise<unknown>): Promise<void> {
    this.#mustListen();
    await changeAll(this.#shards, change);
  }

  #mustListen(): void {
    if (this.#state === 'closed') throw closedError();
    if (this.#shards.length === 0) throw new PsError('PS_INVALID_ARGUMENT', 'the group must listen first');
  }

  /** Calls the listeners. If one throws, that is the user's bug: it surfaces as such, and harms nothing here. */
  #emit<Name extends keyof ServerGroupEvents>(
    name: Name,
    ...args: Parameters<ServerGroupEvents[Name]>
  ): void {
    try {
      (this.emit as (name: Name, ...args: unknown[]) => boolean)(name, ...args);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/** `values` as pieces for the channel. */
function* piecesOf(values: Float32Array): Generator<{ offset: number; values: Float32Array }> {
  for (let offset = 0; offset < values.length; offset += PIECE_ELEMENTS) {
    yield { offset, values: values.slice(offset, offset + PIECE_ELEMENTS) };
  }
}

/** `start`, at the port of `url`. */
function startAt(url: string, start: ShardStart): ShardStart {
  const { port } = new URL(url.replace(/^ws/, 'http'));
  return { ...start, options: { ...start.options, port: Number(port) } };
}

function closedError(): PsError {
  return new PsError('PS_CLOSED', 'the group is closed');
}
