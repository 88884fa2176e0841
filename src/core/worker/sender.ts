/**
 * The rules of sending: requests leave in the order in which they were made; a push only while few
 * enough are unanswered; nothing behind a transfer that has not wholly left, since the server handles
 * requests in the order in which they begin. It reads no answers.
 */
import { MessageType } from '../protocol/messages.js';
import type { PullRows } from '../protocol/rowMessages.js';
import type { VersionStamp } from '../protocol/versionStamp.js';
import type { Catalogue } from '../tensor/catalogue.js';
import type { AskOperation } from './askOperation.js';
import { ClockOperation } from './clockOperation.js';
import type { Effects } from './effects.js';
import { IdStream } from './idStream.js';
import type { Operations } from './operations.js';
import type { PulledVersions } from './pulledVersions.js';
import type { PullOperation } from './pullOperation.js';
import { type PushOperation, PushStream } from './pushOperation.js';
import type { ResultsOperation } from './resultsOperation.js';
import type { TrainingClock } from './trainingClock.js';

/** A push up to this is sent as a copy; a larger one from the caller's own memory. */
const COPIED_BYTES = 16_384;

/** Bounds of what a worker keeps for resending. */
export interface UnansweredLimits {
  readonly maxUnansweredPushes: number;
  /** Bytes of all unanswered pushes; a bound below one whole model counts as one whole model. */
  readonly maxUnansweredBytes: number;
}

/** What the open connection allows. */
export interface Link {
  readonly catalogue: Catalogue;
  readonly incarnation: string;
  readonly chunkBytes: number;
  readonly maxUnansweredPushes: number;
}

/** What the sender works on. */
export interface SenderParts {
  readonly effects: Effects;
  readonly operations: Operations;
  readonly clock: TrainingClock;
  readonly versions: PulledVersions;
  readonly limits: UnansweredLimits;
  /** Never in the clock table. */
  readonly isReadOnly: boolean;
}

/** Sends requests while a connection is open. */
export class Sender {
  readonly #parts: SenderParts;
  #link: Link | undefined;
  #isHeld = false;
  /** The transfer that is leaving. */
  #streaming: number | undefined;
  /** The push that it carries. */
  #leaving: PushOperation | undefined;
  #lastStream = 0;
  #lastWire = 0;
  #lastSeq = 0;
  /** Whether this worker is in the clock table, once everything that was sent has been handled. */
  #isInTable = false;
  /** Whether it ever was. */
  #wasInTable = false;
  #scratch: Uint8Array = new Uint8Array(0);
  /** A push of this step lies in the scratch memory. */
  #isScratchTaken = false;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /** Highest request number that was given out. */
  get lastWire(): number {
    return this.#lastWire;
  }

  /** Whether what was sent last put the worker into the clock table, or left it there. */
  get isInTable(): boolean {
    return this.#isInTable;
  }

