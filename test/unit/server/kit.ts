/**
 * A server core under test: several fake workers, a clock that only the test moves, and what everyone
 * was told, as lines that read like a transcript. All messages cross as frames of the true codec. The
 * kit decides nothing; it carries effects out as the shell does, in order, after each step.
 */
import { PsError } from '../../../src/core/base/errors.js';
import { type Consistency, ssp } from '../../../src/core/consistency/consistency.js';
import { checkDelayOptions, type DelayOptions } from '../../../src/core/consistency/delayPolicy.js';
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import type { Optimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { decodeFrame, encodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType, type WorkerMessage } from '../../../src/core/protocol/messages.js';
import type { CoreContext, ServerCoreOptions } from '../../../src/core/server/context.js';
import type { Dispatcher } from '../../../src/core/server/dispatcher.js';
import type { Observation, Principal, ServerEffect, ServerEvent } from '../../../src/core/server/events.js';
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from '../../../src/core/server/limits.js';
import type { JournalRecord } from '../../../src/core/server/records.js';
import { ServerCore } from '../../../src/core/server/serverCore.js';
import { DenseTable } from '../../../src/core/table/denseTable.js';
import { type Job, JobThen } from '../../../src/core/table/job.js';
import { modelOf, type ParameterSpecs } from '../../../src/core/table/model.js';
import { checkTables, makeTables, type SparseTableSpecs } from '../../../src/core/table/tableSpecs.js';
import { FakeWorker, type FakeWorkerOptions } from './fakeWorker.js';

/** What a test server is made of; the default is one tensor `w` of 4 zeros, `sgd` with rate 1, SSP(3). */
export interface TestServerOptions {
  readonly parameters?: ParameterSpecs;
  readonly tables?: SparseTableSpecs;
  readonly optimizer?: Optimizer;
  readonly consistency?: Consistency;
  readonly minWorkers?: number;
  readonly delay?: DelayOptions;
  readonly clip?: { readonly value?: number; readonly norm?: number };
  readonly nonFinite?: 'reject' | 'zero' | 'allow';
  readonly maxPushNorm?: number;
  readonly isDurable?: boolean;
  readonly limits?: Partial<ServerLimits>;
  /** Default: it stands still. */
  readonly stopwatch?: () => number;
  /** Is given each record when it is handed on; its gradient is valid during the call. */
  readonly journal?: (record: JournalRecord) => void;
}

/** The lineage of every test server. */
export const LINEAGE = 'lineage';
/** The incarnation of every test server. */
export const INCARNATION = 'incarnation';

/** A server core and its surroundings. */
export class TestServer {
  readonly core: ServerCore;
  readonly observations: Observation[] = [];
  /** Records that wait for `persist`. */
  readonly records: { readonly number: number; readonly record: JournalRecord }[] = [];
  now = 1000;
  /** Payloads are written where the core wants them, as the stream transport does. */
  isPlacing = false;
  /** False: `continue` effects wait for `proceed`. */
  isContinuing = true;
  readonly #journal: TestServerOptions['journal'];
  readonly #workers = new Map<number, FakeWorker>();
  readonly #queue: (() => readonly ServerEffect[])[] = [];
  #isRunning = false;
  #connections = 0;
  #pendingContinues = 0;

  constructor(options: TestServerOptions = {}) {
    this.core = newCore(options);
    this.#journal = options.journal;
  }

  /** A worker that is connected and welcome. */
  worker(id: string, options: FakeWorkerOptions = {}): FakeWorker {
    const worker = this.stranger(id, options);
    worker.hello();
    worker.lines();
    return worker;
  }

  /** A reader that is connected and welcome. */
  reader(id: string): FakeWorker {
    return this.worker(id, { readOnly: true });
  }

  /** A worker that is connected and has said nothing. */
  stranger(id: string, options: FakeWorkerOptions = {}): FakeWorker {
    const worker = new FakeWorker(this, id, options);
    worker.connect();
    return worker;
  }

  /** Opens a connection for `worker`; returns its number. */
  open(worker: FakeWorker, principal: Principal): number {
    this.#connections++;
    this.#workers.set(this.#connections, worker);
    this.step({ kind: 'connected', connection: this.#connections, principal, now: this.now });
    return this.#connections;
  }

  /** Hands a frame to the core as the shell does. */
  receive(connection: number, frame: Uint8Array): void {
    let event: ServerEvent;
    try {
      const decoded = decodeFrame(frame);
      if (decoded.message.t >= MessageType.welcome) throw new PsError('PS_PROTOCOL', 'a message of servers');
      const message = decoded.message as WorkerMessage;
      const payload = this.#placed(connection, message, decoded.payload);
      event = { kind: 'message', connection, message, payload, now: this.now };
    } catch (error) {
      event = { kind: 'malformed', connection, error: error as PsError, now: this.now };
    }
    this.step(event);
  }

  /** Gives the core an event and carries out what comes of it. */
  step(event: ServerEvent): void {
    this.#run(() => this.core.step(event));
  }

  /** Time passes, and a tick comes. */
  tick(ms = 0): void {
    this.now += ms;
    this.step({ kind: 'tick', now: this.now });
  }

  /** Time passes in ticks of at most `stepMs`, so that it is no pause of the server. */
  wait(ms: number, stepMs = 1000): void {
    for (let left = ms; left > 0; left -= stepMs) this.tick(Math.min(stepMs, left));
  }

  /** The turn after a `continue` effect; false if none was asked for. */
  proceed(): boolean {
    if (this.#pendingContinues === 0) return false;
    this.#pendingContinues--;
    this.step({ kind: 'continue', now: this.now });
    return true;
  }

  /** Every record up to `upTo` (default all) is durable. */
  persist(upTo: number = this.records.at(-1)?.number ?? 0): void {
    while (this.records[0] !== undefined && this.records[0].number <= upTo) this.records.shift();
    this.step({ kind: 'persisted', upTo, now: this.now });
  }

  /** A change of settings, as `ParameterServer` makes it. Returns whether it is carried out. */
  record(record: JournalRecord | ((context: CoreContext) => JournalRecord)): { isDone: boolean } {
    const progress = { isDone: false };
    this.change((context) => {
      const decided = typeof record === 'function' ? record(context) : record;
      return new JobThen(context.state.apply(decided, context.now), () => {
        context.commits.append(decided);
        context.isDirty = true;
        progress.isDone = true;
      });
    });
    return progress;
  }

  /** Changes the consistency model. */
  setConsistency(model: Consistency): { isDone: boolean } {
    return this.record((context) => ({
      kind: 'consistency',
      model,
      rates: context.state.table.ratesNow(1),
    }));
  }

  change(change: (context: CoreContext) => Job | undefined): void {
    this.#run(() => this.core.change(change, this.now));
  }

  command(action: (context: CoreContext, dispatcher: Dispatcher) => void): void {
    this.#run(() => this.core.command(action, this.now));
  }

  /** The bytes of a stream are copied, or never will be. */
  endStream(stream: number): void {
    this.step({ kind: 'streamEnded', stream, now: this.now });
  }

  /** The parameters now. */
  get values(): number[] {
    return [...this.core.state.table.versions.current];
  }

  get version(): number {
    return this.core.state.version;
  }

  get minClock(): number {
    return this.core.state.clocks.minClock;
  }

  /** The clock table as text, by id: `a@1 b@0`. */
  get table(): string {
    const entries = [...this.core.state.clocks.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([id, clock]) => `${id}@${clock}`).join(' ');
  }

  /** The observations of one kind since the last call. */
  seen<K extends Observation['kind']>(kind: K): Extract<Observation, { kind: K }>[] {
    const found = this.observations.filter((each) => each.kind === kind);
    this.observations.splice(
      0,
      this.observations.length,
      ...this.observations.filter((each) => each.kind !== kind),
    );
    return found as Extract<Observation, { kind: K }>[];
  }

  #placed(connection: number, message: WorkerMessage, payload: Uint8Array): Uint8Array {
    if (!this.isPlacing || payload.length === 0) return payload;
    const place = this.core.placeOf(connection, message, payload.length);
    if (place === undefined) return payload.slice();
    // In two reads.
    const cut = payload.length >> 1;
    place.bytes.set(payload.subarray(0, cut));
    place.onFilled?.(cut);
    place.bytes.set(payload.subarray(cut), cut);
    return place.bytes;
  }

  /** One event after the other: what effects bring about waits until they are all carried out. */
  #run(event: () => readonly ServerEffect[]): void {
    this.#queue.push(event);
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        this.#carryOut(next());
      }
    } finally {
      this.#isRunning = false;
    }
    while (this.isContinuing && this.proceed());
  }

  #carryOut(effects: readonly ServerEffect[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send':
          this.#workers.get(effect.connection)?.receive(encodeFrame(effect.message, effect.payload));
          break;
        case 'stream':
          (this.#workers.get(effect.connection) as FakeWorker).stream(effect.stream);
          break;
        case 'close':
          this.#workers.get(effect.connection)?.end(effect.connection, effect.code);
          break;
        case 'pause':
          this.#workers.get(effect.connection)?.pause(effect.connection);
          break;
        case 'resume':
          this.#workers.get(effect.connection)?.resume(effect.connection);
          break;
        case 'continue':
          this.#pendingContinues++;
          break;
        case 'observe':
          this.observations.push(effect.observation);
          break;
        case 'persist':
          this.records.push(effect);
          this.#journal?.(effect.record);
          break;
      }
    }
  }
}

