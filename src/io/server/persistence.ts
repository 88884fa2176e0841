/**
 * The durable side of a `ParameterServer`, as promises: a `Storage` on this machine's disk if it has a
 * `dataDir`, and checkpoint files at any path.
 */
import { randomBytes } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { invalidArgument, PsError } from '../../core/base/errors.js';
import { integer } from '../../core/base/optionObject.js';
import { bytesOf } from '../../core/protocol/modelStream.js';
import type { Observation } from '../../core/server/events.js';
import type { Settings } from '../../core/server/records.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import { captureJob, type StateImage } from '../../core/server/stateImage.js';
import { sizesFor } from '../../core/server/stateOfOptimizers.js';
import type { CheckpointInfo } from '../storage/checkpointFormat.js';
import { exportCheckpoint } from '../storage/checkpointStore.js';
import type { CheckpointReport } from '../storage/checkpointTurns.js';
import type { Disk } from '../storage/disk.js';
import { readHeld } from '../storage/groupManifest.js';
import { readRows } from '../storage/loadedRows.js';
import { BEST_NAME } from '../storage/names.js';
import { NodeDisk } from '../storage/nodeDisk.js';
import { Storage } from '../storage/storage.js';
import { asStorageError } from '../storage/storageError.js';
import { runTask, type Task } from '../storage/task.js';
import { thisLife } from '../storage/thisLife.js';
import { monotonicNow } from '../time.js';
import type { CoreRunner } from './coreRunner.js';
import type { LoadedModel } from './snapshot.js';
import type { CheckedStorage } from './storageOptions.js';

/** When a checkpoint is taken. */
export interface CheckpointMoment {
  /** When minClock has reached this, or nobody trains. Default 0: at once. */
  readonly atClock?: number;
  /** How long to wait for that. Default 60,000. */
  readonly timeoutMs?: number;
}

/** What a persistence works with. */
export interface PersistenceParts {
  readonly core: ServerCore;
  readonly runner: CoreRunner;
  /** Undefined: no `dataDir`. */
  readonly storage: CheckedStorage | undefined;
  readonly shard: { readonly index: number; readonly count: number };
  readonly onObservation: (observation: Observation) => void;
}

/** Keeps and restores the state of one server. */
export class Persistence {
  readonly #parts: PersistenceParts;
  readonly #disk: Disk = new NodeDisk();
  /** What the options say. */
  readonly #settings: Settings;
  #storage: Storage | undefined;
  /** The core holds what was read, or some of it: it can't be read into it again. */
  #hasBegun = false;

  constructor(parts: PersistenceParts) {
    this.#parts = parts;
    this.#settings = parts.core.state.configured;
  }

  /** Whether the state is to be recovered and nothing may happen before. */
  get isAwaited(): boolean {
    return this.#parts.storage !== undefined && this.#storage === undefined;
  }

