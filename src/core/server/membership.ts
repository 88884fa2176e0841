/**
 * Who is alive: leases renewed by anything that arrives, kept longer while a worker says that it
 * computes, cut short when its socket closes; eviction when they end. Time is monotonic. After a pause
 * of the server itself, or a restart, everyone has one full lease before anyone is evicted.
 */
import { closeCodeOf, PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { type CoreContext, decide } from './context.js';
import type { LeaveReason } from './events.js';
import type { Session } from './session.js';

/** However short the waits that a pause of the server could spoil: a stop of less than half of this is none. */
const LEAST_WAIT_MS = 2000;

/** Who is told. */
export interface MembershipOwner {
  /** Forgets what a session's connection had under way. */
  detach(session: Session): void;
  /** Whether it holds generic tasks. */
  hasTasks(session: Session): boolean;
  /** A worker has left. */
  onLeft(session: Session): void;
}

/** Watches the leases of all sessions. */
export class Membership {
  readonly #context: CoreContext;
  /** Sessions of readers: they are in no table and in no journal. */
  readonly readers: Set<Session> = new Set();
  readonly #present = new Set<Session>();
  readonly #owner: MembershipOwner;
  #lastNow: number | undefined;
  /** Time without a tick that is a pause of the server: half of the shortest wait that it could have spoiled. */
  readonly #pauseMs: number;

  constructor(context: CoreContext, owner: MembershipOwner) {
    this.#context = context;
    this.#owner = owner;
    const { leaseMs, disconnectGraceMs, pullTimeoutMs } = context.options.limits;
    this.#pauseMs =
      Math.min(leaseMs, Math.max(LEAST_WAIT_MS, Math.min(disconnectGraceMs, pullTimeoutMs))) / 2;
  }

  /** Sessions that have joined and not left. */
  get present(): ReadonlySet<Session> {
    return this.#present;
  }

  /** `session` is welcome; says so unless it was there all the time. */
  join(session: Session): void {
    this.touch(session);
    if (this.#present.has(session)) return;
    this.#present.add(session);
    if (session.isReader) this.readers.add(session);
    const role = session.isReader ? 'reader' : 'worker';
    this.#context.observe({ kind: 'join', id: session.id, epoch: session.epoch, role });
  }

  /** Something arrived. The rest of a push that had begun does not say that its event loop is free again. */
  touch(session: Session, isRestOfPush = false): void {
    if (isRestOfPush && session.isComputing) return;
    const { now, options } = this.#context;
    // A pause may come before the first tick.
    this.#lastNow ??= now;
    session.lastSeen = now;
    session.isComputing = false;
    session.leaseUntil = now + options.limits.leaseMs;
  }

  /** The worker's event loop will be busy. */
  startComputing(session: Session, stepMs: number): void {
    const { now, options } = this.#context;
    this.touch(session);
    session.isComputing = true;
    const { leaseMs, maxStepMs } = options.limits;
    session.leaseUntil = now + Math.max(leaseMs, Math.min(stepMs, maxStepMs));
  }

  /**
   * Whether `session` may be slow to read and to send, since it computes. Only who trains or holds tasks has
   * something to compute, and one step is no longer than `maxStepMs`: saying so again and again holds nothing up.
   */
  isExcused(session: Session): boolean {
    if (!session.isComputing || session.isReader) return false;
    const { now, options, state } = this.#context;
    if (!state.clocks.has(session.id)) return this.#owner.hasTasks(session);
    return now - session.lastProgress < options.limits.maxStepMs;
  }

  /** Its socket closed without goodbye: it has a short time to come back. */
  onDisconnected(session: Session): void {
    const { now, options } = this.#context;
    session.connection = undefined;
    session.isComputing = false;
    session.leaseUntil = Math.min(session.leaseUntil, now + options.limits.disconnectGraceMs);
  }

  /** Takes `session` out of the clock table, if it is in, and out of those present. */
  leave(session: Session, reason: LeaveReason): void {
    if (this.#context.state.clocks.has(session.id) && !session.isReader) {
      decide(this.#context, { kind: 'leave', worker: session.id });
    }
    if (!session.isReader) this.#giveBack(session);
    this.readers.delete(session);
    if (this.#present.delete(session)) this.#context.observe({ kind: 'leave', id: session.id, reason });
  }

  /** Its tasks are free again. */
  #giveBack(session: Session): void {
    const leases = this.#context.state.data.leases.of(session.id).map(({ number }) => number);
    if (leases.length > 0) decide(this.#context, { kind: 'release', worker: session.id, leases });
    this.#owner.onLeft(session);
  }

  /** Ends a session's place and its connection. */
  evict(session: Session, reason: LeaveReason, error: PsError): void {
    const { connection } = session;
    if (connection !== undefined) {
      this.#context.emit({ kind: 'send', connection, message: faultOf(error) });
      this.#context.emit({
        kind: 'close',
        connection,
        code: closeCodeOf(error.code),
        reason: error.message.slice(0, 100),
      });
      this.#owner.detach(session);
      session.connection = undefined;
    }
    this.leave(session, reason);
  }

  /** Gives everyone one full lease: after a recovery. */
  renewAll(): void {
    const { state, now, options } = this.#context;
    const until = now + options.limits.leaseMs;
    for (const session of state.sessions.values()) {
      session.leaseUntil = Math.max(session.leaseUntil, until);
      session.lastProgress = now;
      const hasTasks = state.data.leases.count(session.id) > 0;
      if (state.clocks.has(session.id) || hasTasks) this.#present.add(session);
    }
    for (const session of this.readers) session.leaseUntil = Math.max(session.leaseUntil, until);
  }

  /**
   * Evicts those whose lease has ended and forgets sessions that have been away for too long. Returns how long the
   * server itself has paused, in milliseconds.
   */
  onTick(): number {
    const { now, options, state } = this.#context;
    const { sessionExpiryMs } = options.limits;
    const sinceLast = now - (this.#lastNow ?? now);
    const pausedMs = sinceLast > this.#pauseMs ? sinceLast : 0;
    if (pausedMs > 0) this.renewAll();
    this.#lastNow = now;
    for (const session of [...this.#present]) {
      if (this.#isServed(session)) session.lastProgress = now;
      if (now >= session.leaseUntil) this.#expire(session);
      else if (this.#hasStalled(session)) {
        const since = Math.round(now - session.lastProgress);
        const error = new PsError('PS_LEASE_EXPIRED', `evicted: no pull, push or tick for ${since} ms`);
        this.evict(session, 'progress', error);
      }
    }
    for (const session of [...state.sessions.values()]) {
      if (this.#present.has(session) || now - session.lastSeen < sessionExpiryMs) continue;
      decide(this.#context, { kind: 'expire', worker: session.id });
    }
    return pausedMs;
  }

  /**
   * Makes room for another session: of those that are away and have never pushed, the one that was heard of longest ago is
   * forgotten; nothing of it is in the model. False if there is none. O(sessions).
   */
  forgetOne(): boolean {
    let found: Session | undefined;
    for (const session of this.#context.state.sessions.values()) {
      const { lastSeen, decidedSeq } = session;
      if (decidedSeq > 0 || this.#present.has(session) || lastSeen >= (found?.lastSeen ?? Infinity)) continue;
      found = session;
    }
    if (found !== undefined) decide(this.#context, { kind: 'expire', worker: found.id });
    return found !== undefined;
  }

  /** When `onTick` has something to do; often enough that only a pause makes it late. */
  nextTickAt(): number {
    const { options } = this.#context;
    let at = (this.#lastNow ?? 0) + this.#pauseMs / 2;
    for (const session of this.#present) {
      at = Math.min(at, session.leaseUntil);
      if (this.#context.state.clocks.has(session.id)) {
        at = Math.min(at, session.lastProgress + options.limits.progressTimeoutMs);
      }
    }
    return at;
  }

  /** Whether it is the server's turn: to take, apply and record what `session` has sent. */
  #isServed(session: Session): boolean {
    const { commits } = this.#context;
    if (session.isComputing) return false;
    return session.unansweredPushes > 0 || session.awaitedRecord > commits.last - commits.pending;
  }

  #hasStalled(session: Session): boolean {
    const { now, options, state } = this.#context;
    return state.clocks.has(session.id) && now - session.lastProgress >= options.limits.progressTimeoutMs;
  }

  #expire(session: Session): void {
    const silentMs = Math.round(this.#context.now - session.lastSeen);
    const error = new PsError('PS_LEASE_EXPIRED', `evicted: nothing arrived for ${silentMs} ms`);
    this.evict(session, session.connection === undefined ? 'disconnected' : 'lease', error);
  }
}
