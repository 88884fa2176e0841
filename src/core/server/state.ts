/**
 * The durable state of one shard, and the one place that changes it: `apply(record)`. Live decisions
 * and the replay of a journal both come through here, so recovery gives the same bits. It asks no
 * user function and no time: whatever such a thing said stands in the record.
 */
import { invariant } from '../base/invariant.js';
import { ClockTable } from '../consistency/clockTable.js';
import { type Consistency, policyOf, robustAggregationOf } from '../consistency/consistency.js';
import type { ConsistencyPolicy } from '../consistency/policy.js';
import { ClockBuffer } from '../table/clockBuffer.js';
import type { DenseTable } from '../table/denseTable.js';
import { type Job, JobSequence, JobThen } from '../table/job.js';
import { ParameterStore } from '../table/parameterStore.js';
import { TableSet } from '../table/tableSet.js';
import { DataQueue } from '../tasks/dataQueue.js';
import { partsOfRows } from '../tensor/rowLayout.js';
import type {
  CloseRecord,
  ConsistencyRecord,
  JournalRecord,
  LoadRecord,
  OptimizerRecord,
  PushRecord,
  Settings,
  SettingsRecord,
} from './records.js';
import { type PushAnswer, Session } from './session.js';

const NO_PROGRESS: Pick<PushAnswer, 'isDuplicate' | 'progress'> = {};

/** Parameters, slots, sessions, clocks and buffered updates of one shard. */
export class ServerState {
  readonly clocks: ClockTable = new ClockTable();
  readonly sessions: Map<string, Session> = new Map();
  /** Updates under BSP, by clock. */
  readonly buffers: Map<number, ClockBuffer> = new Map();
  /** The data shards, and how far they are counted. */
  readonly data: DataQueue = new DataQueue();
  model: Consistency;
  policy: ConsistencyPolicy;
  /** What the options said when they were last taken over. */
  configured: Settings;
  /** Told of what the user's own optimizer throws. */
  onFailure: (error: unknown) => void = () => {};
  /** Makes arrays of zeros. */
  readonly allocate: (length: number) => Float32Array;
  readonly #store: ParameterStore;
  readonly #release: (array: Float32Array) => void;

  constructor(
    table: DenseTable,
    model: Consistency,
    allocate: (length: number) => Float32Array,
    release: (array: Float32Array) => void = () => {},
    tables: TableSet = TableSet.none,
  ) {
    this.#store = new ParameterStore(table, tables);
    this.model = model;
    this.policy = policyOf(model, this.clocks);
    this.configured = { optimizers: table.groups.map((group) => group.optimizer), consistency: model };
    this.allocate = allocate;
    this.#release = release;
  }

  /** The dense parameters. */
  get table(): DenseTable {
    return this.#store.dense;
  }

  /** The sparse tables. */
  get tables(): TableSet {
    return this.#store.tables;
  }

  /** Updates applied. */
  get version(): number {
    return this.#store.version;
  }

  /** Workers that have ever been in the clock table. O(sessions). */
  get joinedWorkers(): number {
    let count = 0;
    for (const session of this.sessions.values()) if (session.hasEntered) count++;
    return count;
  }

  /** Whether some clock's updates wait to be merged. */
  get hasBuffered(): boolean {
    return this.buffers.size > 0;
  }

  /** Bytes of the updates that wait to be merged. O(contributions). */
  get bufferedBytes(): number {
    let sum = 0;
    for (const { bytes } of this.buffers.values()) sum += bytes;
    return sum;
  }

  /** The lowest clock whose updates wait to be merged. */
  get firstBuffered(): number | undefined {
    return this.hasBuffered ? Math.min(...this.buffers.keys()) : undefined;
  }

  /** A worker's session; it must exist. */
  session(worker: string): Session {
    const session = this.sessions.get(worker);
    invariant(session !== undefined, `no session of ${worker}`);
    return session;
  }

  /** The clock of `session`: in the table, or as it would enter now. */
  clockOf(session: Session): number {
    return this.clocks.has(session.id) ? session.clock : this.entryClock(session);
  }

  /** The clock at which `session` would enter the table now. */
  entryClock(session: Session): number {
    return Math.max(this.clocks.minClock, session.clock, this.policy.entryFloor);
  }

