/**
 * Pulls: answered when the consistency bound holds and a version can be held for them, else waiting,
 * each with a deadline. Waiting pulls are looked at again in the same turn in which anything changes
 * that they may wait for, so no wake-up is lost. Pulls of rows wait by the same rules.
 */
import { PsError } from '../base/errors.js';
import { faultOf } from '../protocol/faults.js';
import { MAX_LAGGARDS } from '../protocol/limits.js';
import { MessageType, type Pull, type WaitReason, type WireLaggard } from '../protocol/messages.js';
import type { Job } from '../table/job.js';
import { holdMs, ReadersShare } from './contention.js';
import type { CoreContext } from './context.js';
import type { IncomingIds } from './incomingIds.js';
import { type DensePull, PullAnswers, type RowPull } from './pullAnswers.js';
import { PAST, PullWait } from './pullWait.js';
import { RowWatches } from './rowWatches.js';
import type { Session } from './session.js';

/** How often a waiting worker is told again, if the laggards have changed. */
const NOTICE_EVERY_MS = 1000;

type WaitingPull = { readonly wait: PullWait } & (DensePull | RowPull);

/** The pulls of one server: those that wait and those that are being sent. */
export class PullDesk {
  readonly watches: RowWatches;
  readonly #context: CoreContext;
  readonly #waiting = new Set<WaitingPull>();
  readonly #answers: PullAnswers;
  readonly #share: ReadersShare;
  #overdue: ReadonlySet<number> = new Set();
  #isGateOpen = false;

  /** `later` queues a job behind the updates before it. */
  constructor(context: CoreContext, later: (job: Job) => void) {
    this.#context = context;
    this.watches = new RowWatches(context);
    this.#answers = new PullAnswers(context, later);
    this.#share = new ReadersShare(context.state.table.versions, context.options.limits);
  }

  /** Pulls that wait now. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Since when each session has a training pull that waits. O(waiting pulls). */
  waitingSince(): Map<Session, number> {
    const since = new Map<Session, number>();
    for (const pull of this.#waiting) {
      if (pull.message.training)
        since.set(pull.session, Math.min(pull.wait.since, since.get(pull.session) ?? Infinity));
    }
    return since;
  }

  /** Answers `message` now or keeps it. Throws the typed error that refuses it. */
  ask(session: Session, connection: number, message: Pull): void {
    const selection = this.#context.state.table.catalogue.select(message.tensors);
    this.#take({ session, connection, message, selection, wait: this.#newWait(message.withinMs) });
  }

  /** Answers a pull of rows now or keeps it. */
  askRows(session: Session, connection: number, rows: IncomingIds): void {
    this.#take({ session, connection, message: rows.message, rows, wait: this.#newWait() });
  }

