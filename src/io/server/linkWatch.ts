/**
 * Minimum rates of one connection. A worker that takes what it asked for, or sends what it began, more
 * slowly than the bound for a whole window is cut off: it would hold a version or a staging area that
 * others may wait for; if they do, it has a deadline too. Looks at the socket's own counts, so it sees through every transport.
 */

/** Counts of bytes that a socket keeps (`net.Socket` does). */
export interface Wire {
  readonly bytesRead: number;
  /** Including those that are still in its buffer. */
  readonly bytesWritten: number;
}

/** The bounds. */
export interface RateLimits {
  /** Bytes per second; 0: none. */
  readonly minRateBytesPerS: number;
  /** Over how long the rate is taken. */
  readonly rateWindowMs: number;
  /** Bytes for one connection that the system has not taken; with more it is not read from. */
  readonly pauseOutboundBytes: number;
  /** The same; with more it is cut off. */
  readonly maxOutboundBytes: number;
}

/** What is under way on a connection. */
export interface LinkState {
  /** Bytes that wait to be taken by the system. */
  readonly bufferedBytes: number;
  /** Something is being sent to it. */
  readonly isSending: boolean;
  /** A message or a push of its is arriving, and the server reads. */
  readonly isReceiving: boolean;
  /** It announced that its event loop is busy: it can neither read nor send now. */
  readonly isComputing: boolean;
  /** Others wait for what a transfer of it holds, and it takes too long. */
  readonly isHoldingUp: boolean;
}

interface Window {
  readonly since: number;
  readonly bytes: number;
}

/** Watches one connection. */
export class LinkWatch {
  readonly #wire: Wire;
  readonly #limits: RateLimits;
  #sent: Window | undefined;
  #received: Window | undefined;

  constructor(wire: Wire, limits: RateLimits) {
    this.#wire = wire;
    this.#limits = limits;
  }

  /** Why the connection must be cut off now, or undefined. */
  look(now: number, state: LinkState): string | undefined {
    const { maxOutboundBytes } = this.#limits;
    if (state.bufferedBytes > maxOutboundBytes && !state.isComputing) {
      return `more than ${maxOutboundBytes} bytes wait to be read`;
    }
    if (state.isHoldingUp && !state.isComputing) return 'holds up others for too long';
    const taken = this.#wire.bytesWritten - state.bufferedBytes;
    this.#sent = this.#next(this.#sent, now, taken, state.isSending && !state.isComputing);
    if (this.#isTooSlow(this.#sent, now, taken)) return 'reads too slowly';
    const { bytesRead } = this.#wire;
    this.#received = this.#next(this.#received, now, bytesRead, state.isReceiving && !state.isComputing);
    if (this.#isTooSlow(this.#received, now, bytesRead)) return 'sends too slowly';
    return undefined;
  }

  /** The window that goes on, or a new one: after each whole window, and when a transfer begins. */
  #next(window: Window | undefined, now: number, bytes: number, isActive: boolean): Window | undefined {
    if (!isActive) return undefined;
    const isOver = window !== undefined && now - window.since >= this.#limits.rateWindowMs;
    if (window === undefined || (isOver && !this.#isTooSlow(window, now, bytes)))
      return { since: now, bytes };
    return window;
  }

  #isTooSlow(window: Window | undefined, now: number, bytes: number): boolean {
    const { minRateBytesPerS, rateWindowMs } = this.#limits;
    if (window === undefined || now - window.since < rateWindowMs) return false;
    return bytes - window.bytes < (minRateBytesPerS * (now - window.since)) / 1000;
  }
}
