/**
 * The server's answers, matched to the requests in flight. An answer to a request that was given up
 * is passed over; one to a request that was never made is `PS_PROTOCOL`, and costs the connection.
 */
import type { AskResult } from '../protocol/askMessages.js';
import type { ClockResult, Fault, PullChunk, PullResult, PushResult, Waiting } from '../protocol/messages.js';
import { MessageType } from '../protocol/messages.js';
import type { RowChanges } from '../protocol/rowMessages.js';
import type { VersionStamp } from '../protocol/versionStamp.js';
import type { Effects } from './effects.js';
import { errorOfFault, laggardsOf, unexpected } from './faults.js';
import type { Operation, Operations } from './operations.js';
import type { PulledVersions } from './pulledVersions.js';
import type { PullOperation } from './pullOperation.js';
import type { PushOperation } from './pushOperation.js';
import type { Sender } from './sender.js';
import type { TrainingClock } from './trainingClock.js';

/** What answers are matched with. */
export interface AnswersParts {
  readonly effects: Effects;
  readonly operations: Operations;
  readonly clock: TrainingClock;
  readonly versions: PulledVersions;
  readonly sender: Sender;
  /** A training pull was answered: the next gradient is computed from this version. */
  readonly onPulled: (stamp: VersionStamp, isOfRows: boolean) => void;
}

/** Takes the server's answers. */
export class Answers {
  readonly #parts: AnswersParts;
  #answeredSeq = 0;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
  }

  /** Highest sequence number that was answered. */
  get answeredSeq(): number {
    return this.#answeredSeq;
  }

  /** The server's state ends at push `seq`. */
  restart(seq: number): void {
    this.#answeredSeq = seq;
  }

  /** Where the payload of `message` may be written before it is handed in; undefined: nowhere. */
  place(message: PullResult | PullChunk, bytes: number): Uint8Array | undefined {
    const operation = this.#parts.operations.withWire(message.request);
    return operation?.kind === 'pull' ? operation.place(message, bytes) : undefined;
  }

  /** Takes the head of an answer to a pull. Throws `PS_PROTOCOL` if it does not fit. */
  onPullResult(result: PullResult, payload: Uint8Array, now: number): void {
    const pull = this.#findPull(result.request);
    if (pull === undefined) return;
    this.#parts.clock.adopt(result.clock, result.minClock);
    if (pull.begin(result, payload, now)) this.#endPull(pull);
  }

  /** Takes more of an answer to a pull. Throws `PS_PROTOCOL` if it does not fit. */
  onPullChunk(chunk: PullChunk, payload: Uint8Array, now: number): void {
    const pull = this.#findPull(chunk.request);
    if (pull?.chunk(chunk, payload, now)) this.#endPull(pull);
  }

  #endPull(pull: PullOperation): void {
    const { operations, versions, effects, onPulled } = this.#parts;
    operations.remove(pull);
    const stamp = versions.add(pull.version);
    if (pull.command.training) onPulled(stamp, pull.command.rows !== undefined);
    effects.settle(pull.request, pull.answer(stamp));
  }

  onWaiting(message: Waiting, now: number): void {
    const waiting = this.#find(message.request);
    if (waiting === undefined) return;
    const laggards = laggardsOf(message.laggards);
    if (waiting.kind === 'pull') waiting.wait(message.reason, laggards, now);
    else if (waiting.kind !== 'lease') throw unexpected('a wait of a request that does not wait');
    // A pull that only watches for news is not held up by anyone.
    if (message.reason === 'change') return;
    const { reason } = message;
    this.#parts.effects.observe({ kind: 'waiting', request: waiting.request, reason, laggards });
  }

  onClockResult(result: ClockResult): void {
    const { clock, effects, operations } = this.#parts;
    clock.adopt(result.clock, result.minClock);
    const operation = this.#find(result.request);
    if (operation === undefined) return;
    if (operation.kind !== 'clock') throw unexpected('a clock for another request');
    operations.remove(operation);
    effects.settle(operation.request, { clock: clock.reached, minClock: clock.minClock });
  }

  onAnswer(result: AskResult | RowChanges, payload: Uint8Array): void {
    const { effects, operations, versions } = this.#parts;
    const ask = this.#find(result.request);
    if (ask === undefined) return;
    if (ask.kind !== 'ask') throw unexpected('an answer to another request');
    operations.remove(ask);
    const isOfRows = result.t === MessageType.rowChanges;
    if (isOfRows !== (ask.command.watch !== undefined)) throw unexpected('an answer to another question');
    const changes = isOfRows ? { ...result, since: versions.stamp(result.version) } : undefined;
    effects.settle(ask.request, { bytes: payload.slice(), changes });
  }

  onPushResult(result: PushResult): void {
    this.#parts.clock.adopt(result.clock, result.minClock);
    const push = this.#endPush(result.seq);
    if (push === undefined) return;
    const { outcome, duplicate, version, delay, clock, minClock, progress } = result;
    const answer = { outcome, duplicate, version, delay, clock, minClock, progress };
    this.#parts.effects.settle(push.request, answer);
  }

  /** The server refuses the request or the push that `fault` names. */
  onFault(fault: Fault): void {
    const { clock, effects, operations, sender } = this.#parts;
    const error = errorOfFault(fault);
    if (error.code === 'PS_DRAINING') {
      // Not decided: it will be sent again when the server is back.
      sender.hold();
      return;
    }
    const isPush = fault.seq !== undefined;
    const refused = isPush ? this.#endPush(fault.seq) : this.#find(fault.request ?? 0);
    if (refused === undefined) return;
    operations.remove(refused);
    if (refused.kind !== 'pull' && refused.target !== undefined) clock.refuse(refused.target);
    effects.fail(refused.request, error);
  }

  #endPush(seq: number): PushOperation | undefined {
    const { operations, sender } = this.#parts;
    if (seq > sender.lastSeq) throw unexpected(`an answer to push ${seq} of ${sender.lastSeq}`);
    this.#answeredSeq = Math.max(this.#answeredSeq, seq);
    const push = operations.withSeq(seq);
    if (push !== undefined) operations.remove(push);
    return push;
  }

  #find(wire: number): Exclude<Operation, PushOperation> | undefined {
    const { lastWire } = this.#parts.sender;
    if (wire > lastWire) throw unexpected(`an answer to request ${wire} of ${lastWire}`);
    return this.#parts.operations.withWire(wire);
  }

  #findPull(wire: number): PullOperation | undefined {
    const found = this.#find(wire);
    if (found !== undefined && found.kind !== 'pull') throw unexpected('parameters for no pull');
    return found;
  }
}