/** A core that has handled no event. */
export function newCore(options: TestServerOptions): ServerCore {
  const model = modelOf(options.parameters ?? { w: { shape: [4] } }, 0);
  const allocate = (length: number): Float32Array => new Float32Array(length);
  const values = allocate(model.catalogue.length);
  model.initialise(values);
  const limits = { ...DEFAULT_SERVER_LIMITS, ...options.limits };
  const table = new DenseTable({
    catalogue: model.catalogue,
    values,
    optimizer: options.optimizer ?? sgd({ learningRate: 1 }),
    ownOptimizers: model.ownOptimizers,
    pinnedVersions: limits.pinnedVersions,
    kernels: referenceKernels,
    allocate,
  });
  const names = new Set(Object.keys(options.parameters ?? {}));
  const checked = checkTables(options.tables, names, table.groups[0]?.optimizer as Optimizer);
  const coreOptions: ServerCoreOptions = {
    incarnation: INCARNATION,
    lineage: LINEAGE,
    shard: { index: 0, count: 1 },
    minWorkers: options.minWorkers ?? 1,
    delay: checkDelayOptions(options.delay),
    clip: {
      value: options.clip?.value ?? Number.POSITIVE_INFINITY,
      norm: options.clip?.norm ?? Number.POSITIVE_INFINITY,
    },
    nonFinite: options.nonFinite ?? 'reject',
    maxPushNorm: options.maxPushNorm ?? Number.POSITIVE_INFINITY,
    isDurable: options.isDurable ?? false,
    limits,
  };
  return new ServerCore({
    options: coreOptions,
    table,
    tables: makeTables(table, checked, { kernels: referenceKernels, seed: 0, allocate }),
    consistency: options.consistency ?? ssp({ staleness: 3 }),
    allocate,
    ...(options.stopwatch === undefined ? {} : { stopwatch: options.stopwatch }),
  });
}
