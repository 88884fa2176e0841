/**
 * One worker's logic towards a group of servers, the shards of one model: a core for each server, and what holds them
 * together. Towards the shell it is like `WorkerCore`. The first server says how many there are; then the others are
 * connected to, and whether they belong together is checked as each says Welcome. What is final at one is the end
 * of all; what is not, its own core mends while the others go on.
 */
import { PsError } from '../../base/errors.js';
import { shardOfRow } from '../../partition/rowShards.js';
import type { Message } from '../../protocol/messages.js';
import type { NonFinite } from '../../protocol/sessionMessages.js';
import type { Catalogue } from '../../tensor/catalogue.js';
import type { WorkerCommand, WorkerEffect, WorkerEvent, WorkerObservation } from '../events.js';
import { closedError } from '../faults.js';
import { WorkerCore, type WorkerCoreOptions } from '../workerCore.js';
import type { WorkerMachine } from '../workerMachine.js';
import { Absences } from './absences.js';
import type { GradientKernels } from './gradientCheck.js';
import { mismatchOf } from './groupIdentity.js';
import { GroupRequests } from './groupRequests.js';
import { errorAt, type JointRequest } from './jointRequest.js';
import { type Member, Members, shardIndexOf, unheard } from './members.js';

/** What a group's core is made with. */
export interface GroupCoreOptions extends WorkerCoreOptions {
  readonly kernels: GradientKernels;
}

/** The pure core of a worker of a group. */
export class GroupCore implements WorkerMachine {
  readonly #options: WorkerCoreOptions;
  readonly #members: Members;
  readonly #requests: GroupRequests;
  readonly #absences = new Absences();
  /** Calls of `connect` that are not answered. */
  readonly #connecting = new Set<JointRequest<undefined>>();
  /** How many urls there are, as the shell says. */
  #urls: number | undefined;
  /** Versions as of the last Welcome of each. */
  readonly #versions = new Map<Member, number>();
  readonly #closed = new Set<Member>();
  #isComplete = false;
  /** The shell has fewer urls than there were servers. */
  #hasFewerUrls = false;
  #hasMoved = false;
  #isClosing = false;
  /** Why it has ended by itself. */
  #ended: PsError | undefined;

  constructor(options: GroupCoreOptions) {
    const { kernels, ...core } = options;
    this.#options = core;
    this.#members = new Members((member, observation) => this.#onObservation(member, observation));
    this.#requests = new GroupRequests(this.#members, kernels, options.readOnly);
    this.#addMember();
  }

  get catalogue(): Catalogue | undefined {
    return this.#isComplete ? this.#first.core.server.whole : undefined;
  }

  /** Iterations completed, as all shards have confirmed. */
  get clock(): number {
    return Math.min(...this.#members.all.map(({ core }) => core.clock));
  }

  /** Ticks that wait for their turn count; where shards do not agree yet, the highest will be that of all. */
  get clockWhenDone(): number {
    const reached = Math.max(...this.#members.all.map(({ core }) => core.clockWhenDone));
    return reached + this.#requests.place.waitingTicks;
  }

  get isInTable(): boolean {
    return this.#requests.place.isIn;
  }

  get incarnations(): string {
    return this.#members.all.map(({ core }) => core.incarnations).join(' ');
  }

  serverOfRow(low: number, high: number): number {
    const shard = shardOfRow(low, high, this.servers);
    return this.#members.all.findIndex((member) => shardIndexOf(member) === shard);
  }

  get servers(): number {
    return this.#members.all.length;
  }

  get staleness(): number {
    return Math.min(...this.#members.all.map(({ core }) => core.staleness));
  }

  /** Whether all connections are open. */
  get isOpen(): boolean {
    return this.#isComplete && this.#members.all.every(({ core }) => core.isOpen);
  }

  /** Whether it has ended since the group is now of another number of servers, as the urls say too. */
  get hasMoved(): boolean {
    return this.#hasMoved;
  }

  get hasEnded(): boolean {
    return this.#ended !== undefined || this.#isClosing;
  }

  nextTickAt(): number {
    const { place } = this.#requests;
    const ofMembers = this.#members.all.map(({ core }) => core.nextTickAt());
    if (this.hasEnded) return Math.min(...ofMembers);
    return Math.min(place.dueAt, place.isApart ? Infinity : this.#absences.dueAt, ...ofMembers);
  }

  placeOf(message: Message, bytes: number, server = 0): Uint8Array | undefined {
    return this.#members.all[server]?.core.placeOf(message, bytes);
  }

  step(event: WorkerEvent): readonly WorkerEffect[] {
    this.#members.begin(event.now);
    this.#handle(event);
    if (!this.hasEnded) this.#keepPlace(event.now);
    return this.#members.take();
  }

  get #first(): Member {
    return this.#members.all[0] as Member;
  }

  /** In the clock tables of all shards at one clock, or in none. */
  #keepPlace(now: number): void {
    const { place } = this.#requests;
    if (this.#absences.dueAt <= now && !place.isApart) place.stepOut();
    if (place.dueAt <= now) place.expire(now, this.#whatIsAwaited());
    place.align();
  }

  #whatIsAwaited(): string {
    const away = this.#absences.first;
    if (away === undefined) return 'the shards have not agreed on its clock';
    const error = new PsError('PS_CONNECTION_LOST', away.core.unreachable ?? 'it is lost');
    return `${errorAt(away, error, this.#members.all.length).message}`;
  }

  #handle(event: WorkerEvent): void {
    switch (event.kind) {
      case 'tick':
        for (const member of this.#members.all) {
          if (member.core.nextTickAt() <= event.now) this.#members.feed(member, { kind: 'tick' });
        }
        return;
      case 'sleep':
      case 'wake':
        if (event.kind === 'sleep') this.#absences.sleep();
        for (const member of this.#members.all) this.#members.feed(member, { kind: event.kind });
        return;
      case 'taken':
        this.#members.taken(event.request);
        return;
      case 'opened':
      case 'message':
      case 'progress':
      case 'malformed':
      case 'closed':
      case 'streamEnded': {
        const member = this.#members.all[event.server ?? 0];
        if (event.kind === 'opened') this.#urls = event.urls;
        if (event.kind === 'closed') this.#hasFewerUrls = isMismatch(event.cause);
        if (member !== undefined) this.#members.feed(member, event);
        return;
      }
      default:
        this.#onCommand(event);
        return;
    }
  }

  #onCommand(command: WorkerCommand): void {
    if (command.kind === 'close') {
      const { reason, error } = command;
      this.#isClosing = true;
      this.#requests.place.failAll(error ?? closedError(undefined));
      this.#requests.ofAll(command.request, false, { kind: 'close', reason, error });
      return;
    }
    if (command.kind === 'cancel') {
      this.#requests.cancel(command.request, command.error);
      return;
    }
    const { request } = command;
    const { catalogue } = this;
    if (this.hasEnded) this.#fail(request, closedError(this.#ended));
    else if (command.kind === 'connect') this.#connect(request);
    else if (command.kind === 'computing') {
      this.#requests.ofAll(request, false, { kind: 'computing', stepMs: command.stepMs });
    } else if (catalogue === undefined) {
      this.#fail(request, new PsError('PS_CLOSED', 'the worker is not connected'));
    } else if (command.kind === 'ask') this.#requests.ask(command);
    else if (command.kind === 'pull') this.#requests.pull(command, catalogue);
    else if (command.kind === 'push') this.#requests.push(command, catalogue, this.#nonFinite);
    else if (command.kind === 'clock') this.#requests.clock(command);
    else this.#requests.ofOwner(command);
  }

  get #nonFinite(): NonFinite {
    return this.#first.core.server.nonFinite;
  }

  #connect(request: number): void {
    this.#connecting.add(this.#requests.ofAll(request, true, { kind: 'connect' }));
  }

