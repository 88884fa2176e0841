/**
 * The callers that wait for a connection: those of `connect`, and what bounds the first one. Whether and when
 * an attempt is made is not decided here.
 */
import { PsError } from '../base/errors.js';
import type { Effects } from './effects.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Requests for a connection. */
export class ConnectCalls {
  readonly #effects: Effects;
  readonly #timeoutMs: number;
  #requests: number[] = [];
  #deadline = NEVER;

  /** `timeoutMs` bounds the first connection, with all its attempts. */
  constructor(effects: Effects, timeoutMs: number) {
    this.#effects = effects;
    this.#timeoutMs = timeoutMs;
  }

  /** When the first connection is given up. */
  get deadline(): number {
    return this.#deadline;
  }

  get isEmpty(): boolean {
    return this.#requests.length === 0;
  }

  add(request: number): void {
    this.#requests.push(request);
  }

  /** The first connection is being made from now on. */
  start(now: number): void {
    this.#deadline = now + this.#timeoutMs;
  }

  /** There is no deadline any more. */
  stop(): void {
    this.#deadline = NEVER;
  }

  /** Gives `request` up; false if it is not here. */
  cancel(request: number, error: PsError): boolean {
    if (!this.#requests.includes(request)) return false;
    this.#requests = this.#requests.filter((each) => each !== request);
    this.#effects.fail(request, error);
    return true;
  }

  settleAll(): void {
    for (const request of this.#requests.splice(0)) this.#effects.settle(request, undefined);
  }

  failAll(error: PsError): void {
    for (const request of this.#requests.splice(0)) this.#effects.fail(request, error);
  }

  /** What the callers are told at the deadline. `cause`: why the last attempt failed. */
  timeoutError(cause: PsError | undefined): PsError {
    const text = `no connection within ${this.#timeoutMs} ms: ${cause?.message ?? 'no answer: is a server at this path?'}`;
    return new PsError('PS_CONNECT_TIMEOUT', text, { cause });
  }
}
