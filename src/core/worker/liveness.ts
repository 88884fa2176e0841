/**
 * Both ends' proof of life over one connection: the worker sends a ping when it has sent nothing for a
 * while, and takes the connection for dead when it has heard nothing for a whole lease.
 */
export class Liveness {
  #pingMs = Number.POSITIVE_INFINITY;
  #leaseMs = Number.POSITIVE_INFINITY;
  #sentAt = 0;
  #heardAt = 0;

  /** A connection is open, with these terms; 0 means never. */
  start(now: number, pingMs: number, leaseMs: number): void {
    this.#pingMs = pingMs > 0 ? pingMs : Number.POSITIVE_INFINITY;
    this.#leaseMs = leaseMs > 0 ? leaseMs : Number.POSITIVE_INFINITY;
    this.#sentAt = now;
    this.#heardAt = now;
  }

  sent(now: number): void {
    this.#sentAt = now;
  }

  heard(now: number): void {
    this.#heardAt = now;
  }

  get pingAt(): number {
    return this.#sentAt + this.#pingMs;
  }

  get deadAt(): number {
    return this.#heardAt + this.#leaseMs;
  }
}