  /**
   * Carries out what was decided. Returns the job that is left to do, or undefined if nothing is. One
   * job at a time. `now` only starts the lease of a new session.
   */
  apply(record: JournalRecord, now: number): Job | undefined {
    switch (record.kind) {
      case 'session': {
        const before = this.sessions.get(record.worker);
        const session = new Session(record.worker, record.key, record.epoch, false, now);
        session.clock = before?.clock ?? 0;
        session.hasEntered = before?.hasEntered ?? false;
        this.sessions.set(record.worker, session);
        this.data.releaseAll(record.worker);
        return undefined;
      }
      case 'enter': {
        const session = this.session(record.worker);
        session.clock = this.clocks.enter(record.worker, this.entryClock(session));
        session.hasEntered = true;
        return undefined;
      }
      case 'leave':
        this.clocks.leave(record.worker);
        return undefined;
      case 'expire':
        this.clocks.leave(record.worker);
        this.sessions.delete(record.worker);
        this.data.releaseAll(record.worker);
        return undefined;
      case 'tick':
        this.#tick(this.session(record.worker), record.clock);
        return undefined;
      case 'push':
        return this.#push(record);
      case 'close':
        return this.#close(record);
      case 'consistency':
        return this.#setConsistency(record);
      case 'optimizer':
        this.#setOptimizer(record);
        return undefined;
      case 'settings':
        this.#setSettings(record);
        return undefined;
      case 'load':
        return this.#load(record);
      case 'dataSet':
        this.data.begin(record.number, record.dataSet);
        return undefined;
      case 'epoch':
        this.data.best = record.best;
        if (record.isEnd) this.data.end();
        else this.data.openEpoch(record.epoch);
        return undefined;
      case 'lease':
        this.data.lease(record.worker, record.lease, record.dataShard);
        return undefined;
      case 'release':
        this.data.release(record.leases);
        return undefined;
    }
  }

