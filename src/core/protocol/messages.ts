/**
 * The messages of `pslib.v1`, as objects. Their bytes are in `codec.ts`, their meaning in
 * `docs/protocol.md`. Type numbers, field names and outcome numbers are never reused.
 */
import type { DataRange } from '../tasks/dataProgress.js';
import type { RowCount } from '../tensor/rowLayout.js';
import type { Ask, AskResult } from './askMessages.js';
import type { RowChanges, RowWorkerMessage, WatchRows } from './rowMessages.js';
import type {
  Computing,
  Drain,
  Finish,
  Goodbye,
  Hello,
  Ping,
  Pong,
  Staleness,
  Welcome,
} from './sessionMessages.js';
import type { TaskServerMessage, TaskWorkerMessage } from './taskMessages.js';
import type { VersionStamp } from './versionStamp.js';

/** The WebSocket subprotocol. */
export const SUBPROTOCOL = 'pslib.v1';
/** The protocol version that Hello and Welcome carry. */
export const PROTOCOL_VERSION = 1;

/** Type numbers: up to 63 from worker to server, from 64 on from server to worker. */
export const MessageType = {
  hello: 1,
  goodbye: 2,
  ping: 3,
  computing: 4,
  enter: 10,
  leave: 11,
  tick: 12,
  pull: 13,
  cancel: 14,
  push: 15,
  pushChunk: 16,
  dataRequest: 20,
  taskRequest: 21,
  taskResults: 22,
  taskResultChunk: 23,
  pullRows: 32,
  rowIds: 33,
  watchRows: 34,
  stats: 46,
  control: 47,
  welcome: 64,
  pong: 65,
  fault: 66,
  finish: 67,
  drain: 68,
  clockResult: 70,
  pullResult: 71,
  pullChunk: 72,
  waiting: 73,
  pushResult: 74,
  dataLease: 80,
  taskLeases: 81,
  leaseChunk: 82,
  revoke: 83,
  taskAck: 84,
  rowChanges: 98,
  staleness: 99,
  statsResult: 110,
  controlResult: 111,
} as const;

/** What happened to a push; the position in this list is its number on the wire. */
export const OUTCOMES = ['applied', 'buffered', 'scaled', 'dropped'] as const;
/** What happened to a push; see `PushResult`. */
export type Outcome = (typeof OUTCOMES)[number];

/** Why a pull waits; the position in this list is its number on the wire. */
export const WAIT_REASONS = ['staleness', 'minWorkers', 'version', 'change', 'data'] as const;
export type WaitReason = (typeof WAIT_REASONS)[number];

// From worker to server.

/** Enter the clock table (start of a run). Answered by ClockResult. */
export interface Enter {
  readonly t: typeof MessageType.enter;
  readonly request: number;
  /** After a reconnect: the clock that it knows of, without ticks to be sent again. In a group: that at other shards. */
  readonly clock?: number | undefined;
}

/** Leave the clock table (end of a run), staying connected. Answered by ClockResult. */
export interface Leave {
  readonly t: typeof MessageType.leave;
  readonly request: number;
  /** As in Enter. */
  readonly clock?: number | undefined;
}

/** Raise the worker's clock to `clock`, at most by 1; repeating it changes nothing. */
export interface Tick {
  readonly t: typeof MessageType.tick;
  readonly request: number;
  readonly clock: number;
}

/** Ask for parameters. Answered by PullResult, PullChunk…, or Fault. */
export interface Pull {
  readonly t: typeof MessageType.pull;
  readonly request: number;
  /** A training pull waits for its consistency bound and enters the clock table. */
  readonly training: boolean;
  /** Training: the clock of the step that it is for. */
  readonly clock: number;
  /** Which tensors; absent: all. */
  readonly tensors?: readonly number[] | undefined;
  /** Answer "not modified" if the version still is this one. */
  readonly ifNewerThan?: VersionStamp | undefined;
  /** With `ifNewerThan`: wait for a newer version instead of answering "not modified". */
  readonly wait: boolean;
  /** With `wait`: newer by so many. Absent: 1. */
  readonly versions?: number | undefined;
  /** With `wait`: milliseconds after which any version is enough. Absent: the time of every pull. */
  readonly withinMs?: number | undefined;
  /** With `consistent`: only what has changed since `ifNewerThan` need come, in at most so many spans. */
  readonly spans?: number | undefined;
  /** False: chunks may be of different versions. */
  readonly consistent: boolean;
}

/** Forget the pull `request`, which waits or streams. Not answered. */
export interface Cancel {
  readonly t: typeof MessageType.cancel;
  readonly request: number;
}

