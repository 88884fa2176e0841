/**
 * Upgrade requests take turns. A whole fleet of workers may come at once, as after a restart; whoever goes on opening
 * connections beyond that has a share of the server's time, and waits, so that those who are connected keep the
 * rest. Addresses take turns with each other: a crowd from one does not keep out the others.
 */
import { monotonicNow } from '../time.js';
import { type ConnectionLimits, isLoopback } from './connectionCount.js';

/** After a fleet, new connections have this share of the time: one of so many. */
const SHARE = 20;
/** A request takes so much of it, all told: its Hello and its end too. In times of what the request itself takes. */
const WHOLE_COST = 2;
/** What one takes before any has been measured, and at least and at most, however busy the machine: milliseconds. */
const FIRST_COST_MS = 0.2;
const MIN_COST_MS = 0.02;
const MAX_COST_MS = 2;
/** A fleet is as many as may be connected, or this: some try again. */
const MIN_FLEET = 64;
/** How much one request moves what a request is taken to cost. */
const WEIGHT = 1 / 16;

interface Waiting {
  readonly since: number;
  readonly isGone: () => boolean;
  readonly proceed: () => void;
  readonly refuse: () => void;
}

/** What turns are made of. */
export interface TurnsParts {
  readonly limits: ConnectionLimits;
  /** Longest wait; then a request is refused. */
  readonly maxWaitMs: number;
  /** Requests have to wait. */
  readonly onWait: () => void;
}

/** The requests that wait, and how many may proceed. */
export class UpgradeTurns {
  readonly #parts: TurnsParts;
  readonly #now: () => number;
  readonly #fleet: number;
  /** By address; the first one's turn is next. */
  readonly #waiting = new Map<string, Waiting[]>();
  #count = 0;
  /** Requests that may proceed at once. */
  #allowance: number;
  #at: number;
  #costMs = FIRST_COST_MS;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: TurnsParts, now: () => number = monotonicNow) {
    this.#parts = parts;
    this.#now = now;
    this.#fleet = Math.max(MIN_FLEET, parts.limits.maxConnections);
    this.#allowance = this.#fleet;
    this.#at = now();
  }

  /** Requests that wait. */
  get count(): number {
    return this.#count;
  }

  /** One of `proceed` and `refuse` is called, now or later; neither once `isGone`. */
  take(address: string | undefined, turn: Omit<Waiting, 'since'>): void {
    this.#renew();
    if (this.#count === 0 && this.#allowance >= 1) {
      this.#proceed(turn);
      return;
    }
    this.#parts.onWait();
    const key = address ?? '';
    const queue = this.#waiting.get(key) ?? [];
    if (!this.#hasRoom(key, queue.length)) {
      turn.refuse();
      return;
    }
    queue.push({ ...turn, since: this.#now() });
    this.#waiting.set(key, queue);
    this.#count++;
    this.#wait();
  }

  /** Whether one more of an address may wait; who has most gives up a place for one who has fewer. */
  #hasRoom(address: string, waiting: number): boolean {
    const { maxConnections, maxConnectionsPerAddress } = this.#parts.limits;
    const isCounted = address !== '' && !isLoopback(address);
    if (isCounted && waiting >= maxConnectionsPerAddress) return false;
    if (this.#count < maxConnections) return true;
    let longest: Waiting[] = [];
    for (const queue of this.#waiting.values()) if (queue.length > longest.length) longest = queue;
    if (longest.length <= waiting + 1) return false;
    this.#count--;
    longest.pop()?.refuse();
    return true;
  }

  /** Refuses all that wait. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (let next = this.#next(); next !== undefined; next = this.#next()) next.refuse();
  }

  #renew(): void {
    const now = this.#now();
    const more = (now - this.#at) / (SHARE * WHOLE_COST * this.#costMs);
    this.#allowance = Math.min(this.#fleet, this.#allowance + more);
    this.#at = now;
  }

  #proceed({ proceed }: Pick<Waiting, 'proceed'>): void {
    this.#allowance--;
    const begin = this.#now();
    proceed();
    const costMs = Math.min(MAX_COST_MS, Math.max(MIN_COST_MS, this.#now() - begin));
    this.#costMs += WEIGHT * (costMs - this.#costMs);
  }

  #wait(): void {
    if (this.#timer !== undefined || this.#count === 0) return;
    const missing = Math.max(0, 1 - this.#allowance);
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#goOn();
      },
      Math.ceil(missing * SHARE * WHOLE_COST * this.#costMs),
    );
    this.#timer.unref();
  }

  #goOn(): void {
    this.#renew();
    while (this.#allowance >= 1) {
      const next = this.#next();
      if (next === undefined) break;
      if (next.isGone()) continue;
      if (this.#now() - next.since > this.#parts.maxWaitMs) next.refuse();
      else this.#proceed(next);
    }
    this.#wait();
  }

  #next(): Waiting | undefined {
    for (const [address, queue] of this.#waiting) {
      const next = queue.shift();
      this.#waiting.delete(address);
      if (queue.length > 0) this.#waiting.set(address, queue);
      if (next === undefined) continue;
      this.#count--;
      return next;
    }
    return undefined;
  }
}
