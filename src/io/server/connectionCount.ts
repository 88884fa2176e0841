/**
 * How many connections a server takes: in all, and from one address. Those of this machine and those that have
 * shown who they are don't count for their address; whoever only opens sockets is bounded by it.
 */

/** The bounds. */
export interface ConnectionLimits {
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

/** A place among the connections. */
export interface Place {
  /** It is known whose it is: its address has room for another. */
  authenticated(): void;
  /** Its socket has closed. */
  release(): void;
}

/** Counts sockets from their upgrade request to their end. */
export class ConnectionCount {
  readonly #limits: ConnectionLimits;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** Places that are taken. */
  get total(): number {
    return this.#total;
  }

  /** A place for a socket from `address`, or the HTTP status that it is refused with. */
  take(address: string | undefined): Place | '503 Service Unavailable' | '429 Too Many Requests' {
    const { maxConnections, maxConnectionsPerAddress } = this.#limits;
    if (this.#total >= maxConnections) return '503 Service Unavailable';
    const counted = address === undefined || isLoopback(address) ? undefined : address;
    if (counted !== undefined && (this.#byAddress.get(counted) ?? 0) >= maxConnectionsPerAddress) {
      return '429 Too Many Requests';
    }
    this.#total++;
    if (counted !== undefined) this.#byAddress.set(counted, (this.#byAddress.get(counted) ?? 0) + 1);
    return this.#place(counted);
  }

  #place(address: string | undefined): Place {
    let isCounted = address !== undefined;
    let isTaken = true;
    const authenticated = (): void => {
      if (isCounted) this.#forget(address as string);
      isCounted = false;
    };
    const release = (): void => {
      authenticated();
      if (isTaken) this.#total--;
      isTaken = false;
    };
    return { authenticated, release };
  }

  #forget(address: string): void {
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }
}

/** Whether `address` is one of this machine alone; IPv4 addresses may be written as IPv6 ones. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^(::ffff:)?127(\.\d{1,3}){3}$/i.test(address);
}