  /** Highest sequence number that was given out. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  /** A connection is open: everything unanswered will be sent on it. */
  open(link: Link): void {
    this.#link = link;
    this.#isHeld = false;
    this.#parts.versions.enter(link.incarnation);
    // A server that went back to an older state may have a worker in the table that has left since.
    const place = this.#isInTable ? 'enter' : 'leave';
    if (this.#wasInTable) this.#parts.operations.addFirst(new ClockOperation(place, undefined));
  }

  /** The connection is lost: nothing counts as sent. */
  suspend(): void {
    this.#link = undefined;
    this.#endLeaving();
    // The worker's own re-entry belongs to the connection.
    this.#parts.operations.removeAll((each) => each.kind === 'clock' && each.isReentry);
    for (const each of this.#parts.operations) each.rewind();
  }

  /** Nothing more is sent on this connection: the server is about to close it. */
  hold(): void {
    this.#isHeld = true;
  }

  /** The connection will be closed for a while: others are not to wait for this worker. It enters again with the next. */
  stepOut(): void {
    if (this.#isInTable) this.#parts.effects.send({ t: MessageType.leave, request: ++this.#lastWire });
  }

  /** The next push takes the number after `seq`. */
  restart(seq: number): void {
    this.#lastSeq = seq;
  }

  /** The transfer has left. */
  streamEnded(stream: number): void {
    if (stream === this.#streaming) this.#endLeaving();
  }

  /** The push whose memory the system may still read. */
  get leaving(): PushOperation | undefined {
    return this.#leaving;
  }

  #endLeaving(): void {
    const push = this.#leaving;
    this.#streaming = undefined;
    this.#leaving = undefined;
    if (push?.givenUp === undefined || !this.#parts.operations.has(push)) return;
    this.#parts.effects.fail(push.request, push.givenUp);
    push.detach();
  }

  /** Sends what may be sent. */
  pump(now: number): void {
    if (this.#link === undefined || this.#isHeld) return;
    this.#isScratchTaken = false;
    for (const each of this.#parts.operations) {
      if (each.isSent) continue;
      if (this.#streaming !== undefined) return;
      if (each.kind === 'pull') this.#sendPull(each, this.#link, now);
      else if (each.kind === 'clock') this.#sendClock(each);
      else if (each.kind === 'ask') this.#sendAsk(each);
      else if (each.kind === 'lease') this.#parts.effects.send(each.ask(++this.#lastWire));
      else if (each.kind === 'results') this.#sendResults(each, this.#link);
      else if (this.#hasRoomFor(each, this.#link)) this.#sendPush(each, this.#link);
      else return;
    }
  }

  #sendPull(pull: PullOperation, link: Link, now: number): void {
    const { versions, effects, clock } = this.#parts;
    const { training, ifNewerThan } = pull.command;
    if (training) this.#setInTable(true);
    const stamp: VersionStamp | undefined =
      pull.copied ?? (ifNewerThan === undefined ? undefined : versions.find(ifNewerThan));
    const message = pull.ask(++this.#lastWire, clock.aimed, stamp, now);
    const { ids } = pull;
    if (ids === undefined || ids.length <= Math.min(COPIED_BYTES, link.chunkBytes)) {
      effects.send(message, ids);
      return;
    }
    this.#streaming = ++this.#lastStream;
    effects.stream(new IdStream(this.#streaming, message as PullRows, ids, link.chunkBytes));
  }

  #sendClock(operation: ClockOperation): void {
    if (operation.operation === 'tick') operation.target ??= this.#parts.clock.nextTarget();
    else this.#setInTable(operation.operation === 'enter');
    if (operation.atLeast !== undefined) this.#parts.clock.aim(operation.atLeast);
    this.#parts.effects.send(operation.ask(++this.#lastWire, this.#knownClock()));
  }

  #sendAsk(ask: AskOperation): void {
    this.#parts.effects.send(ask.ask(++this.#lastWire), ask.command.argument);
  }

  #sendResults(results: ResultsOperation, { chunkBytes }: Link): void {
    const stream = results.stream(++this.#lastStream, ++this.#lastWire, chunkBytes);
    this.#streaming = stream.id;
    this.#parts.effects.stream(stream);
  }

  #sendPush(push: PushOperation, link: Link): void {
    const { clock, effects, isReadOnly } = this.#parts;
    this.#setInTable(!isReadOnly);
    push.assignment ??= {
      seq: ++this.#lastSeq,
      clock: clock.aimed,
      tick: push.command.tick ? clock.nextTarget() : undefined,
    };
    push.isSent = true;
    if (push.byteLength <= Math.min(COPIED_BYTES, link.chunkBytes)) {
      // Sent when this step is over, so the memory may serve a push of a later one.
      const { message, payload } = push.whole(() => this.#scratchOf(push.byteLength));
      effects.send(message, payload);
      return;
    }
    this.#streaming = ++this.#lastStream;
    this.#leaving = push;
    effects.stream(new PushStream(this.#streaming, push, link.chunkBytes));
  }

  /** The clock without the ticks that are not answered: the server may not know of those. */
  #knownClock(): number {
    let known = this.#parts.clock.reached;
    for (const each of [...this.#parts.operations].reverse()) {
      if (each.kind !== 'pull' && each.target === known) known--;
    }
    return known;
  }

  #setInTable(isInTable: boolean): void {
    this.#isInTable = isInTable;
    this.#wasInTable ||= isInTable;
  }

  #scratchOf(bytes: number): Uint8Array {
    if (this.#isScratchTaken) return new Uint8Array(bytes);
    this.#isScratchTaken = true;
    if (this.#scratch.length < bytes) this.#scratch = new Uint8Array(bytes);
    return this.#scratch;
  }

  #hasRoomFor(push: PushOperation, link: Link): boolean {
    const { operations, limits } = this.#parts;
    let count = 0;
    let bytes = push.byteLength;
    for (const each of operations) {
      if (each.kind !== 'push' || !each.isSent) continue;
      count++;
      bytes += each.byteLength;
    }
    const modelBytes = link.catalogue.length * Float32Array.BYTES_PER_ELEMENT;
    const maxBytes = Math.max(limits.maxUnansweredBytes, modelBytes);
    const maxCount = Math.min(limits.maxUnansweredPushes, link.maxUnansweredPushes);
    // One alone may always leave: rows of tables are no part of a model's size.
    return count === 0 || (count < maxCount && bytes <= maxBytes);
  }
}
