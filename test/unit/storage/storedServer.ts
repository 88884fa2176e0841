/**
 * A server core with its storage on a disk in memory, and workers that are driven by hand: everything
 * happens when the test says so, in one thread. It is the shell without sockets and timers.
 */
import type { PsError } from '../../../src/core/base/errors.js';
import { type Consistency, ssp } from '../../../src/core/consistency/consistency.js';
import { checkDelayOptions } from '../../../src/core/consistency/delayPolicy.js';
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import type { Optimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import {
  type Message,
  MessageType,
  PROTOCOL_VERSION,
  type Push,
  type PushResult,
  type WorkerMessage,
} from '../../../src/core/protocol/messages.js';
import { floatsOf } from '../../../src/core/protocol/modelStream.js';
import type { Welcome } from '../../../src/core/protocol/sessionMessages.js';
import type { Observation, ServerEffect } from '../../../src/core/server/events.js';
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from '../../../src/core/server/limits.js';
import type { JournalRecord } from '../../../src/core/server/records.js';
import { ServerCore } from '../../../src/core/server/serverCore.js';
import type { ServerState } from '../../../src/core/server/state.js';
import { DenseTable } from '../../../src/core/table/denseTable.js';
import { JobThen } from '../../../src/core/table/job.js';
import { modelOf, type ParameterSpecs } from '../../../src/core/table/model.js';
import { checkTables, makeTables, type SparseTableSpecs } from '../../../src/core/table/tableSpecs.js';
import type { CheckpointReport } from '../../../src/io/storage/checkpointTurns.js';
import type { Self } from '../../../src/io/storage/ownerFile.js';
import { Storage } from '../../../src/io/storage/storage.js';
import type { CheckpointSchedule, StorageOptions } from '../../../src/io/storage/storageParts.js';
import type { MemoryDisk } from './memoryDisk.js';

/** What a stored server is made of; the default is `w` of 4 zeros, `sgd` with rate 1, SSP(3), a journal. */
export interface StoredServerOptions {
  readonly parameters?: ParameterSpecs;
  readonly tables?: SparseTableSpecs;
  readonly optimizer?: Optimizer;
  readonly consistency?: Consistency;
  readonly durability?: StorageOptions['durability'];
  readonly checkpoint?: Partial<CheckpointSchedule>;
  readonly limits?: Partial<ServerLimits>;
  readonly shard?: { readonly index: number; readonly count: number };
  readonly seed?: number;
  /** Default: a life on the same machine as the others. */
  readonly self?: Self;
}

/** A life's number for each storage that is made. */
let lives = 0;

/** The data directory of every stored server. */
export const DIRECTORY = 'data';

/** A worker that does what it is told. */
export interface StoredWorker {
  readonly connection: number;
  readonly id: string;
  seq: number;
  clock: number;
  isOpen: boolean;
  welcome: Welcome | undefined;
  /** Answers to pushes, in order. */
  readonly results: PushResult[];
  /** Everything else that was sent to it. */
  readonly others: Message[];
  /** What the answers to its pulls brought, one behind the other. */
  readonly pulled: number[];
}

/** A core, its storage and what they said. */
export class StoredServer {
  readonly core: ServerCore;
  readonly storage: Storage;
  readonly disk: MemoryDisk;
  readonly observations: Observation[] = [];
  readonly checkpoints: CheckpointReport[] = [];
  readonly warnings: string[] = [];
  readonly errors: PsError[] = [];
  /** Records in the order in which they were handed on. */
  readonly records: JournalRecord[] = [];
  /** Called when a push is answered. */
  onResult: (worker: StoredWorker, result: PushResult) => void = () => {};
  now = 1000;
  readonly #workers = new Map<number, StoredWorker>();
  readonly #queue: (() => readonly ServerEffect[])[] = [];
  #isRunning = false;
  #continues = 0;

  constructor(disk: MemoryDisk, options: StoredServerOptions = {}) {
    this.disk = disk;
    const { shard = { index: 0, count: 1 }, durability = 'journal' } = options;
    this.core = coreOf(options, shard, durability !== 'checkpoint');
    const schedule = {
      intervalMs: Number.POSITIVE_INFINITY,
      journalBytes: Number.POSITIVE_INFINITY,
      keep: 3,
    };
    let salts = 0x1234;
    this.storage = new Storage(
      {
        disk,
        directory: DIRECTORY,
        durability,
        checkpoint: { ...schedule, ...options.checkpoint },
        shard,
        settings: this.core.state.configured,
        lineage: `lineage-${options.seed ?? 0}`,
        newSalt: () => salts++,
        self: options.self ?? { token: (++lives).toString(16), host: 'here', boot: 'boot', pid: 1 },
      },
      {
        run: (action) => this.run(action),
        now: () => this.now,
        after: (ms, action) => {
          this.now += ms;
          disk.later(action);
        },
        onCheckpoint: (report) => this.checkpoints.push(report),
        onWarning: (message) => this.warnings.push(message),
        onError: (error) => this.errors.push(error),
      },
    );
  }

  /** A server that is open, or the error that kept it from opening. */
  static open(disk: MemoryDisk, options: StoredServerOptions = {}): StoredServer {
    const server = new StoredServer(disk, options);
    const error = server.open();
    if (error !== null) throw error;
    return server;
  }

  get state(): ServerState {
    return this.core.state;
  }

  get values(): number[] {
    return [...this.state.table.versions.current];
  }

  /** Recovers; runs until the disk is idle. */
  open(): PsError | null {
    let ended: PsError | null | undefined;
    this.storage.open(this.core, (error) => {
      ended = error;
    });
    this.settle();
    if (ended === undefined) throw new Error('opening did not end');
    return ended;
  }

  close(): PsError | null {
    let ended: PsError | null | undefined;
    this.storage.close((error) => {
      ended = error;
    });
    this.settle();
    if (ended === undefined) throw new Error('closing did not end');
    return ended;
  }

  /** Takes a checkpoint and runs until it is there. */
  checkpoint(): PsError | null {
    let ended: PsError | null | undefined;
    this.storage.checkpoint((error) => {
      ended = error;
    });
    this.settle();
    if (ended === undefined) throw new Error('the checkpoint did not end');
    return ended;
  }

  /** Runs everything that the disk and the core still have to do. */
  settle(): void {
    while (this.proceed());
  }

  /** What the core still has to do, and one answer of the disk; false if there was none. */
  proceed(): boolean {
    for (; this.#continues > 0; this.#continues--) {
      this.run((core) => core.step({ kind: 'continue', now: this.now }));
    }
    return this.disk.step();
  }

  tick(ms: number): void {
    this.now += ms;
    this.run((core) => core.step({ kind: 'tick', now: this.now }));
    this.storage.onTick(this.now);
  }

  /** Connects and says hello; the Welcome comes when the disk has worked. */
  join(id: string, key = id, lineage?: string, readOnly = false): StoredWorker {
    const connection = this.#workers.size + 1;
    const worker: StoredWorker = {
      connection,
      id,
      seq: 0,
      clock: 0,
      isOpen: true,
      welcome: undefined,
      results: [],
      others: [],
      pulled: [],
    };
    this.#workers.set(connection, worker);
    this.run((core) =>
      core.step({ kind: 'connected', connection, principal: { role: 'worker' }, now: this.now }),
    );
    this.send(worker, {
      t: MessageType.hello,
      protocol: PROTOCOL_VERSION,
      worker: id,
      session: key,
      readOnly,
      ...(lineage === undefined ? {} : { lineage }),
    });
    return worker;
  }

  /** A push of the whole model in one chunk, next in the sequence unless told otherwise. */
  push(worker: StoredWorker, values: readonly number[], details: Partial<Push> = {}): void {
    const seq = details.seq ?? worker.seq + 1;
    worker.seq = Math.max(worker.seq, seq);
    const payload = new Uint8Array(Float32Array.from(values).buffer);
    const message: Push = {
      t: MessageType.push,
      clock: worker.clock,
      bytes: payload.length,
      ...details,
      seq,
    };
    this.send(worker, message, payload);
  }

  /** A push that ticks. */
  step(worker: StoredWorker, values: readonly number[], details: Partial<Push> = {}): void {
    this.push(worker, values, { tick: worker.clock + 1, ...details });
    worker.clock++;
  }

  send(worker: StoredWorker, message: WorkerMessage, payload: Uint8Array = new Uint8Array(0)): void {
    const { connection } = worker;
    this.run((core) => core.step({ kind: 'message', connection, message, payload, now: this.now }));
  }

  /** Its socket is lost. */
  drop(worker: StoredWorker): void {
    worker.isOpen = false;
    const { connection } = worker;
    this.run((core) => core.step({ kind: 'closed', connection, now: this.now }));
  }

  /** A change of settings. Returns whether it is committed, or lost. */
  record(record: JournalRecord): { committed: boolean; lost: boolean } {
    const progress = { committed: false, lost: false };
    this.run((core) =>
      core.change(({ state, commits, now }) => {
        return new JobThen(state.apply(record, now), () => {
          commits.whenCommitted(
            commits.append(record),
            () => {
              progress.committed = true;
            },
            () => {
              progress.lost = true;
            },
          );
        });
      }, this.now),
    );
    return progress;
  }

  run(action: (core: ServerCore) => readonly ServerEffect[]): void {
    this.#queue.push(() => action(this.core));
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      for (const effect of next()) this.#carryOut(effect);
    }
    this.#isRunning = false;
    this.storage.flush();
  }

  #carryOut(effect: ServerEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#receive(this.#workers.get(effect.connection) as StoredWorker, effect.message);
        break;
      case 'close': {
        const worker = this.#workers.get(effect.connection) as StoredWorker;
        if (worker.isOpen) this.drop(worker);
        break;
      }
      case 'stream': {
        const { stream } = effect;
        const worker = this.#workers.get(effect.connection) as StoredWorker;
        for (let part = stream.next(); part !== undefined; part = stream.next()) {
          worker.others.push(part.message);
          worker.pulled.push(...floatsOf((part.payload ?? new Uint8Array(0)).slice()));
        }
        this.run((core) => core.step({ kind: 'streamEnded', stream: stream.id, now: this.now }));
        break;
      }
      case 'continue':
        this.#continues++;
        break;
      case 'observe':
        this.observations.push(effect.observation);
        break;
      case 'persist':
        this.records.push(effect.record);
        this.storage.append(effect.number, effect.record);
        break;
    }
  }

  #receive(worker: StoredWorker, message: Message): void {
    if (!worker.isOpen) return;
    if (message.t === MessageType.welcome) {
      worker.welcome = message;
      worker.seq = Math.max(worker.seq, message.committedSeq);
      worker.clock = Math.max(worker.clock, message.clock);
    } else if (message.t === MessageType.pushResult) {
      worker.results.push(message);
      this.onResult(worker, message);
    } else {
      worker.others.push(message);
    }
  }
}

