/**
 * Looking again and again for something that the system does not announce: in the next turns of the event loop at
 * first, then by timer. Not by timers alone, since a browser slows those of a hidden page to one a second.
 */

/** Turns are cheap, but not free: after so long the timer does. */
const TURNS_MS = 4;
/** Between two looks by timer. */
const TIMER_MS = 1;

/** Looks with `look` until it returns true. */
export class Turns {
  readonly #look: () => boolean;
  readonly #channel: MessageChannel | undefined;
  #isLooking = false;
  #since = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(look: () => boolean) {
    this.#look = look;
    if (typeof MessageChannel !== 'function') return;
    this.#channel = new MessageChannel();
    this.#channel.port1.onmessage = () => this.#turn();
  }

  /** Begins to look, in a later turn; does nothing if it does already. */
  begin(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#since = performance.now();
    this.#next();
  }

  /** Looks no more. */
  close(): void {
    this.#isLooking = false;
    clearTimeout(this.#timer);
    this.#channel?.port1.close();
  }

  #next(): void {
    if (this.#channel !== undefined && performance.now() - this.#since < TURNS_MS) {
      this.#channel.port2.postMessage(0);
    } else {
      this.#timer = setTimeout(() => this.#turn(), TIMER_MS);
    }
  }

  #turn(): void {
    if (!this.#isLooking) return;
    if (this.#look()) this.#isLooking = false;
    else this.#next();
  }
}