/** Begin a push. The payload is its first chunk. */
export interface Push {
  readonly t: typeof MessageType.push;
  /** Contiguous from 1 per session. */
  readonly seq: number;
  /** The clock the update was made in. */
  readonly clock: number;
  /** The version it was computed from; absent: none was pulled. */
  readonly version?: VersionStamp | undefined;
  /** Which tensors it carries, in catalogue order; absent: all. */
  readonly tensors?: readonly number[] | undefined;
  /** Bytes of the gradient, all chunks together. */
  readonly bytes: number;
  /** Rows of tables that it carries behind the tensors, tables rising; absent: none. */
  readonly rows?: readonly RowCount[] | undefined;
  /** Raise the clock to this after the push. */
  readonly tick?: number | undefined;
  /** At most 32 numbers for the server's `metrics` event. */
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  /** Training examples this update covers. */
  readonly examples?: number | undefined;
  /** In a group: of the whole gradient, which this is a slice of. */
  readonly normSquared?: number | undefined;
  /** Of a data shard: the examples that count with this push. */
  readonly data?: DataRange | undefined;
}

/** The next bytes of push `seq`. */
export interface PushChunk {
  readonly t: typeof MessageType.pushChunk;
  readonly seq: number;
  /** Position of the payload in the gradient, in bytes; chunks come in order, without gaps. */
  readonly offset: number;
}

// From server to worker.

/** A refusal: of a request, of a push, or (with neither) of the connection, which then closes. */
export interface Fault {
  readonly t: typeof MessageType.fault;
  /** Number from the table of faults. */
  readonly code: number;
  readonly message: string;
  readonly request?: number | undefined;
  readonly seq?: number | undefined;
  /** The refusal repeats an earlier answer. */
  readonly duplicate?: boolean | undefined;
  readonly tensor?: string | undefined;
  readonly expectedSeq?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  readonly laggards?: readonly WireLaggard[] | undefined;
}

/** [worker id, clock, milliseconds since it was last heard]. */
export type WireLaggard = readonly [id: string, clock: number, lastSeenMs: number];

/** Answers Enter, Leave and Tick. */
export interface ClockResult {
  readonly t: typeof MessageType.clockResult;
  readonly request: number;
  readonly clock: number;
  readonly minClock: number;
}

/** Begins the answer to a pull. The payload is the first chunk. */
export interface PullResult {
  readonly t: typeof MessageType.pullResult;
  readonly request: number;
  readonly version: number;
  readonly clock: number;
  readonly minClock: number;
  /** Bytes of all chunks together. */
  readonly bytes: number;
  readonly notModified: boolean;
  /** Begin and end of each span that comes, in elements of the selection, rising; absent: all comes. */
  readonly spans?: readonly number[] | undefined;
}

/** The next bytes of the answer to pull `request`. */
export interface PullChunk {
  readonly t: typeof MessageType.pullChunk;
  readonly request: number;
  readonly offset: number;
  /** The version of these bytes; differs from PullResult's only for `consistent: false`. */
  readonly version: number;
}

/** Pull `request` waits, and for whom. Sent when it begins to wait and when the list changes. */
export interface Waiting {
  readonly t: typeof MessageType.waiting;
  readonly request: number;
  readonly reason: WaitReason;
  readonly laggards: readonly WireLaggard[];
}

/** What happened to push `seq`. */
export interface PushResult {
  readonly t: typeof MessageType.pushResult;
  readonly seq: number;
  readonly outcome: Outcome;
  readonly duplicate: boolean;
  /** Version after the push. */
  readonly version: number;
  /** Updates applied between the pull it was computed from and the push. */
  readonly delay: number;
  readonly clock: number;
  readonly minClock: number;
  /** Of a data shard: how far it is counted; absent: it is over for this worker. */
  readonly progress?: number | undefined;
}

/** What a worker sends. */
export type WorkerMessage =
  | Hello
  | Goodbye
  | Ping
  | Computing
  | Enter
  | Leave
  | Tick
  | Pull
  | Cancel
  | Push
  | PushChunk
  | TaskWorkerMessage
  | RowWorkerMessage
  | WatchRows
  | Ask;

/** What a server sends. */
export type ServerMessage =
  | Welcome
  | Pong
  | Fault
  | Finish
  | Drain
  | Staleness
  | ClockResult
  | PullResult
  | PullChunk
  | Waiting
  | PushResult
  | TaskServerMessage
  | RowChanges
  | AskResult;

export type Message = WorkerMessage | ServerMessage;
