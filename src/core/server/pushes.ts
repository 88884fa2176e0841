/**
 * What becomes of a push whose bytes have all come: the rules of exactly once, of the consistency model
 * and of delay, in one place. Every push that is next in its sequence is decided once, and recorded; a
 * repeat is answered from what was decided.
 */
import { PsError } from '../base/errors.js';
import { decideDelay } from '../consistency/delayPolicy.js';
import { clipFactor } from '../optim/clipping.js';
import { faultOf } from '../protocol/faults.js';
import { type Fault, MessageType, type Outcome, type Push, type PushResult } from '../protocol/messages.js';
import { type Job, JobThen, TimedJob } from '../table/job.js';
import type { StagingPool } from '../table/stagingPool.js';
import { type CoreContext, decide } from './context.js';
import type { IncomingPush } from './intake.js';
import type { MetricsWindow } from './metricsWindow.js';
import type { PushRecord } from './records.js';
import type { PushAnswer, Session } from './session.js';

/** Clocks that may collect updates at the same time under BSP: bounds the memory of those ahead. */
const MAX_OPEN_CLOCKS = 8;
const NO_GRADIENT = new Float32Array(0);

type Verdict = Pick<PushRecord, 'outcome' | 'delay' | 'rates' | 'factor' | 'fault'> & {
  /** Of a data shard: its examples are counted already, or not the worker's to count. */
  readonly isDuplicate?: boolean;
};

/** Decides pushes. */
export class PushDesk {
  readonly #context: CoreContext;
  readonly #pool: StagingPool;
  readonly #metrics: MetricsWindow;
  readonly #onRoom: () => void;

  /** `onRoom` is called when a staging area has been given back. */
  constructor(context: CoreContext, pool: StagingPool, metrics: MetricsWindow, onRoom: () => void) {
    this.#context = context;
    this.#pool = pool;
    this.#metrics = metrics;
    this.#onRoom = onRoom;
  }

  /** Begins what is to be done about `push`; its answer is sent once it is decided and committed. */
  begin(session: Session, push: IncomingPush): Job | undefined {
    const { commits, state } = this.#context;
    const { seq } = push.message;
    // Its connection is gone: a worker that is still there sends it again, one that left changes nothing.
    if (push.connection !== session.connection || state.sessions.get(session.id) !== session) {
      this.#release(push);
      return undefined;
    }
    if (seq <= session.decidedSeq) {
      this.#release(push);
      const isCommitted = seq <= session.committedSeq;
      commits.whenCommitted(isCommitted ? 0 : commits.last, () => this.#answerAgain(session, push));
      return undefined;
    }
    if (seq > session.decidedSeq + 1) {
      this.#release(push);
      this.#refuseOutOfOrder(session, push);
      return undefined;
    }
    return this.#decide(session, push);
  }

  #decide(session: Session, push: IncomingPush): Job {
    const { state, commits, now } = this.#context;
    const { message } = push;
    session.lastProgress = now;
    const { outcome, fault, delay, rates, factor, isDuplicate = false } = this.#judge(session, push);
    const isRefused = outcome === 'refused';
    if (!isRefused && !state.clocks.has(session.id)) {
      decide(this.#context, { kind: 'enter', worker: session.id });
    }
    const isUsed = !isRefused && outcome !== 'dropped';
    const { data } = message;
    const decided: PushRecord = {
      kind: 'push',
      worker: session.id,
      epoch: session.epoch,
      seq: message.seq,
      clock: message.clock,
      outcome,
      fault,
      delay,
      rates,
      factor,
      tick: !isRefused && message.tick === session.clock + 1 ? message.tick : undefined,
      tensors: message.tensors,
      rows: isUsed ? message.rows : undefined,
      gradient: isUsed ? (push.gradient as Float32Array) : NO_GRADIENT,
      clipValue: this.#context.options.clip.value,
      data: data === undefined ? undefined : { range: data, metrics: message.metrics, isDuplicate },
    };
    const timed = new TimedJob(state.apply(decided, now), this.#context.stopwatch);
    return new JobThen(timed, () => {
      const answer = session.answerOf(message.seq) as PushAnswer;
      const record = answer.outcome === decided.outcome ? decided : asFailed(decided, answer);
      this.#context.isDirty = true;
      this.#observe(session, push, record, timed.elapsed);
      // Handed on when it is done, so that a journal has records in the order in which they took effect.
      const onCommitted = (): void => {
        this.#release(push);
        session.committedSeq = Math.max(session.committedSeq, message.seq);
        this.#answer(session, push, answer, false);
      };
      commits.whenCommitted(commits.append(record), onCommitted, () => this.#release(push));
    });
  }

  #judge(session: Session, push: IncomingPush): Verdict {
    const refused = { outcome: 'refused', delay: 0, rates: [], factor: 1 } as const;
    const { state, options } = this.#context;
    try {
      if (push.fault !== undefined) throw push.fault;
      checkClock(state.clockOf(session), push.message);
      const delay = this.#delayOf(push.message);
      if (!this.#counts(session, push.message)) {
        return { outcome: 'dropped', delay, rates: [], factor: 1, isDuplicate: true };
      }
      const { outcome, rateFactor } = this.#route(push.message, delay);
      if (outcome === 'dropped') return { outcome, delay, rates: [], factor: 1 };
      this.#context.commits.checkRoom(push.message.bytes);
      const rates = outcome === 'buffered' ? [] : state.table.ratesNow(rateFactor);
      return { outcome, delay, rates, factor: clipFactor(push.normSquared, options.clip.norm) };
    } catch (cause) {
      const error = asRefusal(cause);
      if (error !== cause) this.#context.observe({ kind: 'error', error });
      const { code, message, details } = error;
      return { ...refused, fault: { code, message, tensor: details.tensor } };
    }
  }

  /** Updates applied since the version that the push was computed from. */
  #delayOf({ version: stamp }: Push): number {
    if (stamp === undefined) return 0;
    const { state, options, firstVersion } = this.#context;
    // What an earlier life counted past the version that was recovered is lost, and its numbers are used again.
    const isOfThisLife = stamp.incarnation === options.incarnation;
    const version = isOfThisLife ? stamp.version : Math.min(stamp.version, firstVersion);
    return Math.max(0, state.version - version);
  }

  /**
   * Whether the examples of a push count with it: they are the next of their data shard, and on the shard that
   * owns the queue the worker still holds it. Other pushes count always.
   */
  #counts({ id }: Session, { data: range }: Push): boolean {
    if (range === undefined) return true;
    const { state, options } = this.#context;
    const isOwner = options.shard.index === 0;
    return state.data.progress.counts(range) && (!isOwner || state.data.isHeld(id, range));
  }

