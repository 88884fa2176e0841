/**
 * Looking for the next message for a short while instead of sleeping. To sleep and to be woken costs a process more
 * than a small message does: between two processes on two processors some 50 µs and two calls of the system, at both
 * ends (`docs/performance.md`). So after a small message the event loop goes on turning, and sleeps only if nothing
 * comes; where that happens too often, or others want the processor, it is left alone.
 *
 * It holds nothing up: every turn looks after everything else, too. Large messages don't count: while one is
 * on its way the time to wake hides behind it.
 */

/** How long to look: as long as sleeping and waking would take. */
const WINDOW_MS = 0.1;
/** Above this a payload takes longer than waking does. */
const SMALL_BYTES = 32_768;
/** A window in which nothing came weighs as much as this many in which something did. */
const MISS_WEIGHT = 2;
const MAX_CREDIT = 8;
/** When the credit is used up, so many messages go by before it is tried again, with the credit for one window. */
const REST_MESSAGES = 256;
/** After so many windows it is asked whether other processes wanted the processor, */
const ROUND_WINDOWS = 32;
/** and took it away from this one at least so often, round after round; then it rests for so many messages. */
const MANY_PREEMPTIONS = 4;
/** Of how many rounds the average is taken: V8's own threads take the processor, too, in bursts of one or two rounds. */
const AVERAGED_ROUNDS = 8;
const LONG_REST_MESSAGES = 2048;

/** Keeps an event loop awake between messages that follow each other closely. */
export class PollAhead {
  readonly #now: () => number;
  readonly #nextTurn: (look: () => void) => void;
  readonly #preemptions: () => number;
  readonly #look = () => this.#onTurn();
  #until = 0;
  #isTurning = false;
  #isLooking = false;
  #credit = MAX_CREDIT;
  #rest = 0;
  /** Windows of this round, and what `preemptions` said when it began. */
  #windows = 0;
  #preempted = 0;
  /** Preemptions of the latest rounds, the older the less: AVERAGED_ROUNDS times their average. */
  #lately = 0;

  /** `preemptions`: how often this process has lost its processor to another. */
  constructor(now: () => number, nextTurn: (look: () => void) => void, preemptions: () => number) {
    this.#now = now;
    this.#nextTurn = nextTurn;
    this.#preemptions = preemptions;
  }

  /** A message begins to come, with so large a payload. */
  comes(payloadBytes: number): void {
    if (this.#isLooking) this.#credit = Math.min(MAX_CREDIT, this.#credit + 1);
    if (payloadBytes > SMALL_BYTES) this.#isLooking = false;
  }

  /** A message with so large a payload has come or was sent: another may follow. */
  begin(payloadBytes: number): void {
    if (payloadBytes > SMALL_BYTES) {
      this.#isLooking = false;
      return;
    }
    if (this.#rest > 0) {
      this.#rest--;
      return;
    }
    if (this.#isContended()) {
      this.#isLooking = false;
      this.#rest = LONG_REST_MESSAGES;
      return;
    }
    this.#isLooking = true;
    this.#until = this.#now() + WINDOW_MS;
    if (this.#isTurning) return;
    this.#isTurning = true;
    this.#nextTurn(this.#look);
  }

  /** Counts a window. Once in a while: whether others wanted the processor in the windows since. */
  #isContended(): boolean {
    if (this.#windows > 0 && this.#windows < ROUND_WINDOWS) {
      this.#windows++;
      return false;
    }
    const preempted = this.#preemptions();
    if (this.#windows > 0) {
      this.#lately += preempted - this.#preempted - this.#lately / AVERAGED_ROUNDS;
    }
    const isContended = this.#lately >= MANY_PREEMPTIONS * AVERAGED_ROUNDS;
    // The next attempt needs less to be given up.
    if (isContended) this.#lately = (MANY_PREEMPTIONS * AVERAGED_ROUNDS) / 2;
    this.#preempted = preempted;
    this.#windows = isContended ? 0 : 1;
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
  }
}

/** Of this process's event loop. */
export const pollAhead: PollAhead = new PollAhead(
  () => performance.now(),
  (look) => {
    setImmediate(look);
  },
  () => process.resourceUsage().involuntaryContextSwitches,
);