  /** Recovers the state. Rejects with `PS_DATA_DIR_IN_USE`, `PS_STORAGE`, `PS_CORRUPT`, `PS_VERSION`, `PS_INVALID_ARGUMENT`. */
  async open(): Promise<void> {
    const { core, runner, storage: options, shard, onObservation } = this.#parts;
    if (options === undefined) return;
    if (this.#hasBegun) {
      const text = 'listen has failed after it had begun to recover the state: make a new ParameterServer';
      throw new PsError('PS_INVALID_ARGUMENT', text);
    }
    const newSalt = (): number => randomBytes(4).readUInt32LE();
    const { directory, durability, checkpoint } = options;
    const [settings, { lineage }] = [this.#settings, core];
    const storage = new Storage(
      {
        ...{ disk: this.#disk, directory, durability, checkpoint, shard, settings, lineage, newSalt },
        self: thisLife(),
      },
      {
        run: (action) => runner.run(action),
        now: monotonicNow,
        after: (ms, action) => void setTimeout(action, ms),
        onCheckpoint: (report) => onObservation({ kind: 'checkpoint', ...report }),
        onWarning: (message) => onObservation({ kind: 'warning', message }),
        onError: (error) => onObservation({ kind: 'error', error }),
      },
    );
    runner.records = storage;
    try {
      await promised<void>((done) => storage.open(core, done));
    } catch (error) {
      runner.records = undefined;
      this.#hasBegun = !(error instanceof PsError && error.code === 'PS_DATA_DIR_IN_USE');
      throw error;
    }
    this.#hasBegun = true;
    this.#storage = storage;
  }

  /** A checkpoint in `dataDir`, or at `path`, at once or when minClock has risen. */
  async checkpoint(path: string | undefined, at: CheckpointMoment = {}): Promise<CheckpointReport> {
    await this.#reach(at);
    if (path !== undefined) return this.#export(path);
    const storage = this.#storage;
    if (storage === undefined)
      throw invalidArgument('path', path, 'the path of a file, as there is no dataDir');
    return promised<CheckpointReport>((done) => storage.checkpoint(done));
  }

  async #reach({ atClock = 0, timeoutMs = 60_000 }: CheckpointMoment): Promise<void> {
    integer('atClock', atClock, 0);
    const { core, runner } = this.#parts;
    const { clocks } = core.state;
    const isReached = await runner.until(() => clocks.minClock >= atClock || clocks.size === 0, timeoutMs);
    if (isReached) return;
    const text = `minClock is ${clocks.minClock} and has not reached ${atClock} within ${timeoutMs} ms`;
    throw new PsError('PS_CLOCK_TIMEOUT', text);
  }

  /** Writes the present state beside the checkpoints, as the best; undefined without a `dataDir`. */
  async keepBest(): Promise<string | undefined> {
    const { storage } = this.#parts;
    if (storage === undefined) return undefined;
    const { path } = await this.#export(`${storage.directory}/${BEST_NAME}`);
    return path;
  }

  /** The parameters in the safetensors file, or the group's checkpoint, at `path`: what is held of them. */
  async read(path: string): Promise<LoadedModel> {
    return promised<LoadedModel>((done) => {
      runTask(this.#readAll(resolve(path)), (error, loaded) =>
        done(error === null ? null : asStorageError(error, `"${path}" can't be read`), loaded),
      );
    });
  }

  *#readAll(path: string): Task<LoadedModel> {
    const { core, shard } = this.#parts;
    const { table } = core.state;
    const { catalogue } = table;
    const tables = core.state.tables.tables.map(({ spec }) => spec);
    const held = yield* readHeld(this.#disk, path, catalogue, shard, (meta) => sizesFor(table, meta));
    const found = yield* readRows(this.#disk, path, { catalogue, tables, shard });
    if (found === undefined) return held;
    return { ...held, values: joined([held.values, ...found.parts]), rows: found.rows };
  }

  /** Writes what is left and gives the directory back. Rejects with what ended the journal before. */
  async close(): Promise<void> {
    const storage = this.#storage;
    if (storage === undefined) return;
    this.#storage = undefined;
    await promised<void>((done) => storage.close(done));
    this.#parts.runner.records = undefined;
  }

  async #export(to: string): Promise<CheckpointReport> {
    if (typeof to !== 'string' || to === '') throw invalidArgument('path', to, 'the path of a file');
    const { core, runner, shard } = this.#parts;
    const { info, image } = await runner.promise<{ info: CheckpointInfo; image: StateImage }>((done) => {
      const change: Parameters<ServerCore['change']>[0] = ({ state, commits, options }) => {
        const position = commits.last;
        return captureJob(
          state,
          (length) => new Float32Array(length),
          (captured) => {
            const { meta, isFinite: finite } = captured;
            done({
              info: { lineage: options.lineage, position, shard, meta, isFinite: finite },
              image: captured,
            });
          },
        );
      };
      runner.run((each) => each.change(change, monotonicNow()));
    });
    const path = resolve(to);
    const task = exportCheckpoint(this.#disk, { directory: dirname(path), path }, core.state, info, image);
    const bytes = await promised<number>((done) => {
      runTask(task, (error, written) =>
        done(error === null ? null : asStorageError(error, `"${path}" can't be written`), written),
      );
    });
    return { path, bytes, version: image.meta.version };
  }
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    // As bits: ids of rows are among them.
    bytesOf(all).set(bytesOf(part), at * 4);
    at += part.length;
  }
  return all;
}

function promised<T>(begin: (done: (error: PsError | null, value?: T) => void) => void): Promise<T> {
  return new Promise((fulfil, reject) => {
    begin((error, value) => (error === null ? fulfil(value as T) : reject(error)));
  });
}
