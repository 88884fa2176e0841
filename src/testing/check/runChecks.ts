/** All checks of one run, as one onlooker: it hands what it sees to those whom it concerns. */
import type { Consistency } from '../../core/consistency/consistency.js';
import { type Message, MessageType, type WorkerMessage } from '../../core/protocol/messages.js';
import type { ServerEffect, ServerEvent } from '../../core/server/events.js';
import type { PullAnswer, WorkerObservation } from '../../core/worker/events.js';
import { type ClusterObserver, Observers } from '../cluster/observer.js';
import type { SimCluster } from '../cluster/simCluster.js';
import type { SimWorker } from '../cluster/simWorker.js';
import { type Schedule, trainersOf } from '../search/schedule.js';
import { BoundWatch } from './boundWatch.js';
import { type CacheUser, CacheWatch } from './cacheWatch.js';
import type { Check, CheckContext } from './check.js';
import type { CheckModel } from './checkModel.js';
import type { Cell } from './checkRows.js';
import { DataWatch } from './dataWatch.js';
import { DelayBound } from './delayBound.js';
import { PullWatch } from './pullWatch.js';
import { PushLedger } from './pushLedger.js';
import { RowWatch } from './rowWatch.js';
import { TableWatch } from './tableWatch.js';
import { VersionHistory } from './versionHistory.js';
import { Violations } from './violations.js';

/** Kinds of faults that can make a living worker fall silent. */
const SILENCING = new Set(['silence', 'cutOff', 'stopWorker', 'killWorker', 'secondProcess']);

/** Checks that stand alone; those above them in this file share what they see. */
const FURTHER_CHECKS: readonly (new (context: CheckContext) => Check)[] = [DelayBound, DataWatch];

/** Checks one run. */
export class RunChecks implements ClusterObserver {
  readonly violations: Violations;
  readonly ledger: PushLedger;
  readonly history: VersionHistory;
  readonly pulls: PullWatch;
  readonly table: TableWatch;
  readonly rows: RowWatch;
  readonly caches: CacheWatch;
  readonly bounds: BoundWatch = new BoundWatch();
  readonly #cluster: SimCluster;
  readonly #schedule: Schedule;
  readonly #model: CheckModel;
  readonly #numbers = new Map<string, number>();
  /** Who is at the other end of each connection: which process of which worker. */
  readonly #names = new Map<number, readonly [worker: string, process: number]>();
  /** The snapshots of every life of the server. */
  readonly #lives: ReadonlyMap<number, Float32Array>[] = [];
  /** The life of the server that each process is, or was last, connected to. */
  readonly #lifeOf = new Map<string, number>();
  readonly #further: readonly Check[];
  readonly #onlookers: Observers;
  #histories = 0;

  constructor(cluster: SimCluster, schedule: Schedule, model: CheckModel) {
    this.#cluster = cluster;
    this.#schedule = schedule;
    this.#model = model;
    const trainers = trainersOf(schedule);
    for (const [i, { id }] of trainers.entries()) this.#numbers.set(id, i);
    this.violations = new Violations(() => cluster.timeline.now);
    this.ledger = new PushLedger(trainers.length, model.sizes.cells, this.violations);
    const { pinnedVersions, minWorkers, maxDelay, halvesFromDelay, switches, consistency } = schedule;
    const numberOf = (id: string): number | undefined => this.#numbers.get(id);
    this.history = new VersionHistory(
      {
        model,
        numberOf: (id) => numberOf(id) ?? -1,
        factorOf: (delay) => (delay >= halvesFromDelay ? 0.5 : 1),
      },
      this.ledger,
      this.violations,
    );
    const isSteady = switches.length === 0;
    const models = [consistency, ...switches.map((each) => each.model)];
    const isBsp = ({ name }: Consistency): boolean => name === 'bsp';
    const movesUp = models.some((each) => each.name === 'bsp' && each.backupWorkers > 0);
    const dropsLate = consistency.name === 'bsp' || maxDelay < Number.POSITIVE_INFINITY;
    const neverDrops = isSteady && !dropsLate && schedule.data === undefined;
    this.pulls = new PullWatch(
      { numberOf, minWorkers, pinnedVersions, isSteady, movesUp, neverDrops },
      this.ledger,
      this.violations,
    );
    this.table = new TableWatch(
      {
        numberOf,
        ids: trainers.map(({ id }) => id),
        pinnedVersions,
        stagingBytes: Math.max(schedule.stagingBytes, model.pushBytes),
        areAllHeard: !schedule.faults.some(({ kind }) => SILENCING.has(kind)),
      },
      this.ledger,
      this.violations,
    );
    const { violations, ledger, history } = this;
    const context = { cluster, schedule, model, violations, ledger, history, numberOf };
    this.rows = new RowWatch(context);
    this.caches = new CacheWatch({
      model,
      ledger,
      pulls: this.pulls,
      violations,
      hasMeans: models.some(isBsp),
    });
    this.#further = [...FURTHER_CHECKS.map((Each) => new Each(context)), this.rows];
    this.#onlookers = new Observers(this.#further);
  }

  /** The number of trainer `id`; undefined for others. */
  numberOf(id: string): number | undefined {
    return this.#numbers.get(id);
  }

  /** The life of the server that `worker` is connected to. */
  lifeOf(worker: SimWorker): number {
    return this.#lifeOf.get(`${worker.id}#${worker.number}`) ?? 0;
  }

  /** Whether the last life of the server may have taken with it what it had told. */
  get #mayLose(): boolean {
    const { durability } = this.#schedule;
    if (durability !== 'memory' && this.#cluster.server.hasEndedWell) return false;
    if (durability === 'journal-async') return this.#cluster.server.hasLostPower;
    return durability !== 'journal';
  }

