/**
 * Both ends' proof of life over one connection: the worker sends a ping when it has sent nothing for a
 * while, and takes the connection for dead when it has heard nothing for a whole lease.
 */
export class Liveness {
  #pingMs = Number.POSITIVE_INFINITY;
  #leaseMs = Number.POSITIVE_INFINITY;
  #sentAt = 0;
  #heardAt = 0;
  /** An answer is due by then; Infinity: none is. */
  #probedUntil = Number.POSITIVE_INFINITY;

  /** A connection is open, with these terms; 0 means never. */
  start(now: number, pingMs: number, leaseMs: number): void {
    this.#pingMs = pingMs > 0 ? pingMs : Number.POSITIVE_INFINITY;
    this.#leaseMs = leaseMs > 0 ? leaseMs : Number.POSITIVE_INFINITY;
    this.#sentAt = now;
    this.heard(now);
  }

  /** Something is asked: the connection is dead if nothing is heard within `ms`. */
  probe(now: number, ms: number): void {
    this.#probedUntil = Math.min(this.#probedUntil, now + ms);
  }

  sent(now: number): void {
    this.#sentAt = now;
  }

  heard(now: number): void {
    this.#heardAt = now;
    this.#probedUntil = Number.POSITIVE_INFINITY;
  }

  get pingAt(): number {
    return this.#sentAt + this.#pingMs;
  }

  get deadAt(): number {
    return Math.min(this.#heardAt + this.#leaseMs, this.#probedUntil);
  }
}
