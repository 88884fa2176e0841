/**
 * Who holds which task. A lease has a number of its own, higher than every one before: the fencing token
 * (Kleppmann 2016). What comes under a number that is not in the book comes from a holder that lost it.
 */

/** One task in a worker's hands. */
export interface Lease<T> {
  readonly number: number;
  readonly holder: string;
  readonly task: T;
}

/** The leases that are out. */
export class LeaseBook<T> {
  readonly #leases = new Map<number, Lease<T>>();
  readonly #byHolder = new Map<string, Set<number>>();
  #last = 0;

  get size(): number {
    return this.#leases.size;
  }

  /** The highest number that was given out. */
  get last(): number {
    return this.#last;
  }

  /** The leases that are out, in the order in which they were given. */
  [Symbol.iterator](): Iterator<Lease<T>> {
    return this.#leases.values();
  }

  /** Gives `task` to `holder`, under `number` or the next one. */
  give(holder: string, task: T, number: number = this.#last + 1): Lease<T> {
    const lease = { number, holder, task };
    this.#last = Math.max(this.#last, number);
    this.#leases.set(number, lease);
    const held = this.#byHolder.get(holder);
    if (held === undefined) this.#byHolder.set(holder, new Set([number]));
    else held.add(number);
    return lease;
  }

  /** The lease `number`, if it is out, and `holder`'s where one is named. */
  find(number: number, holder?: string): Lease<T> | undefined {
    const lease = this.#leases.get(number);
    return holder === undefined || lease?.holder === holder ? lease : undefined;
  }

  /** What `holder` holds, in the order in which it was given. */
  of(holder: string): Lease<T>[] {
    return [...(this.#byHolder.get(holder) ?? [])].map((number) => this.#leases.get(number) as Lease<T>);
  }

  /** How many `holder` holds. */
  count(holder: string): number {
    return this.#byHolder.get(holder)?.size ?? 0;
  }

  /** Ends the lease `number`; undefined if it is not out. */
  end(number: number): Lease<T> | undefined {
    const lease = this.#leases.get(number);
    if (lease === undefined) return undefined;
    this.#leases.delete(number);
    const held = this.#byHolder.get(lease.holder);
    held?.delete(number);
    if (held?.size === 0) this.#byHolder.delete(lease.holder);
    return lease;
  }

  /** No lease is out. Numbers go on after `last`. */
  restart(last: number): void {
    this.#leases.clear();
    this.#byHolder.clear();
    this.#last = last;
  }
}
