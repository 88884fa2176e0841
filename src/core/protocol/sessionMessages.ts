/**
 * The messages of a connection's life, as objects: who comes, that both ends live, how it ends. The numbers are those of
 * `MessageType`.
 */
import type { WireTable } from './rowMessages.js';

/** What becomes of values that are not finite; the position in this list is its number on the wire. */
export const NON_FINITE = ['reject', 'zero', 'allow'] as const;
export type NonFinite = (typeof NON_FINITE)[number];

/** First message of a connection. */
export interface Hello {
  readonly t: 1;
  readonly protocol: number;
  /** The worker's id, stable over its sessions. 1–128 characters. */
  readonly worker: string;
  /** Secret name of this process's session, chosen by the worker: 32 hex digits. */
  readonly session: string;
  /** True: never in the clock table. */
  readonly readOnly: boolean;
  /** The lineage of the last Welcome, when this is a reconnect. */
  readonly lineage?: string | undefined;
  /** Types of messages that it knows, of those that come only to who does. */
  readonly takes?: readonly number[] | undefined;
}

/** The worker leaves for good. */
export interface Goodbye {
  readonly t: 2;
  readonly reason: string;
}

/** Liveness: a browser can neither send nor see ping frames. */
export interface Ping {
  readonly t: 3;
}

/** The worker's event loop will be busy for up to `stepMs`. */
export interface Computing {
  readonly t: 4;
  readonly stepMs: number;
}

/** The server's first message. The payload is the catalogue. */
export interface Welcome {
  readonly t: 64;
  readonly protocol: number;
  /** Name of this life of the server. */
  readonly incarnation: string;
  /** Name of the state's history: kept by a server that recovers, new for one that starts afresh. */
  readonly lineage: string;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly epoch: number;
  /** Whether the session was known. */
  readonly resumed: boolean;
  /** Highest seq of this session that is committed. */
  readonly committedSeq: number;
  readonly clock: number;
  readonly minClock: number;
  readonly version: number;
  /** Largest payload of a message that the server takes. */
  readonly chunkBytes: number;
  readonly maxUnansweredPushes: number;
  readonly leaseMs: number;
  readonly pingMs: number;
  /** Upper bound of `Computing.stepMs`. */
  readonly maxStepMs: number;
  /** How long the server lets a pull wait. */
  readonly pullTimeoutMs: number;
  /** The model's sparse tables; absent: it has none. */
  readonly tables?: readonly WireTable[] | undefined;
  /** In a group: the name that all its shards have. */
  readonly group?: string | undefined;
  /** In a group: what becomes of gradients that are not finite. */
  readonly nonFinite?: NonFinite | undefined;
  /** In a group: how long the place of a worker is kept whose connection has closed. */
  readonly graceMs?: number | undefined;
  /** Clocks by which a worker that pulls may be ahead of the slowest; undefined: any. */
  readonly staleness?: number | undefined;
}

export interface Pong {
  readonly t: 65;
}

/** Every `run` ends after its step. */
export interface Finish {
  readonly t: 67;
  readonly reason: string;
}

/** The server is about to close. */
export interface Drain {
  readonly t: 68;
  readonly retryAfterMs: number;
}

/** The consistency model is another one now. Comes only to who has said in Hello that it takes it. */
export interface Staleness {
  readonly t: 99;
  /** Clocks by which a worker that pulls may be ahead of the slowest; undefined: any. */
  readonly staleness?: number | undefined;
}