function coreOf(
  options: StoredServerOptions,
  shard: { index: number; count: number },
  isDurable: boolean,
): ServerCore {
  const model = modelOf(options.parameters ?? { w: { shape: [4] } }, options.seed ?? 0);
  const allocate = (length: number): Float32Array => new Float32Array(length);
  const values = allocate(model.catalogue.length);
  model.initialise(values);
  const limits = { ...DEFAULT_SERVER_LIMITS, ...options.limits };
  const optimizer = options.optimizer ?? sgd({ learningRate: 1 });
  const table = new DenseTable({
    catalogue: model.catalogue,
    values,
    optimizer,
    ownOptimizers: model.ownOptimizers,
    pinnedVersions: limits.pinnedVersions,
    kernels: referenceKernels,
    allocate,
  });
  return new ServerCore({
    options: {
      incarnation: 'incarnation',
      lineage: `lineage-${options.seed ?? 0}`,
      shard,
      minWorkers: 1,
      delay: checkDelayOptions({}),
      clip: { value: Number.POSITIVE_INFINITY, norm: Number.POSITIVE_INFINITY },
      nonFinite: 'reject',
      maxPushNorm: Number.POSITIVE_INFINITY,
      isDurable,
      limits,
    },
    table,
    tables: makeTables(table, checkTables(options.tables, new Set(), optimizer), {
      kernels: referenceKernels,
      seed: options.seed ?? 0,
      allocate,
    }),
    consistency: options.consistency ?? ssp({ staleness: 3 }),
    allocate,
  });
}
