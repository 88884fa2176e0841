/** What a server tells of itself: to its owner (`stats()`, `workers()`), and to those that ask over the wire. */

/** Counts of a server, as `stats()` gives them. */
export interface ServerStats {
  /** Updates applied. */
  readonly version: number;
  readonly minClock: number;
  /** Workers in the clock table. */
  readonly training: number;
  /** Open connections. */
  readonly connections: number;
  /** Pulls that wait. */
  readonly waitingPulls: number;
  /** Versions held for readers. */
  readonly pinnedVersions: number;
  /** Bytes of staging areas in use. */
  readonly stagingBytes: number;
  readonly receivedBytes: number;
  readonly receivedMessages: number;
}

/** One worker or reader, as the server sees it now. */
export interface WorkerInfo {
  readonly id: string;
  readonly role: 'worker' | 'reader';
  /** Which process under this id. */
  readonly epoch: number;
  /** Iterations completed. */
  readonly clock: number;
  /** Clock − minClock; undefined while it does not train. */
  readonly lead: number | undefined;
  /** Delay of its last push, in updates. */
  readonly delay: number;
  /** Milliseconds since anything arrived from it. */
  readonly lastSeenMs: number;
  /** Milliseconds that its training pulls have waited, in all. */
  readonly waitedMs: number;
  /**
   * Milliseconds that pulls of others have waited for it, in all. A wait for two workers is shared between
   * them: the sum over workers is what all have waited for the staleness bound.
   */
  readonly awaitedMs: number;
  /**
   * `training`: in the clock table; `waiting`: so, and a pull of its waits; `computing`: so, and it announced that
   * it computes; `idle`: connected, not training; `disconnected`: its socket closed, its place is kept for a while.
   */
  readonly state: 'training' | 'waiting' | 'computing' | 'idle' | 'disconnected';
}

/** What `Worker.stats()` gives. */
export interface ServerReport {
  readonly stats: ServerStats;
  /** Everyone who is present, the slowest first; at most 1,000. */
  readonly workers: readonly WorkerInfo[];
}
