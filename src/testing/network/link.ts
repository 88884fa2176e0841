/**
 * One simulated connection: two ends, a direction each way, and what can befall them: it can be reset,
 * go silent (half-open: nobody is told), or be held up for a while.
 *
 *     send ──▶ the line (bandwidth) ──taken──▶ under way (latency, in order) ──▶ the other end
 *
 * Frames cross as the bytes that the codec made.
 */
import type { SharedLine } from './conditions.js';
import { Direction, type DirectionParts } from './direction.js';
import { LinkEnd } from './linkEnd.js';
import type { SimProcess } from './simProcess.js';

/** What a link is made with. */
export interface LinkParts extends DirectionParts {
  /** Ends take frames in two parts, without a copy. */
  readonly isZeroCopy: boolean;
  /** The server's line: towards it and away from it. */
  readonly inbound: SharedLine;
  readonly outbound: SharedLine;
}

/** Whether what is under way still arrives when a connection breaks. */
export type InFlight = 'arrives' | 'lost';

/** How a connection is reset. */
export interface Reset {
  /** What is under way to the server, and to the worker. */
  readonly up: InFlight;
  readonly down: InFlight;
  /** When the worker and the server notice. */
  readonly nearMs: number;
  readonly farMs: number;
}

/** A connection between a worker's process and a server's. */
export class Link {
  readonly near: LinkEnd;
  readonly far: LinkEnd;
  readonly #up: Direction;
  readonly #down: Direction;
  #isReset = false;

  /** `near`, `far`: the processes of the worker and the server. */
  constructor(parts: LinkParts, near: SimProcess, far: SimProcess, onEnd: () => void) {
    this.#up = new Direction(parts, parts.inbound);
    this.#down = new Direction(parts, parts.outbound);
    const ended = (): void => {
      if (this.near.isEnded && this.far.isEnded) onEnd();
    };
    this.near = new LinkEnd(parts, near, { out: this.#up, into: this.#down }, ended);
    this.far = new LinkEnd(parts, far, { out: this.#down, into: this.#up }, ended);
  }

  /** Both ends learn, each in its time, that the connection is gone. */
  reset({ up, down, nearMs, farMs }: Reset): void {
    // The news of the first reset is under way; a second one must not drop it.
    if (this.#isReset) return;
    this.#isReset = true;
    if (up === 'lost') this.#up.drop();
    if (down === 'lost') this.#down.drop();
    this.near.loseUntaken();
    this.far.loseUntaken();
    this.#down.end(1006, 'connection reset', nearMs);
    this.#up.end(1006, 'connection reset', farMs);
    this.silence('both');
  }

  /** From now on nothing gets through that way, and nobody is told. */
  silence(way: 'up' | 'down' | 'both'): void {
    if (way !== 'down') this.#up.silence();
    if (way !== 'up') this.#down.silence();
  }

  /** Nothing arrives before `until`, then everything does. */
  hold(until: number): void {
    this.#up.hold(until);
    this.#down.hold(until);
  }

  /** The process of one end is dead; its machine tells the other end, unless it is dead too. */
  died(which: 'near' | 'far', isMachineDead: boolean): void {
    const [end, out, into] =
      which === 'near' ? [this.near, this.#up, this.#down] : [this.far, this.#down, this.#up];
    end.loseUntaken();
    if (!isMachineDead) out.end(1006, 'connection reset');
    out.silence();
    into.silence();
  }
}
