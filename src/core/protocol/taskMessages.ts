/**
 * The messages about data shards and generic tasks, as objects: requests that a worker fills its hands
 * with, and what comes back. Inputs, items and results travel as payload, in chunks. The numbers are those
 * of `MessageType`: 20–31 from worker to server, 80–95 from server to worker.
 */

// From worker to server.

/** Say which data shards the worker holds, and ask for another. Answered by DataLease. */
export interface DataRequest {
  readonly t: 20;
  readonly request: number;
  /** The worker's leases; it gives back all others that it was given. */
  readonly held: readonly number[];
  /** Whether it wants one more. */
  readonly wants: boolean;
}

/** Ask for generic tasks. Answered by TaskLeases. */
export interface TaskRequest {
  readonly t: 21;
  readonly request: number;
  /** The worker's leases, if it says: it gives back all others that it was given. */
  readonly held?: readonly number[] | undefined;
  /** How many more it takes. */
  readonly want: number;
  /** How many it works on at the same time. */
  readonly concurrency: number;
}

/** What became of generic tasks. The payload is the first bytes of the results. Answered by TaskAck. */
export interface TaskResults {
  readonly t: 22;
  readonly request: number;
  readonly leases: readonly number[];
  /** Bytes of each one's result. */
  readonly lengths: readonly number[];
  /** Positions, in `leases`, of those that failed: their result says why. */
  readonly failed?: readonly number[] | undefined;
  /** Bytes of all results together. */
  readonly bytes: number;
}

/** The next bytes of TaskResults `request`. */
export interface TaskResultChunk {
  readonly t: 23;
  readonly request: number;
  readonly offset: number;
}

// From server to worker.

/**
 * A data shard, that there will be none any more (`isEnded`), or that none became free in time. The payload
 * is the first bytes of its items.
 */
export interface DataLease {
  readonly t: 80;
  readonly request: number;
  readonly isEnded: boolean;
  /** Absent: no data shard. */
  readonly lease?: number | undefined;
  readonly dataSet?: number | undefined;
  readonly epoch?: number | undefined;
  readonly dataShard?: number | undefined;
  /** Its positions in the epoch's order. */
  readonly begin?: number | undefined;
  readonly end?: number | undefined;
  /** Where the part that is counted ends. */
  readonly from?: number | undefined;
  /** Examples of the epoch. */
  readonly size?: number | undefined;
  /** The seed of the epoch's order; absent: the examples' own order. */
  readonly seed?: number | undefined;
  /** Bytes of the items at [from, end), all together; absent: the worker holds the data. */
  readonly itemBytes?: number | undefined;
}

/** Generic tasks. The payload is the first bytes of their inputs. */
export interface TaskLeases {
  readonly t: 81;
  readonly request: number;
  readonly leases: readonly number[];
  /** Bytes of each one's input. */
  readonly lengths: readonly number[];
  /** Bytes of all inputs together. */
  readonly bytes: number;
  /** Longest result that the server takes. */
  readonly maxResultBytes: number;
}

/** The next bytes of DataLease or TaskLeases `request`. */
export interface LeaseChunk {
  readonly t: 82;
  readonly request: number;
  readonly offset: number;
}

/** These generic tasks are not the worker's any more: their results are not wanted. */
export interface Revoke {
  readonly t: 83;
  readonly leases: readonly number[];
}

/** TaskResults `request` have come. */
export interface TaskAck {
  readonly t: 84;
  readonly request: number;
}

/** What a worker sends about tasks. */
export type TaskWorkerMessage = DataRequest | TaskRequest | TaskResults | TaskResultChunk;

/** What a server sends about tasks. */
export type TaskServerMessage = DataLease | TaskLeases | LeaseChunk | Revoke | TaskAck;
