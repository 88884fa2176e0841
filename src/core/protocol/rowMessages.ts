/**
 * The messages about rows of sparse tables, as objects. Ids travel as payload, in chunks; the rows come back as
 * PullResult and PullChunk. The numbers are those of `MessageType`: 32–39 from worker to server.
 */

/** What a worker must know of a sparse table. */
export interface WireTable {
  readonly name: string;
  /** Numbers per row. */
  readonly dim: number;
}

/** Ask for rows of a table. The payload is the first of their ids. Answered by PullResult, PullChunk…, or Fault. */
export interface PullRows {
  readonly t: 32;
  readonly request: number;
  /** As in Pull. */
  readonly training: boolean;
  readonly clock: number;
  /** Position of the table. */
  readonly table: number;
  /** Bytes of the ids, all chunks together: 8 for each. */
  readonly bytes: number;
}

/** The next ids of PullRows `request`. */
export interface RowIds {
  readonly t: 33;
  readonly request: number;
  /** Position of the payload among the ids, in bytes; chunks come in order, without gaps. */
  readonly offset: number;
}

/** What a worker sends about rows. */
export type RowWorkerMessage = PullRows | RowIds;
