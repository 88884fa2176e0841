/**
 * Holds what arrives while a transport is paused: a socket that stops reading still hands over the
 * messages that it has already read.
 */
export class FrameGate<T> {
  readonly #deliver: (item: T) => void;
  #isPaused = false;
  readonly #kept: T[] = [];

  constructor(deliver: (item: T) => void) {
    this.#deliver = deliver;
  }

  push(item: T): void {
    // Behind those that are being delivered, if there are any.
    if (this.#isPaused || this.#kept.length > 0) this.#kept.push(item);
    else this.#deliver(item);
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Delivers what was kept, in order, until it is paused again. Returns false if it was. */
  resume(): boolean {
    this.#isPaused = false;
    while (this.#kept.length > 0 && !this.#isPaused) this.#deliver(this.#kept.shift() as T);
    return !this.#isPaused;
  }

  /** Nothing that is kept will be delivered. */
  clear(): void {
    this.#kept.length = 0;
  }
}
