/**
 * Looking for the next message for a short while instead of sleeping. To sleep and to be woken costs a process more
 * than a small message does, and a sender that wakes the other end for each part of a large one spends a fifth of its
 * time on that: between two processes on two processors some 50 µs, and an interrupt of the other processor each
 * (`docs/performance.md`). So after a message the event loop goes on turning, and sleeps only if nothing comes; where
 * that happens too often, or others want the processor, it is left alone.
 *
 * It holds nothing up: every turn looks after everything else, too.
 */
import { processorWait } from './processorWait.js';

/** How long to look after a small message: some times as long as sleeping and waking would take. */
const WINDOW_MS = 0.2;
/** And so much longer for each byte of its payload: the other end has to take it, and to do something with it. */
const WINDOW_MS_PER_BYTE = 0.8 / 2 ** 20;
/** Messages with larger payloads that follow each other the same way are a stream: the wake-ups hide behind its bytes. */
const SMALL_BYTES = 32_768;
/** A window in which nothing came weighs as much as this many in which something did. */
const MISS_WEIGHT = 2;
const MAX_CREDIT = 8;
/** When the credit is used up, so many messages go by before it is tried again, with the credit for one window. */
const REST_MESSAGES = 256;
/** After so long a time it is asked whether other processes wanted the processor, */
const ROUND_MS = 20;
/** and whether this one waited for it longer than this share of the time; then it rests for so many messages, */
const MAX_WAITING = 0.4;
const LONG_REST_MESSAGES = 2048;
/** and twice as many each time that it finds them again, up to so many. */
const LONGEST_REST_MESSAGES = 16_384;

/** Keeps an event loop awake between messages that follow each other closely. */
export class PollAhead {
  readonly #now: () => number;
  readonly #nextTurn: (look: () => void) => void;
  readonly #waited: () => number;
  readonly #look = () => this.#onTurn();
  #until = 0;
  #isTurning = false;
  #isLooking = false;
  #credit = MAX_CREDIT;
  #rest = 0;
  #longRest = LONG_REST_MESSAGES;
  /** Which way the last message went, if it was large: of two in a row the second is part of a stream. */
  #stream: 'in' | 'out' | undefined;
  /** When this round began, if one has, and what `waited` said then. */
  #roundAt: number | undefined;
  #waitedBefore = 0;

  /** `waited`: how long in all this thread was ready to run and other processes had its processor, in milliseconds. */
  constructor(now: () => number, nextTurn: (look: () => void) => void, waited: () => number) {
    this.#now = now;
    this.#nextTurn = nextTurn;
    this.#waited = waited;
  }

  /** A message begins to come, with so large a payload. */
  comes(payloadBytes: number): void {
    if (!this.#isLooking) return;
    this.#credit = Math.min(MAX_CREDIT, this.#credit + 1);
    if (payloadBytes <= SMALL_BYTES) return;
    if (this.#stream === 'in') this.#isLooking = false;
    else this.#until = this.#now() + windowMs(payloadBytes);
  }

  /** A message with so large a payload has come. */
  came(payloadBytes: number): void {
    this.#passed('in', payloadBytes);
  }

  /** A message with so large a payload was sent. */
  sent(payloadBytes: number): void {
    this.#passed('out', payloadBytes);
  }

  /** Another message may follow. */
  #passed(direction: 'in' | 'out', payloadBytes: number): void {
    const isStream = payloadBytes > SMALL_BYTES && this.#stream === direction;
    this.#stream = payloadBytes > SMALL_BYTES ? direction : undefined;
    if (isStream) this.#isLooking = false;
    else this.#begin(payloadBytes);
  }

  #begin(payloadBytes: number): void {
    if (this.#rest > 0) {
      this.#rest--;
      return;
    }
    const now = this.#now();
    if (this.#isContended(now)) {
      this.#isLooking = false;
      this.#rest = this.#longRest;
      this.#longRest = Math.min(LONGEST_REST_MESSAGES, 2 * this.#longRest);
      return;
    }
    this.#isLooking = true;
    this.#until = now + windowMs(payloadBytes);
    if (this.#isTurning) return;
    this.#isTurning = true;
    this.#nextTurn(this.#look);
  }

  /** Once in a while: whether others wanted the processor since. */
  #isContended(now: number): boolean {
    const elapsed = now - (this.#roundAt ?? Number.NEGATIVE_INFINITY);
    if (elapsed < ROUND_MS) return false;
    const waited = this.#waited();
    const isMeasured = this.#roundAt !== undefined;
    const isContended = isMeasured && waited - this.#waitedBefore > MAX_WAITING * elapsed;
    if (isMeasured && !isContended) this.#longRest = LONG_REST_MESSAGES;
    this.#waitedBefore = waited;
    // What happens during a rest says nothing about looking.
    this.#roundAt = isContended ? undefined : now;
    return isContended;
  }

  #onTurn(): void {
    if (this.#isLooking && this.#now() < this.#until) {
      this.#nextTurn(this.#look);
      return;
    }
    this.#isTurning = false;
    if (!this.#isLooking) return;
    this.#isLooking = false;
    this.#credit -= MISS_WEIGHT;
    if (this.#credit > 0) return;
    this.#rest = REST_MESSAGES;
    this.#credit = MISS_WEIGHT;
    this.#roundAt = undefined;
  }
}

function windowMs(payloadBytes: number): number {
  return WINDOW_MS + payloadBytes * WINDOW_MS_PER_BYTE;
}

/** Of this process's event loop. */
export const pollAhead: PollAhead = new PollAhead(
  () => performance.now(),
  (look) => {
    setImmediate(look);
  },
  processorWait,
);