  serverStarted(): void {
    const { server } = this.#cluster;
    const isFresh = server.history !== this.#histories;
    if (isFresh && this.#histories > 0) this.ledger.restart();
    this.#histories = server.history;
    this.#names.clear();
    this.ledger.beginLife(server.lives, server.core.state.version);
    this.history.start(server.core, isFresh, this.#mayLose);
    this.ledger.goesOn(server.lives);
    this.#lives[server.lives] = this.history.snapshots;
    this.pulls.started(server.core);
    this.table.started(server.core);
    this.bounds.started(server.core);
    this.#onlookers.serverStarted();
  }

  serverReceives(connection: number, message: Message, payload: Uint8Array): void {
    this.#onlookers.serverReceives(connection, message, payload);
    this.table.receives(connection, message as WorkerMessage);
    if (message.t === MessageType.hello) {
      const [name = '', process] = message.session.split('#');
      this.#names.set(connection, [name, Number(process)]);
    }
    const [name, process] = this.#names.get(connection) ?? [];
    if (name === undefined || process === undefined) return;
    const number = this.numberOf(name);
    if (message.t === MessageType.push && number !== undefined) {
      this.ledger.arrives(number, process, message.seq, message.clock);
    } else if (message.t === MessageType.pull || message.t === MessageType.pullRows) {
      this.pulls.receives(connection, name, message);
    } else if (message.t === MessageType.cancel) {
      this.pulls.cancelled(connection, message.request);
    }
  }

  serverStepped(event: ServerEvent | undefined, effects: readonly ServerEffect[]): void {
    const { core } = this.#cluster.server;
    if (event?.kind === 'closed') this.pulls.closed(event.connection);
    this.history.stepped(core, effects);
    this.table.stepped(core, effects);
    this.pulls.stepped(core, effects);
    this.bounds.stepped(core, effects, (connection) => this.#names.get(connection)?.join('#'));
    this.#onlookers.serverStepped(event, effects);
  }

  workerReceives(worker: string, process: number, message: Message, payload: Uint8Array): void {
    this.bounds.receives(`${worker}#${process}`, message);
    this.#onlookers.workerReceives(worker, process, message, payload);
  }

  workerObserves(worker: string, process: number, observation: WorkerObservation): void {
    this.#onlookers.workerObserves(worker, process, observation);
    if (observation.kind === 'open') {
      this.#lifeOf.set(`${worker}#${process}`, Number(observation.incarnation.split('-')[1]));
    } else if (observation.kind === 'rollback') {
      const number = this.numberOf(worker);
      if (number !== undefined) this.ledger.rollBack(number, process, observation.rollback.fromSeq - 1);
      if (this.#schedule.durability !== 'journal') return;
      this.violations.add('rollback', `${worker} is told of a rollback, and there is a journal`);
    }
  }

  /** A trainer has its parameters. */
  pulled(id: string, answer: PullAnswer, tensors: readonly number[] | undefined, life: number): void {
    if (answer.arrays === undefined) {
      this.violations.add('answers', `${id} is told "not modified" without having asked`);
      return;
    }
    this.#compare(id, answer.arrays, tensors, this.#lives[life]?.get(answer.version), answer.version);
  }

  /** A trainer has the rows of `cells`. */
  pulledRows(id: string, answer: PullAnswer, cells: readonly Cell[], life: number): void {
    this.rows.pulled(id, answer, cells, this.#lives[life]?.get(answer.version));
  }

  /** A worker with a cache has its tensors, wherever from. */
  usesTensors(
    worker: SimWorker,
    user: CacheUser,
    answer: PullAnswer,
    tensors: readonly number[] | undefined,
  ): void {
    if (this.#isUpToDate(worker)) this.caches.usesTensors(user, answer, tensors);
  }

  /** A worker with a cache has the rows of `cells`. */
  usesRows(worker: SimWorker, user: CacheUser, answer: PullAnswer, cells: readonly Cell[]): void {
    if (this.#isUpToDate(worker)) this.caches.usesRows(user, answer, cells);
  }

  /** Whether it knows of the server's last restart: before, it is in another history. */
  #isUpToDate(worker: SimWorker): boolean {
    return this.lifeOf(worker) === this.#cluster.server.lives;
  }

  /** A reader has read. */
  read(id: string, answer: PullAnswer, life: number, isConsistent: boolean): void {
    if (answer.arrays === undefined || !isConsistent) return;
    this.#compare(id, answer.arrays, undefined, this.#lives[life]?.get(answer.version), answer.version);
  }

  /** A pull is one consistent cut: exactly the parameters of the version that it says. */
  #compare(
    id: string,
    arrays: readonly Float32Array[],
    tensors: readonly number[] | undefined,
    snapshot: Float32Array | undefined,
    version: number,
  ): void {
    if (snapshot === undefined) return;
    for (const [i, array] of arrays.entries()) {
      const [offset, length] = this.#model.place(tensors?.[i] ?? i);
      if (offset >= this.#model.noiseAt) return;
      for (let k = 0; k < length; k++) {
        if (array[k] === snapshot[offset + k]) continue;
        const text = `${id} gets ${array[k]} for element ${offset + k} of version ${version}, which had ${snapshot[offset + k]}`;
        this.violations.add('one consistent cut', text);
        return;
      }
    }
  }

  /** Everything is over. */
  atEnd(): void {
    this.ledger.checkEnd();
    this.table.checkEnd(this.#cluster.server.core);
    for (const check of this.#further) check.atEnd?.();
  }
}
