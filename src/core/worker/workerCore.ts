/**
 * One worker's logic towards one server, as a function of events to effects. Commands of callers
 * become requests in flight; `Connection` keeps a connection open; answers end the requests, and a
 * rollback ends all pushes. It holds no sockets, timers or promises.
 */
import { PsError } from '../base/errors.js';
import { Random } from '../base/random.js';
import { type Message, MessageType } from '../protocol/messages.js';
import type { Welcome } from '../protocol/sessionMessages.js';
import type { Catalogue } from '../tensor/catalogue.js';
import { AwakeTime } from './awakeTime.js';
import { Connection } from './connection.js';
import { Effects } from './effects.js';
import type { WorkerCommand, WorkerEffect, WorkerEvent } from './events.js';
import { unexpected } from './faults.js';
import { Reconnection, type ReconnectPolicy } from './reconnection.js';
import { Requests } from './requests.js';
import type { UnansweredLimits } from './sender.js';
import type { ServerIdentity } from './serverIdentity.js';
import { TrainingClock } from './trainingClock.js';
import type { WorkerIdentity } from './workerIdentity.js';
import type { WorkerMachine } from './workerMachine.js';

/** What a worker core is made with. */
export interface WorkerCoreOptions extends WorkerIdentity {
  readonly reconnect: ReconnectPolicy;
  readonly limits: UnansweredLimits;
  /** Of the delays before reconnecting; see `Random`. */
  readonly seed: number;
}

