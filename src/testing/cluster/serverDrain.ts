/**
 * How a simulated server drains, as `ParameterServer.drain` does: everyone is told, pushes under way are finished,
 * then every connection is closed.
 */
import { PsError } from '../../core/base/errors.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { SimProcess } from '../network/simProcess.js';

/** How long it waits for pushes. */
const DRAIN_MS = 1_000;

type Action = Parameters<ServerCore['command']>[0];

/** What a drain needs of its server. */
export interface DrainHost {
  /** No push is on its way in, and everything decided is committed. */
  isQuiet(): boolean;
  command(action: Action): void;
  /** Every connection is closed. */
  onOver(): void;
}

/** One drain. */
export class ServerDrain {
  readonly #process: SimProcess;
  readonly #retryAfterMs: number;
  readonly #host: DrainHost;
  #isOver = false;

  constructor(process: SimProcess, retryAfterMs: number, host: DrainHost) {
    this.#process = process;
    this.#retryAfterMs = retryAfterMs;
    this.#host = host;
  }

  begin(): void {
    this.#host.command((_context, dispatcher) => dispatcher.announcements.drain(this.#retryAfterMs));
    this.#process.after(DRAIN_MS, () => this.#end());
    this.look();
  }

  /** The server has taken a turn. */
  look(): void {
    if (!this.#isOver && this.#host.isQuiet()) this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const error = new PsError('PS_DRAINING', 'the server is closing', {
      details: { retryAfterMs: this.#retryAfterMs },
    });
    this.#host.command((_context, dispatcher) => dispatcher.closeAll(error));
    this.#host.onOver();
  }
}