  #tick(session: Session, clock: number): void {
    session.clock = clock;
    // A push that was half applied when another process took the id over ends with the old session.
    const isCurrent = this.sessions.get(session.id) === session;
    if (isCurrent && this.clocks.has(session.id)) this.clocks.advance(session.id, clock);
  }

  #push(record: PushRecord): Job {
    const known = this.sessions.get(record.worker);
    // In a replay the process that took the id over is there already.
    const session = known?.epoch === record.epoch ? known : undefined;
    const finish = (decided: Pick<PushRecord, 'outcome' | 'fault'>): void => {
      const { seq, delay } = record;
      const { outcome, fault } = decided;
      const { version } = this;
      const { isDuplicate, progress } = this.#progressOf(record);
      session?.remember({ seq, outcome, delay, version, fault, isDuplicate, progress });
    };
    const onDone = (): void => {
      const isApplied = record.outcome === 'applied' || record.outcome === 'scaled';
      const { data } = record;
      if (data !== undefined && (isApplied || record.outcome === 'buffered'))
        this.data.advance(data.range, data.metrics);
      if (isApplied) this.#publish();
      if (session !== undefined && isApplied) session.ownVersion = this.version;
      finish(record);
      if (session !== undefined && record.tick !== undefined) this.#tick(session, record.tick);
    };
    return new JobThen(this.#pushJob(record), onDone, (error) => {
      this.#abandon(error);
      finish({
        outcome: 'refused',
        fault: { code: 'PS_INTERNAL', message: `the optimizer failed: ${String(error)}` },
      });
    });
  }

  /** What the answer to a push of a data shard says of its progress. */
  #progressOf({ data, worker }: PushRecord): Pick<PushAnswer, 'isDuplicate' | 'progress'> {
    if (data === undefined) return NO_PROGRESS;
    const { range } = data;
    const progress = this.data.progress.reached(range);
    // Whoever lost its lease is not to go on with it.
    const isOver =
      progress === undefined ||
      (progress < range.to && this.data.current !== undefined && !this.data.isHeld(worker, range));
    return { isDuplicate: data.isDuplicate || undefined, progress: isOver ? undefined : progress };
  }

  #pushJob(record: PushRecord): Job | undefined {
    const { gradient, factor, clipValue, rates } = record;
    if (record.outcome === 'refused' || record.outcome === 'dropped') return undefined;
    const selection = this.table.catalogue.select(record.tensors);
    const gradients = {
      selection,
      dense: gradient.subarray(0, selection.length),
      rows: partsOfRows(record.rows ?? [], this.tables.dims, gradient, selection.length),
    };
    if (record.outcome !== 'buffered') return this.#store.update(gradients, { factor, clipValue, rates });
    let buffer = this.buffers.get(record.clock);
    if (buffer === undefined) {
      const { catalogue, kernels } = this.table;
      buffer = new ClockBuffer(catalogue, this.tables.dims, kernels, this.allocate);
      this.buffers.set(record.clock, buffer);
    }
    return buffer.add(record.worker, gradients, { factor, clipValue });
  }

  #close(record: CloseRecord): Job {
    const buffer = record.isFailed === true ? undefined : this.buffers.get(record.clock);
    const contributors = buffer?.contributions.map((each) => each.worker) ?? [];
    const merge = buffer?.merge(robustAggregationOf(this.model), (gradients) =>
      this.#store.plainUpdate(gradients, record.rates),
    );
    const onClosed = (): void => {
      this.#forget(record.clock);
      const openClock = this.policy.onClosed(record.clock, this.clocks);
      for (const { id } of this.clocks.below(openClock)) this.#tick(this.session(id), openClock);
    };
    const onDone = (): void => {
      if (buffer !== undefined) this.#publish();
      for (const worker of contributors) this.#markOwn(worker);
      onClosed();
    };
    return new JobThen(merge, onDone, (error) => {
      this.#abandon(error);
      onClosed();
    });
  }

  /** From BSP: what is buffered is applied at once, clock by clock and in id order, each sum on its own. */
  #setConsistency(record: ConsistencyRecord): Job {
    const clocks = [...this.buffers.keys()].sort((a, b) => a - b);
    const sums = clocks.flatMap((clock) => (this.buffers.get(clock) as ClockBuffer).takeSums());
    const updates = function* (state: ServerState): Generator<Job> {
      for (const { worker, gradients } of sums) {
        const update = state.#store.plainUpdate(gradients, record.rates);
        const onDone = (): void => {
          state.#publish();
          state.#markOwn(worker);
        };
        yield new JobThen(update, onDone, (error) => state.#abandon(error));
      }
    };
    return new JobThen(new JobSequence(updates(this)), () => {
      for (const clock of clocks) this.#forget(clock);
      this.model = record.model;
      this.policy = policyOf(record.model, this.clocks);
    });
  }

  /** The updates of `clock` have been used, or are given up. */
  #forget(clock: number): void {
    for (const area of this.buffers.get(clock)?.areas ?? []) this.#release(area);
    this.buffers.delete(clock);
  }

  #setOptimizer({ optimizer, learningRate }: OptimizerRecord): void {
    if (optimizer !== undefined) this.#store.setOptimizer(optimizer);
    if (learningRate !== undefined) this.#store.setLearningRate(learningRate);
  }

  #setSettings({ optimizers, configured }: SettingsRecord): void {
    for (const [group, optimizer] of optimizers.entries()) this.#store.changeOptimizer(group, optimizer);
    this.configured = configured;
  }

  #load(record: LoadRecord): Job {
    const { values, state } = record;
    const { length } = this.table.catalogue;
    const slotsEnd = length * (1 + (state?.slots ?? 0));
    const rows = partsOfRows(record.rows ?? [], this.tables.dims, values, slotsEnd);
    const jobs = [this.#store.load(values.subarray(0, length), rows)];
    if (state !== undefined) jobs.push(this.table.loadSlots(values.subarray(length, slotsEnd)));
    return new JobThen(new JobSequence(jobs), () => {
      this.#publish();
      if (state === undefined) this.table.restartSlots();
      else for (const [i, scalars] of state.scalars.entries()) this.table.scalars[i] = [...scalars];
    });
  }

  /** The updates of `worker` so far are in the current version. */
  #markOwn(worker: string): void {
    const session = this.sessions.get(worker);
    if (session !== undefined) session.ownVersion = this.version;
  }

  /** The user's optimizer threw: what it was to write is no version. */
  #abandon(error: unknown): void {
    this.#store.abandon();
    this.onFailure(error);
  }

  #publish(): void {
    this.#store.publish(this.clocks.minClock);
  }
}
