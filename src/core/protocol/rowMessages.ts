/**
 * The messages about rows of sparse tables, as objects. Ids travel as payload, in chunks; the rows come back as
 * PullResult and PullChunk, or, for readers that keep a copy, as RowChanges. The numbers are those of `MessageType`:
 * 32–39 from worker to server, 96–103 back.
 */
import type { VersionStamp } from './versionStamp.js';

/** What a worker must know of a sparse table. */
export interface WireTable {
  readonly name: string;
  /** Numbers per row. */
  readonly dim: number;
  /** In a group: rows that each server may have at most; undefined: any number. */
  readonly maxRows?: number;
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

/** Ask which rows have changed. Answered by RowChanges or Fault. */
export interface WatchRows {
  readonly t: 34;
  readonly request: number;
  /** Position of the table. */
  readonly table: number;
  /** What the reader has; absent: nothing. */
  readonly since?: VersionStamp | undefined;
  /** `mark` of the answer before. */
  readonly mark?: number | undefined;
  /** `next` of the answer before: the rest of the table from this id on. */
  readonly from?: number | undefined;
  /** Wait until there is enough. */
  readonly wait: boolean;
  /** With `wait`: so many versions after `since` are enough. Absent: 1. */
  readonly versions?: number | undefined;
  /** With `wait`: milliseconds after which anything is. */
  readonly withinMs?: number | undefined;
}

/** Answers WatchRows. The payload: ids of rows, their values, ids that have no row. */
export interface RowChanges {
  readonly t: 98;
  readonly request: number;
  readonly version: number;
  /** How far the changes reach. */
  readonly mark: number;
  readonly rows: number;
  readonly gone: number;
  /** It begins with the whole table: what the reader has is void. */
  readonly whole: boolean;
  /** There is more at once. */
  readonly more: boolean;
  /** Of the whole table: the id that the next part begins at. */
  readonly next?: number | undefined;
}

/** What a worker sends about the rows that it names. */
export type RowWorkerMessage = PullRows | RowIds;
