/**
 * When to try the next connection, and when to give up: exponential backoff with full jitter (a delay
 * uniform in [0, bound], the bound doubling to its maximum), so that workers that lost one server do
 * not come back in step. While a server seems to be started again the bound stays small. It decides nothing
 * about errors that are final.
 */
import type { PsError } from '../base/errors.js';
import type { Random } from '../base/random.js';
import { isRefusal } from './faults.js';

/**
 * For so long after a loss, refusals do not raise the bound above twice the first: a machine that answers at once that
 * nobody listens has a server that is being started again, and is asked for next to nothing.
 */
const RESTART_MS = 60_000;

/** However near a deadline is, delays are spread over so long at least. */
const LEAST_BOUND_MS = 10;

/** How to reconnect. */
export interface ReconnectPolicy {
  /** Attempts after a loss, before the worker gives up. */
  readonly retries: number;
  /** Bound of the first delay. */
  readonly minDelayMs: number;
  /** Largest bound. */
  readonly maxDelayMs: number;
  /** How long the worker may be without a connection before it gives up. */
  readonly maxOfflineMs: number;
}

/** The attempts since the connection was lost. */
export class Reconnection {
  readonly #policy: ReconnectPolicy;
  readonly #random: Random;
  #attempts = 0;
  /** How often the bound has doubled. */
  #doublings = 0;
  #isRestart = false;
  #offlineSince: number | undefined;

  constructor(policy: ReconnectPolicy, random: Random) {
    this.#policy = policy;
    this.#random = random;
  }

  /** Attempts since the last success. */
  get attempts(): number {
    return this.#attempts;
  }

  /** When the worker gives up; Infinity while it is connected. */
  get deadline(): number {
    if (this.#offlineSince === undefined) return Number.POSITIVE_INFINITY;
    return this.#offlineSince + this.#policy.maxOfflineMs;
  }

  /** The worker has no connection from now on, if it had one, because of `error`. */
  lost(now: number, error: PsError): void {
    this.#offlineSince ??= now;
    // Attempts that are counted are not to be used up within seconds.
    const isPatient = this.#policy.retries === Number.POSITIVE_INFINITY;
    this.#isRestart = isRefusal(error) && isPatient && now - this.#offlineSince < RESTART_MS;
  }

  /** The worker has a connection. The backoff starts anew only at `succeeded`. */
  opened(): void {
    this.#offlineSince = undefined;
  }

  /** The connection is of use: the next loss begins with the smallest delay. */
  succeeded(): void {
    this.#attempts = 0;
    this.#doublings = 0;
  }

  /**
   * The delay before the next attempt, or undefined if there is to be none. `afterMs`: the server
   * asked not to come back sooner. `withinMs`: coming back later makes no sense.
   */
  nextDelayMs(afterMs: number, withinMs: number = Number.POSITIVE_INFINITY): number | undefined {
    const { retries, minDelayMs, maxDelayMs } = this.#policy;
    if (this.#attempts >= retries) return undefined;
    const bound = Math.min(maxDelayMs, minDelayMs * 2 ** this.#doublings);
    this.#attempts++;
    if (!this.#isRestart || this.#doublings === 0) this.#doublings = Math.min(this.#doublings + 1, 60);
    // Never less than the smallest: before a deadline ever shorter delays would become a loop without end.
    return afterMs + this.#random.nextFloat() * Math.min(bound, Math.max(withinMs, LEAST_BOUND_MS));
  }

  /** A delay for an attempt that there is new reason for: not counted, and spread like a first one. */
  promptDelayMs(): number {
    return this.#random.nextFloat() * this.#policy.minDelayMs;
  }
}
