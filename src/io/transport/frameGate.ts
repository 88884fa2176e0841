/**
 * Holds what arrives while a transport is paused: a socket that stops reading still hands over the
 * messages that it has already read.
 */
export class FrameGate<T> {
  readonly #deliver: (item: T) => void;
  #isPaused = false;
  #kept: T[] = [];

  constructor(deliver: (item: T) => void) {
    this.#deliver = deliver;
  }

  push(item: T): void {
    if (this.#isPaused) this.#kept.push(item);
    else this.#deliver(item);
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Delivers what was kept, in order, until it is paused again. */
  resume(): void {
    if (!this.#isPaused) return;
    const kept = this.#kept;
    this.#kept = [];
    this.#isPaused = false;
    for (const item of kept) this.push(item);
  }

  /** Nothing that is kept will be delivered. */
  clear(): void {
    this.#kept = [];
  }
}