  #addMember(): Member {
    const server = this.#members.all.length;
    // Streams of different members must not reconnect in step.
    const seed = (this.#options.seed + server * 0x9e3779b9) % 2 ** 32;
    const member = { server, core: new WorkerCore({ ...this.#options, seed, isMember: true }) };
    this.#members.all.push(member);
    return member;
  }

  #onObservation(member: Member, observation: WorkerObservation): void {
    const { server } = member;
    if (observation.kind === 'open') {
      this.#onOpen(member, observation);
    } else if (observation.kind === 'closed') {
      this.#onClosed(member, observation.error);
    } else {
      if (observation.kind === 'reconnecting') this.#absences.lost(member, this.#members.now);
      if (observation.kind === 'rollback') this.#requests.place.disturbed();
      if (observation.kind === 'waiting' && observation.reason === 'data') this.#requests.waitsForData();
      this.#observe({ ...observation, server });
    }
  }

  #onOpen(member: Member, observation: Extract<WorkerObservation, { kind: 'open' }>): void {
    if (this.hasEnded) return;
    const mismatch = mismatchOf(member, this.#members.all, this.#urls);
    if (mismatch !== undefined) {
      this.#end(mismatch);
      return;
    }
    this.#versions.set(member, observation.version);
    this.#absences.back(member);
    this.#requests.place.disturbed();
    this.#requests.place.leaveAgain(member);
    const count = member.core.server.shard?.count ?? 1;
    const missing: Member[] = [];
    while (this.#members.all.length < count) missing.push(this.#addMember());
    for (const joint of this.#connecting) joint.ask(missing, () => ({ kind: 'connect' }));
    // All have been met, though one may be away again.
    this.#isComplete = this.#members.all.every(({ core }) => core.server.whole !== undefined);
    if (!this.isOpen) return;
    this.#connecting.clear();
    this.#requests.place.rejoin();
    const version = Math.min(...this.#versions.values());
    this.#observe({ ...observation, clock: this.clock, version });
  }

  /** A member has ended: so has the worker. */
  #onClosed(member: Member, error: PsError | undefined): void {
    this.#closed.add(member);
    if (this.#ended !== undefined) return;
    if (this.#isClosing) {
      if (this.#closed.size === this.#members.all.length) this.#observe({ kind: 'closed', error });
      return;
    }
    const isOfAnotherCount = this.#hasFewerUrls || this.#urls !== this.#members.all.length;
    this.#hasMoved = this.#isComplete && isOfAnotherCount && isMismatch(error);
    this.#end(error ?? closedError(undefined));
  }

  /** What is final at one server is so at all. */
  #end(error: PsError): void {
    this.#ended = error;
    this.#requests.place.failAll(error);
    for (const joint of this.#connecting) joint.cancel(error);
    for (const member of this.#members.all) {
      this.#members.ask(member, { kind: 'close', reason: error.code, error }, unheard);
    }
    this.#observe({ kind: 'closed', error });
  }

  #observe(observation: WorkerObservation): void {
    this.#members.add({ kind: 'observe', observation });
  }

  #fail(request: number, error: PsError): void {
    this.#members.add({ kind: 'fail', request, error });
  }
}

function isMismatch(error: unknown): boolean {
  return error instanceof PsError && error.code === 'PS_MODEL_MISMATCH';
}