/** The pure core of a worker. */
export class WorkerCore implements WorkerMachine {
  readonly #effects = new Effects();
  readonly #time = new AwakeTime();
  readonly #clock = new TrainingClock();
  readonly #connection: Connection;
  readonly #requests: Requests;
  readonly #isReadOnly: boolean;
  #maxStepMs = 0;
  #staleness = Number.POSITIVE_INFINITY;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(options: WorkerCoreOptions) {
    this.#isReadOnly = options.readOnly;
    const effects = this.#effects;
    const reconnection = new Reconnection(options.reconnect, new Random(options.seed).fork('reconnect'));
    this.#requests = new Requests(effects, this.#clock, options.limits, options.readOnly);
    this.#connection = new Connection(options, effects, reconnection, {
      onOpen: (welcome, previous) => this.#onOpen(welcome, previous),
      onMessage: (message, payload, now) => this.#onMessage(message, payload, now),
      onLost: () => this.#requests.suspend(),
      onSleep: () => this.#requests.sender.stepOut(),
      isTransferring: () => this.#requests.sender.leaving !== undefined,
      onEnded: (error) => this.#requests.failAll(error),
    });
  }

  /** The model, or what the server holds of it; undefined before the first connection. */
  get catalogue(): Catalogue | undefined {
    return this.server.catalogue;
  }

  /** Who it talks to. */
  get server(): ServerIdentity {
    return this.#connection.server;
  }

  /** Iterations completed, as the server confirmed. */
  get clock(): number {
    return this.#clock.reached;
  }

  /** The smallest clock in the clock table, as last heard. */
  get minClock(): number {
    return this.#clock.minClock;
  }

  /** The clock once everything that was asked for is done. */
  get clockWhenDone(): number {
    return this.#requests.clockWhenDone;
  }

  get isInTable(): boolean {
    return this.#requests.isInTable;
  }

  get incarnations(): string {
    return this.server.incarnation;
  }

  get servers(): number {
    return 1;
  }

  serverOfRow(): number {
    return 0;
  }

  /** By how many clocks a worker that pulls may be ahead of the slowest, as the server said last. */
  get staleness(): number {
    return this.#staleness;
  }

  /** Whether a connection is open. */
  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  /** Why no connection is open; undefined while one is. */
  get unreachable(): string | undefined {
    return this.#connection.unreachable;
  }

  /** Whether the worker has ended for good. */
  get hasEnded(): boolean {
    return this.#connection.hasEnded;
  }

  /** When a `tick` is due, in the time of the events' `now`; Infinity: never. */
  nextTickAt(): number {
    return this.#wakeAt;
  }

  /** Where a transport may write the payload of `message`, whose event follows. Changes nothing. */
  placeOf(message: Message, bytes: number): Uint8Array | undefined {
    if (message.t === MessageType.leaseChunk) return this.#requests.tasks.place(message, bytes);
    const isPull = message.t === MessageType.pullResult || message.t === MessageType.pullChunk;
    return isPull ? this.#requests.answers.place(message, bytes) : undefined;
  }

  /** Takes one event; returns what the shell has to do, in order. */
  step(event: WorkerEvent): readonly WorkerEffect[] {
    const now = this.#time.read(event.now);
    this.#handle(event, now);
    if (this.#connection.isOpen) this.#requests.sender.pump(now);
    const effects = this.#effects.take();
    if (effects.some(({ kind }) => kind === 'send' || kind === 'stream')) this.#connection.sent(now);
    this.#wakeAt = this.#nextWake(now);
    return effects;
  }

  /** When a tick is due. Asleep time stands still: no deadline comes nearer. */
  #nextWake(now: number): number {
    if (!this.#connection.isAsleep) {
      return this.#time.wakeAt(Math.min(this.#connection.dueAt, this.#requests.nextDeadline()));
    }
    this.#time.wakeAt(now);
    return Number.POSITIVE_INFINITY;
  }

  #handle(event: WorkerEvent, now: number): void {
    switch (event.kind) {
      case 'tick':
        this.#requests.expire(now, this.#connection.unreachable);
        this.#connection.onTick(now);
        return;
      case 'streamEnded':
        this.#requests.sender.streamEnded(event.stream);
        return;
      case 'taken':
        this.#effects.settle(event.request, undefined);
        return;
      case 'sleep':
        this.#connection.sleep();
        return;
      case 'wake':
        this.#connection.wake(now);
        return;
      case 'opened':
      case 'message':
      case 'progress':
      case 'malformed':
      case 'closed':
        this.#connection.onEvent(event, now);
        return;
      case 'close':
        this.#connection.close(event.request, event.reason, event.error, now);
        return;
      case 'cancel':
        if (this.#requests.cancel(event.request, event.error)) return;
        this.#connection.cancel(event.request, event.error);
        return;
      default:
        this.#onCommand(event, now);
        return;
    }
  }

  #onCommand(command: Exclude<WorkerCommand, { kind: 'cancel' | 'close' }>, now: number): void {
    const { hasEnded } = this.#connection;
    const { catalogue } = this;
    if (hasEnded) this.#effects.fail(command.request, this.#connection.endedError);
    else if (command.kind === 'connect') this.#connection.connect(command.request, now);
    else if (command.kind === 'computing') this.#announce(command.request, command.stepMs);
    else if (catalogue === undefined) {
      this.#effects.fail(command.request, new PsError('PS_CLOSED', 'the worker is not connected'));
    } else if (command.kind === 'pull') this.#requests.addPull(command, catalogue, now);
    else if (command.kind === 'push') this.#requests.addPush(command);
    else if (command.kind === 'ask') this.#requests.addAsk(command);
    else if (command.kind === 'lease') this.#requests.addLease(command);
    else if (command.kind === 'results') this.#requests.addResults(command);
    else this.#requests.addClock(command);
  }

  #announce(request: number, stepMs: number): void {
    if (!this.#connection.isOpen) {
      this.#effects.settle(request, undefined);
      return;
    }
    const message = {
      t: MessageType.computing,
      stepMs: Math.ceil(Math.min(stepMs, this.#maxStepMs)),
    } as const;
    this.#effects.add({ kind: 'send', message, whenTaken: request });
  }

  #onMessage(message: Message, payload: Uint8Array, now: number): void {
    const { answers, sender, tasks } = this.#requests;
    switch (message.t) {
      case MessageType.pong:
        return;
      case MessageType.pullResult:
        answers.onPullResult(message, payload, now);
        return;
      case MessageType.pullChunk:
        answers.onPullChunk(message, payload, now);
        return;
      case MessageType.pushResult:
        answers.onPushResult(message);
        return;
      case MessageType.clockResult:
        answers.onClockResult(message);
        return;
      case MessageType.statsResult:
      case MessageType.controlResult:
      case MessageType.rowChanges:
        answers.onAnswer(message, payload);
        return;
      case MessageType.dataLease:
      case MessageType.taskLeases:
      case MessageType.leaseChunk:
      case MessageType.revoke:
      case MessageType.taskAck:
        tasks.on(message, payload);
        return;
      case MessageType.waiting:
        answers.onWaiting(message, now);
        return;
      case MessageType.fault:
        answers.onFault(message);
        return;
      case MessageType.staleness:
        this.#staleness = message.staleness ?? Number.POSITIVE_INFINITY;
        return;
      case MessageType.finish:
        this.#effects.observe({ kind: 'finish', reason: message.reason });
        return;
      case MessageType.drain:
        sender.hold();
        this.#connection.drain(message.retryAfterMs, now);
        return;
      default:
        throw unexpected(`type ${message.t}`);
    }
  }

  #onOpen(welcome: Welcome, previous: string | undefined): void {
    const { incarnation, epoch, resumed, clock, minClock, version, maxUnansweredPushes } = welcome;
    const { answers, sender } = this.#requests;
    this.#maxStepMs = welcome.maxStepMs;
    this.#staleness = welcome.staleness ?? Number.POSITIVE_INFINITY;
    this.#effects.observe({ kind: 'open', incarnation, epoch, resumed, clock, version });
    // Another history, or less of the same one than this worker was told of. A reader's session is always new.
    const isForgotten = !resumed && !this.#isReadOnly;
    const hasLost = previous !== welcome.lineage || isForgotten || welcome.committedSeq < answers.answeredSeq;
    if (previous !== undefined && hasLost) this.#rollback(welcome, previous !== welcome.lineage);
    this.#clock.adopt(clock, minClock);
    // Whole elements, so that every chunk begins and ends between two of them.
    const chunkBytes = Math.max(8, welcome.chunkBytes - (welcome.chunkBytes % 8));
    const catalogue = this.server.catalogue as Catalogue;
    sender.open({ catalogue, incarnation, chunkBytes, maxUnansweredPushes });
  }

  #rollback(welcome: Welcome, startedAfresh: boolean): void {
    const { committedSeq, clock, minClock, version } = welcome;
    const toSeq = this.#requests.sender.lastSeq;
    const unansweredPushes = this.#requests.rollback(committedSeq);
    this.#clock.reset(clock, minClock);
    this.#effects.observe({
      kind: 'rollback',
      rollback: {
        lostPushes: Math.max(0, toSeq - committedSeq),
        unansweredPushes,
        fromSeq: committedSeq + 1,
        toSeq,
        startedAfresh,
        clock,
        version,
      },
    });
  }
}