  #newWait(withinMs?: number): PullWait {
    const { options, now } = this.#context;
    return new PullWait(now, options.limits.pullTimeoutMs, withinMs);
  }

  #take(pull: WaitingPull): void {
    const reason = this.#reasonToWait(pull);
    if (reason === undefined && this.#answer(pull)) return;
    if (reason === undefined) pull.wait.heldUpSince = this.#context.now;
    pull.wait.reason = reason ?? 'version';
    this.#charge(pull, reason);
    this.#waiting.add(pull);
    pull.session.waitingPulls++;
  }

  /** Throws `PS_LIMIT` if a connection has asked for too much that is not answered. */
  checkRoom({ waitingPulls }: Session, connection: number): void {
    const { maxRequests } = this.#context.options.limits;
    const open = waitingPulls + this.#answers.countOf(connection, maxRequests - waitingPulls);
    if (open >= maxRequests)
      throw new PsError('PS_LIMIT', `${open} pulls of this connection are not answered`);
  }

  /** Looks at every waiting pull again, oldest first. */
  reconsider(): void {
    this.watches.reconsider();
    for (const pull of this.#waiting) {
      const reason = this.#reasonToWait(pull);
      this.#charge(pull, reason);
      if (reason !== undefined) pull.wait.heldUpSince = undefined;
      else if (this.#answer(pull)) this.#remove(pull);
      else pull.wait.heldUpSince ??= this.#context.now;
    }
  }

  /** A worker that waits for an answer, or is being sent it, is not the one that makes no progress. */
  renewProgress(): void {
    const { now } = this.#context;
    this.#answers.renewProgress();
    for (const { session, message } of this.#waiting) if (message.training) session.lastProgress = now;
  }

  /** The server has paused for so long: nobody could do anything about what a pull waits for. */
  postpone(pausedMs: number): void {
    for (const pull of this.#waiting) {
      pull.wait.deadline += pausedMs;
      pull.wait.enoughAt += pausedMs;
    }
  }

  /** Ends pulls that have waited too long, and tells those that wait whom they wait for. */
  onTick(): void {
    const { now } = this.#context;
    // Whom it waited for may just have been evicted.
    let isDue = this.#context.isDirty;
    for (const pull of this.#waiting) {
      if (pull.wait.enoughAt > now || pull.wait.enoughAt === PAST) continue;
      pull.wait.enoughAt = PAST;
      isDue = true;
    }
    if (isDue) this.reconsider();
    for (const pull of this.#waiting) {
      if (now >= pull.wait.deadline) this.#expire(pull);
      else if (now >= pull.wait.noticeAt) this.#notify(pull);
    }
    this.watches.onTick();
    this.#lookAtHolders();
  }

  /** Whether an answer that is being sent on `connection` has held up others for too long. */
  isOverdue(connection: number): boolean {
    return this.#overdue.has(connection);
  }

  #lookAtHolders(): void {
    const { now, options } = this.#context;
    const since = { version: now, memory: now, training: now };
    for (const pull of this.#waiting) {
      const { message } = pull;
      const { heldUpSince = now } = pull.wait;
      const holds = 'rows' in pull ? 'memory' : 'version';
      since[holds] = Math.min(since[holds], heldUpSince);
      if (message.training && holds === 'version') since.training = Math.min(since.training, heldUpSince);
    }
    const overdue = (['version', 'memory'] as const).flatMap((holds) =>
      now - since[holds] < holdMs(options.limits) ? [] : this.#answers.overdue(holds),
    );
    const mustMakeRoom = this.#share.onTick(now, now - since.training);
    this.#overdue = new Set(mustMakeRoom ? [...overdue, ...this.#answers.supernumerary()] : overdue);
  }

  /** When `onTick` has something to do. */
  nextTickAt(): number {
    let at = this.watches.nextTickAt();
    for (const { wait } of this.#waiting) at = Math.min(at, wait.dueAt);
    return at;
  }

  /** Forgets request `request` of a connection, waiting or streaming. */
  cancel(connection: number, request: number): void {
    for (const pull of this.#waiting) {
      if (pull.connection === connection && pull.message.request === request) this.#drop(pull);
    }
    this.#answers.cancel(connection, request);
    this.watches.cancel(connection, request);
  }

  /** Forgets everything of a connection that is gone; its streams end by themselves. */
  forget(connection: number): void {
    for (const pull of this.#waiting) if (pull.connection === connection) this.#drop(pull);
    this.#answers.cancel(connection);
    this.watches.cancel(connection);
  }

  /** Whether stream `id` is an answer to a pull. */
  hasStream(id: number): boolean {
    return this.#answers.hasStream(id);
  }

  /** A stream's bytes are copied or will never be sent. */
  onStreamEnded(id: number): void {
    this.#answers.onStreamEnded(id);
  }

  #reasonToWait(pull: WaitingPull): WaitReason | undefined {
    const { state, options } = this.#context;
    const { message } = pull;
    const isPatient = pull.wait.enoughAt !== PAST;
    if (message.t === MessageType.pull && isPatient && this.#answers.isEarly(message)) return 'change';
    if (!message.training) return undefined;
    this.#isGateOpen ||= state.joinedWorkers >= options.minWorkers;
    if (!this.#isGateOpen) return 'minWorkers';
    return state.policy.mayPull(clockOf(pull), state.clocks) ? undefined : 'staleness';
  }

  /** Sends the answer; false if no version, or no memory for rows, is free for it now. */
  #answer(pull: WaitingPull): boolean {
    const { policy } = this.#context.state;
    if ('rows' in pull) {
      if (!this.#answers.sendRows(pull)) return false;
    } else {
      const { training } = pull.message;
      const mayReadOld = ({ minClock }: { minClock: number }): boolean =>
        !training || policy.mayReadOld(clockOf(pull), minClock);
      const isCurrent = this.#answers.isCurrent(pull.message);
      if (!this.#answers.sendDense(pull, mayReadOld)) return false;
      if (isCurrent) return true;
    }
    if (pull.message.training) this.#observe(pull);
    return true;
  }

  #observe({ session, wait }: WaitingPull): void {
    const { state, now } = this.#context;
    const lead = Math.max(0, session.clock - state.clocks.minClock);
    this.#context.observe({
      kind: 'pull',
      id: session.id,
      lead,
      waitedMs: now - wait.since,
      reason: wait.reason,
    });
  }

  /** `pull` will not be answered. */
  #drop(pull: WaitingPull): void {
    this.#remove(pull);
    if ('rows' in pull) pull.rows.release();
  }

  /** `pull` waits no longer. */
  #remove(pull: WaitingPull): void {
    this.#waiting.delete(pull);
    pull.session.waitingPulls--;
    this.#charge(pull, undefined);
    if (pull.message.training) pull.session.waitedMs += this.#context.now - pull.wait.since;
  }

  /** Its wait is charged to those below its clock while `reason` is that. */
  #charge(pull: WaitingPull, reason: WaitReason | undefined): void {
    const { state, waits } = this.#context;
    const awaits =
      reason === 'staleness' ? state.policy.awaitedBelow(clockOf(pull), state.clocks) : undefined;
    if (awaits === pull.wait.awaits) return;
    if (pull.wait.awaits !== undefined) waits.end(pull.wait.awaits);
    if (awaits !== undefined) waits.begin(awaits);
    pull.wait.awaits = awaits;
  }

  #expire(pull: WaitingPull): void {
    this.#drop(pull);
    // What is newer, though not by as much as it waited for, it gets now.
    const isWatch = 'selection' in pull && this.#reasonToWait(pull) === 'change';
    if (isWatch && this.#answers.sendDense(pull, () => true)) {
      return;
    }
    const { options } = this.#context;
    const laggards = this.#reasonToWait(pull) === 'staleness' ? this.#laggards(pull) : [];
    const error = new PsError('PS_PULL_TIMEOUT', this.#explain(pull, laggards), {
      details: { laggards: laggards.map(([id, clock, lastSeenMs]) => ({ id, clock, lastSeenMs })) },
    });
    const { request } = pull.message;
    this.#context.emit({
      kind: 'send',
      connection: pull.connection,
      message: { ...faultOf(error), request },
    });
    this.#context.observe({
      kind: 'warning',
      message: `a pull of ${pull.session.id} ended after ${options.limits.pullTimeoutMs} ms: ${error.message}`,
    });
  }

  #explain(pull: WaitingPull, laggards: readonly WireLaggard[]): string {
    const { state, options } = this.#context;
    const waited = Math.round(this.#context.now - pull.wait.since);
    switch (this.#reasonToWait(pull)) {
      case 'minWorkers':
        return `waited ${waited} ms for ${options.minWorkers} workers; ${state.joinedWorkers} have joined`;
      case 'staleness': {
        const names = laggards.map(([id, clock, ms]) => `${id} (clock ${clock}, last seen ${ms} ms ago)`);
        return `waited ${waited} ms at clock ${clockOf(pull)} for ${names.join(', ') || 'a clock to close'}`;
      }
      default:
        return `waited ${waited} ms for ${'rows' in pull ? 'memory for its rows' : 'a version'} to become free for reading`;
    }
  }

  #laggards(pull: WaitingPull): WireLaggard[] {
    const { state, now } = this.#context;
    const awaited = state.clocks.below(state.policy.awaitedBelow(clockOf(pull), state.clocks));
    return awaited.slice(0, MAX_LAGGARDS).map(({ id, clock }) => {
      const lastSeen = state.sessions.get(id)?.lastSeen ?? now;
      return [id, clock, Math.max(0, Math.round(now - lastSeen))];
    });
  }

  #notify(pull: WaitingPull): void {
    pull.wait.noticeAt = this.#context.now + NOTICE_EVERY_MS;
    const reason = this.#reasonToWait(pull) ?? 'version';
    if (reason === 'change') return;
    const laggards = reason === 'staleness' ? this.#laggards(pull) : [];
    const notice = `${reason} ${laggards.map(([id]) => id).join(' ')}`;
    if (notice === pull.wait.lastNotice) return;
    pull.wait.lastNotice = notice;
    const { request } = pull.message;
    const message = { t: MessageType.waiting, request, reason, laggards } as const;
    this.#context.emit({ kind: 'send', connection: pull.connection, message });
  }
}

/** The clock of the step that a pull is for: a worker that was moved up meanwhile pulls for where it is. */
function clockOf({ message, session }: WaitingPull): number {
  return Math.max(message.clock, session.clock);
}
