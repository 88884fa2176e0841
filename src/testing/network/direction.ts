/**
 * One way of a simulated connection: a line that takes one frame after the other, and frames under way
 * that arrive in the order in which they were sent. Of several connections each has its own order, so
 * between them everything may overtake everything.
 */
import type { Random } from '../../core/base/random.js';
import { smallJoin } from '../../core/base/smallBytes.js';
import { drawLatencyMs, lineBytes, type NetworkConditions, type SharedLine } from './conditions.js';
import type { SimProcess } from './simProcess.js';
import type { Timeline } from './timeline.js';

/** A frame on its way. Its bytes are read from the sender's memory when the line takes them. */
export class Carried {
  readonly bytes: number;
  readonly #pieces: readonly Uint8Array[];
  #frame: Uint8Array | undefined;
  #isLost = false;

  /** `pieces`: the frame, in one or more parts. */
  constructor(pieces: readonly Uint8Array[]) {
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    this.bytes = bytes;
    this.#pieces = pieces;
    if (pieces.length === 1) this.#frame = pieces[0];
  }

  /** The line takes it. Returns its bytes; undefined if it is lost. */
  take(): Uint8Array | undefined {
    if (this.#isLost) return undefined;
    this.#frame ??= smallJoin(this.#pieces, this.bytes);
    return this.#frame;
  }

  /** The connection ended before the line took it. */
  lose(): void {
    this.#isLost = true;
  }
}

/** Where a direction leads. */
export interface Destination {
  readonly process: SimProcess;
  /** Takes no frames now. */
  readonly isPaused: boolean;
  receive(frame: Uint8Array): void;
  end(code: number, reason: string): void;
}

/** What a direction is made with. */
export interface DirectionParts {
  readonly timeline: Timeline;
  readonly random: Random;
  readonly conditions: NetworkConditions;
}

/** A frame under way, or the news that the connection has ended. */
interface Item {
  readonly arrivesAt: number;
  readonly carried: Carried | undefined;
  readonly code: number;
  readonly reason: string;
}

/** One way of a connection. */
export class Direction {
  readonly #parts: DirectionParts;
  readonly #line: SharedLine;
  readonly #items: Item[] = [];
  #to: Destination | undefined;
  #lineFreeAt = 0;
  #lastArrival = 0;
  #heldUntil = 0;
  #isScheduled = false;
  #isSilent = false;
  readonly #onDue = (): void => this.#deliver();

  /** `line`: the server's, which all its connections share. */
  constructor(parts: DirectionParts, line: SharedLine) {
    this.#parts = parts;
    this.#line = line;
  }

  leadTo(destination: Destination): void {
    this.#to = destination;
  }

  /** Puts a frame on the line; returns when the line has taken it, Infinity if it never will. */
  carry(carried: Carried): number {
    if (this.#isSilent) return Number.POSITIVE_INFINITY;
    const { timeline, conditions } = this.#parts;
    const bytes = lineBytes(conditions, carried.bytes);
    const start = Math.max(timeline.now, this.#lineFreeAt, this.#heldUntil);
    this.#lineFreeAt = this.#line.pass(start + bytes / conditions.bytesPerMs, bytes);
    this.#add(this.#lineFreeAt, carried, 0, '');
    return this.#lineFreeAt;
  }

  /** Tells the other end, behind what is under way, that the connection has ended. */
  end(code: number, reason: string, delayMs = 0): void {
    if (this.#isSilent) return;
    const leavesAt = Math.max(this.#parts.timeline.now, this.#lineFreeAt);
    this.#add(leavesAt + delayMs, undefined, code, reason);
  }

  /** Forgets what is under way. */
  drop(): void {
    this.#items.length = 0;
  }

  /** From now on nothing more gets through, and nobody is told. */
  silence(): void {
    this.#isSilent = true;
  }

  /** Nothing arrives before `until`. */
  hold(until: number): void {
    this.#heldUntil = Math.max(this.#heldUntil, until);
  }

  /** Hands over, in its time, what is under way. */
  pump(): void {
    const head = this.#items[0];
    if (head === undefined || this.#isScheduled) return;
    this.#isScheduled = true;
    (this.#to as Destination).process.at(Math.max(head.arrivesAt, this.#heldUntil), this.#onDue);
  }

  #deliver(): void {
    this.#isScheduled = false;
    const to = this.#to as Destination;
    if (to.isPaused) return;
    const { now } = this.#parts.timeline;
    const head = this.#items[0];
    if (head !== undefined && now >= head.arrivesAt && now >= this.#heldUntil) {
      this.#items.shift();
      const frame = head.carried?.take();
      if (head.carried === undefined) to.end(head.code, head.reason);
      else if (frame !== undefined) to.receive(frame);
    }
    this.pump();
  }

  #add(leavesAt: number, carried: Carried | undefined, code: number, reason: string): void {
    const { conditions, random } = this.#parts;
    this.#lastArrival = Math.max(this.#lastArrival, leavesAt + drawLatencyMs(conditions, random));
    this.#items.push({ arrivesAt: this.#lastArrival, carried, code, reason });
    this.pump();
  }
}