  #route(message: Push, delay: number): { outcome: Outcome; rateFactor: number } {
    const { state, options } = this.#context;
    switch (state.policy.route(message.clock, state.clocks)) {
      case 'late':
        return { outcome: 'dropped', rateFactor: 0 };
      case 'buffer':
        if (state.buffers.size >= MAX_OPEN_CLOCKS && !state.buffers.has(message.clock)) {
          throw new PsError(
            'PS_LIMIT',
            `the push is of clock ${message.clock}, too far ahead of the open clock`,
          );
        }
        this.#checkBuffers(message);
        return { outcome: 'buffered', rateFactor: 1 };
      case 'apply': {
        const { isDropped, factor } = decideDelay(options.delay, delay);
        if (isDropped) return { outcome: 'dropped', rateFactor: 0 };
        return { outcome: factor === 1 ? 'applied' : 'scaled', rateFactor: factor };
      }
    }
  }

  /** What waits for its clock to close has a bound, of which those that are ahead may use half. */
  #checkBuffers({ clock, bytes }: Push): void {
    const { state, options } = this.#context;
    const { clockBufferBytes } = options.limits;
    const mayHold = clock > state.clocks.minClock ? clockBufferBytes / 2 : clockBufferBytes;
    const held = state.bufferedBytes;
    if (held + bytes <= mayHold) return;
    const text = `${held} bytes of updates wait for their clocks to close; ${mayHold} may (limits.clockBufferBytes)`;
    throw new PsError('PS_LIMIT', `a push of ${bytes} bytes to clock ${clock}: ${text}`);
  }

  #observe(session: Session, push: IncomingPush, record: PushRecord, applyMs: number): void {
    const { observe, state } = this.#context;
    const { id } = session;
    const { clock, delay, outcome } = record;
    if (outcome === 'refused') {
      const { code, message } = record.fault as NonNullable<PushRecord['fault']>;
      observe({ kind: 'rejected', id, error: new PsError(code, message), seq: record.seq });
      return;
    }
    if (record.data?.isDuplicate === true) {
      observe({ kind: 'repeated', id, clock });
      return;
    }
    // Of a data shard: what was dropped is computed anew.
    const isAgain = record.data !== undefined && outcome === 'dropped';
    if (!isAgain) this.#metrics.add(id, clock, push.message.metrics, push.message.examples);
    this.#observeData(id, record);
    if (outcome === 'dropped') observe({ kind: 'dropped', id, clock, delay });
    else if (outcome !== 'buffered') {
      observe({
        kind: 'update',
        version: state.version,
        workers: [id],
        clock,
        delay,
        scaled: outcome === 'scaled',
        applyMs,
      });
    }
  }

  #observeData(id: string, { data, outcome }: PushRecord): void {
    const { observe, state } = this.#context;
    const { current, countedExamples: examples } = state.data;
    if (data === undefined || outcome === 'dropped' || current === undefined) return;
    const { dataSet, epoch, dataShard, to, end } = data.range;
    if (to < end) return;
    observe({ kind: 'dataShard', id, dataSet, epoch, dataShard, examples, size: current.dataSet.size });
  }

  #answerAgain(session: Session, push: IncomingPush): void {
    const answer = session.answerOf(push.message.seq);
    if (answer !== undefined) {
      this.#answer(session, push, answer, true);
      return;
    }
    const error = new PsError(
      'PS_SEQUENCE',
      `push ${push.message.seq} was answered too long ago to be asked again`,
    );
    this.#send(session, push, { ...faultOf(error), seq: push.message.seq, duplicate: true });
  }

  #answer(session: Session, push: IncomingPush, answer: PushAnswer, duplicate: boolean): void {
    const { seq } = answer;
    if (answer.outcome === 'refused') {
      const { code, message, tensor } = answer.fault as NonNullable<PushAnswer['fault']>;
      const error = new PsError(code, message, { details: tensor === undefined ? {} : { tensor } });
      this.#send(session, push, { ...faultOf(error), seq, duplicate });
      return;
    }
    this.#send(session, push, {
      t: MessageType.pushResult,
      seq,
      outcome: answer.outcome,
      duplicate: duplicate || answer.isDuplicate === true,
      version: answer.version,
      delay: answer.delay,
      clock: session.clock,
      minClock: this.#context.state.clocks.minClock,
      progress: answer.progress,
    });
  }

  #refuseOutOfOrder(session: Session, push: IncomingPush): void {
    const expectedSeq = session.decidedSeq + 1;
    const { seq } = push.message;
    const error = new PsError('PS_SEQUENCE', `push ${seq} came, push ${expectedSeq} is expected`, {
      details: { expectedSeq },
    });
    this.#context.observe({ kind: 'rejected', id: session.id, error, seq });
    this.#send(session, push, { ...faultOf(error), seq });
  }

  /** Sends to the connection that the push came on, if it is still the session's. */
  #send(session: Session, push: IncomingPush, message: Fault | PushResult): void {
    if (session.connection !== push.connection) return;
    session.unansweredPushes--;
    this.#context.emit({ kind: 'send', connection: push.connection, message });
  }

  #release(push: IncomingPush): void {
    push.release(this.#pool);
    this.#onRoom();
  }
}

/** A push may be of its worker's clock or an earlier one, and tick once. */
function checkClock(clock: number, message: Push): void {
  if (message.clock > clock) {
    throw new PsError('PS_CLOCK', `the push is of clock ${message.clock}, the worker is at ${clock}`);
  }
  if (message.tick !== undefined && message.tick > clock + 1) {
    throw new PsError('PS_CLOCK', `the push ticks to ${message.tick}, the worker is at ${clock}`);
  }
}

/** The record of a push that the user's optimizer failed to apply. */
function asFailed(record: PushRecord, answer: PushAnswer): PushRecord {
  const { outcome, fault } = answer;
  return {
    ...record,
    outcome,
    rows: undefined,
    gradient: NO_GRADIENT,
    tick: undefined,
    ...(fault === undefined ? {} : { fault }),
  };
}

/** What the worker is told when the server's own configuration failed. */
function asRefusal(cause: unknown): PsError {
  if (cause instanceof PsError && cause.code !== 'PS_INVALID_ARGUMENT') return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new PsError('PS_INTERNAL', `the server could not apply the push: ${reason}`, { cause });
}
