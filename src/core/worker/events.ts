/**
 * What goes into the worker core and what comes out. The core is a function of these: it holds no
 * sockets, timers or promises. A shell (`io/worker`, or the simulator) feeds the events and carries
 * out the effects, in order, before it returns to its event loop; an event that comes up meanwhile
 * is fed after them. A caller's call is a command with a `request` number of its choice, and ends
 * with exactly one `settle` or `fail` of that number.
 */
import type { Laggard, PsError } from '../base/errors.js';
import type { Message, Outcome, WaitReason, WorkerMessage } from '../protocol/messages.js';
import type { OutgoingStream } from '../protocol/outgoingStream.js';
import type { RowChanges, WatchRows } from '../protocol/rowMessages.js';
import type { DataLease, TaskLeases } from '../protocol/taskMessages.js';
import type { EncodedValue } from '../protocol/valueCodec.js';
import type { VersionStamp } from '../protocol/versionStamp.js';
import type { DataRange } from '../tasks/dataProgress.js';
import type { RowCount } from '../tensor/rowLayout.js';

/** Into the core. `now` is monotonic time in milliseconds and never falls. */
export type WorkerEvent = { readonly now: number } & (WorkerCommand | NetworkEvent);

/** The server that an event or effect concerns, by the position of its url; left out: the first, or only one. */
interface OfServer {
  readonly server?: number | undefined;
}

/** What happens around the core. `connection` is the number of the `connect` effect. */
export type NetworkEvent = OfServer & AnyNetworkEvent;

type AnyNetworkEvent =
  /** `urls`: how many there are, if the shell knows. */
  | { readonly kind: 'opened'; readonly connection: number; readonly urls?: number | undefined }
  | {
      readonly kind: 'message';
      readonly connection: number;
      readonly message: Message;
      readonly payload: Uint8Array;
    }
  /** A part of a message has come, not its end. */
  | { readonly kind: 'progress'; readonly connection: number }
  /** Bytes that are no message of this protocol. */
  | { readonly kind: 'malformed'; readonly connection: number; readonly error: PsError }
  /** The connection ended, or never opened. */
  | {
      readonly kind: 'closed';
      readonly connection: number;
      readonly code: number;
      readonly reason: string;
      readonly cause?: unknown;
    }
  /** The bytes of a stream are copied, or will never be sent. Once per stream. */
  | { readonly kind: 'streamEnded'; readonly stream: number }
  /** The system has taken the message that was sent with `tellTaken: request`. */
  | { readonly kind: 'taken'; readonly request: number }
  /** Time has passed; due at `nextTickAt` at the latest. */
  | { readonly kind: 'tick' }
  /** This process is about to be stopped for a while (a page that is frozen): what is to be said is said now. */
  | { readonly kind: 'sleep' }
  /** It runs again, or the network is back. */
  | { readonly kind: 'wake' };

/** What a caller asks for. */
export type WorkerCommand =
  | { readonly kind: 'connect'; readonly request: number }
  | PullCommand
  | PushCommand
  | ClockCommand
  | AskCommand
  | LeaseCommand
  | ResultsCommand
  /** Announces that the event loop will be busy; settles when the system has taken the message. */
  | { readonly kind: 'computing'; readonly request: number; readonly stepMs: number }
  /** Gives up `request`, which fails with `error`. A push that was sent is still carried through. */
  | { readonly kind: 'cancel'; readonly request: number; readonly error: PsError }
  /** Ends the worker for good; what is pending fails with `error`, or with `PS_CLOSED`. */
  | {
      readonly kind: 'close';
      readonly request: number;
      readonly reason: string;
      readonly error?: PsError | undefined;
    };

/** Ask for parameters. Settles with `PullAnswer`. */
export interface PullCommand {
  readonly kind: 'pull';
  readonly request: number;
  /** Which tensors; undefined: all. */
  readonly tensors: readonly number[] | undefined;
  /** Rows of a sparse table instead of tensors: the answer has one array of all of them. */
  readonly rows?: { readonly table: number; readonly words: Uint32Array } | undefined;
  /** Where to put each of those tensors; undefined, for all or for one: into a fresh array. */
  readonly into: readonly (Float32Array | undefined)[] | undefined;
  readonly training: boolean;
  /** Steps between the worker's next one and the one that the pull is for. Default 0. */
  readonly ahead?: number;
  /** A version that this worker pulled. */
  readonly ifNewerThan: number | undefined;
  readonly wait: boolean;
  /** With `wait`: for a version that is newer by so many. Default 1. */
  readonly versions?: number | undefined;
  /** With `wait`: milliseconds after which any version is enough. Default: the server's `pullTimeoutMs`. */
  readonly withinMs?: number | undefined;
  readonly consistent: boolean;
  /**
   * `into` is a copy of what was pulled as this (empty: of nothing yet), instead of `ifNewerThan`: what has not changed
   * since stays there. Until the pull is answered, and if it fails, the copy is of no version.
   */
  readonly copyOf?: PulledFrom | undefined;
  /** Bound of the wait for the server's answer, and of each pause within it; Infinity: none. */
  readonly timeoutMs: number;
  /** Whether that goes on while there is no connection, which has a bound of its own (`maxOfflineMs`). Default true. */
  readonly countsOffline?: boolean;
}

/** Send a gradient. Settles with `PushAnswer`. */
export interface PushCommand {
  readonly kind: 'push';
  readonly request: number;
  /** Which tensors, in catalogue order; undefined: all. */
  readonly tensors: readonly number[] | undefined;
  /**
   * Their gradients, then for each of `rows` its ids (as the bits of two elements each) and its values. They must not
   * change before the request has ended.
   */
  readonly values: readonly Float32Array[];
  readonly rows?: readonly RowCount[] | undefined;
  /** Raise the clock by 1 after it. */
  readonly tick: boolean;
  /** In a group: the sum of the squares of the whole gradient, of which this is a slice. */
  readonly normSquared?: number | undefined;
  readonly metrics: Readonly<Record<string, number>> | undefined;
  readonly examples: number | undefined;
  /** The pull that the gradient was computed from: `pulled` of its answer. Default the last training pull. */
  readonly computedFrom?: PulledFrom | undefined;
  /** Of a data shard: the examples that it covers. */
  readonly data?: DataRange | undefined;
}

/** Enter or leave the clock table, or raise the clock by 1. Settles with `ClockAnswer`. */
export interface ClockCommand {
  readonly kind: 'clock';
  readonly request: number;
  readonly operation: 'enter' | 'leave' | 'tick';
  /** `enter`, in a group: the clock is to be this at least. */
  readonly clock?: number | undefined;
}

/** Ask for the server's counts, or for an action of it. Settles with `AskAnswer`. */
export interface AskCommand {
  readonly kind: 'ask';
  readonly request: number;
  /** Undefined: the counts. */
  readonly action: string | undefined;
  /** With the counts: `Stats.after`. */
  readonly after?: number | undefined;
  /** JSON; undefined: none. */
  readonly argument: Uint8Array | undefined;
  /** Instead: what has changed in a table; in a group, at which server. */
  readonly watch?: RowWatch | undefined;
  readonly server?: number | undefined;
}

/** What is asked about changed rows; see `WatchRows`. */
export type RowWatch = Omit<WatchRows, 't' | 'request'>;

/** What is said about changed rows, and what the reader then has. */
export type RowWatchAnswer = Omit<RowChanges, 't' | 'request'> & { readonly since: VersionStamp };

/** Ask for a data shard, or for generic tasks. Settles with `LeaseAnswer`. */
export interface LeaseCommand {
  readonly kind: 'lease';
  readonly request: number;
  readonly of: 'data' | 'tasks';
  /** The leases that the caller works on, read whenever this is sent; all others are given back. */
  readonly held: Iterable<number>;
  /** How many it takes; 0: none, it only says what it holds. Data shards come one at a time. */
  readonly want: number;
  /** Tasks that it works on at the same time. */
  readonly concurrency: number;
  /** A longer answer fails with `PS_LIMIT`. */
  readonly maxBytes: number;
  /** Memory for the answer's bytes, if it is large enough; undefined: new memory. */
  readonly into: Uint8Array | undefined;
}

/** Tell what became of generic tasks. Settles when the server has it. */
export interface ResultsCommand {
  readonly kind: 'results';
  readonly request: number;
  readonly leases: readonly number[];
  /** In the same order. They must not change before the request has ended. */
  readonly values: readonly EncodedValue[];
  /** Positions of those that failed. */
  readonly failed: readonly number[];
}

/** Out of the core. */
export type WorkerEffect =
  | (OfServer & ConnectionEffect)
  | { readonly kind: 'settle'; readonly request: number; readonly value: RequestValue }
  | { readonly kind: 'fail'; readonly request: number; readonly error: PsError }
  | { readonly kind: 'observe'; readonly observation: WorkerObservation };

/** What is to be done about a connection. */
type ConnectionEffect =
  /** Open a connection; `opened` or `closed` with its number follows. */
  | { readonly kind: 'connect'; readonly connection: number }
  /** Send at once. When the system has taken it, settle `whenTaken`, or feed `taken` with `tellTaken`. */
  | {
      readonly kind: 'send';
      readonly message: WorkerMessage;
      readonly payload?: Uint8Array | undefined;
      readonly whenTaken?: number | undefined;
      readonly tellTaken?: number | undefined;
    }
  | { readonly kind: 'stream'; readonly stream: OutgoingStream }
  /** A place that was named by `placeOf` is no longer to be written to, in the middle of its payload. */
  | { readonly kind: 'displace' }
  /** End the connection after what was sent. */
  | { readonly kind: 'close'; readonly code: number; readonly reason: string }
  /** End the connection, or the attempt, now; nothing more is heard of it. */
  | { readonly kind: 'terminate' };

/** What a request settles with; undefined for connect, computing and close. */
export type RequestValue = PullAnswer | PushAnswer | ClockAnswer | AskAnswer | LeaseAnswer | undefined;

/** What the server says: JSON in UTF-8, or, of `watch`, rows. */
export interface AskAnswer {
  readonly bytes: Uint8Array;
  readonly changes?: RowWatchAnswer | undefined;
}

/** Parameters, or that there are no newer ones. */
export interface PullAnswer {
  /** One array per tensor asked for; undefined if not modified. */
  readonly arrays: readonly Float32Array[] | undefined;
  /** With `copyOf`: positions, among the tensors asked for, of those that something came of; undefined: all. */
  readonly changed?: readonly number[] | undefined;
  /** The lowest version among the bytes. */
  readonly version: number;
  /** The same for each server, for the push of a gradient that is computed from it. */
  readonly pulled: PulledFrom;
  readonly clock: number;
  readonly minClock: number;
  readonly bytes: number;
}

/** What was pulled: a version of each server, by its position; undefined: it had no part. */
export type PulledFrom = readonly (VersionStamp | undefined)[];

/** What happened to a push. */
export interface PushAnswer {
  readonly outcome: Outcome;
  readonly duplicate: boolean;
  readonly version: number;
  readonly delay: number;
  readonly clock: number;
  readonly minClock: number;
  /** In a group: what became of each shard's part. */
  readonly shards?: readonly ShardPushAnswer[] | undefined;
  /** Of a data shard: how far it is counted; undefined: it is over for this worker. */
  readonly progress?: number | undefined;
}

/** What happened to the part of a push that one shard got. */
export interface ShardPushAnswer {
  /** The shard's index. */
  readonly shard: number;
  readonly outcome: Outcome;
  readonly duplicate: boolean;
  readonly version: number;
  readonly delay: number;
}

/** What the server handed out. */
export interface LeaseAnswer {
  readonly message: DataLease | TaskLeases;
  /** Items or inputs. */
  readonly bytes: Uint8Array;
}

/** The clocks after Enter, Leave or Tick. */
export interface ClockAnswer {
  readonly clock: number;
  readonly minClock: number;
}

/** The server lost updates, or its whole state, that this worker had answers for. */
export interface Rollback {
  /** Pushes of this worker that are in the server's state no more, or never were. */
  readonly lostPushes: number;
  /** How many of them had not been answered; they failed with `PS_OUTCOME_UNKNOWN`. */
  readonly unansweredPushes: number;
  /** Sequence numbers of the lost pushes, both inclusive; `toSeq` < `fromSeq` if there are none. */
  readonly fromSeq: number;
  readonly toSeq: number;
  /** Whether the server started afresh, rather than from an older state of its own. */
  readonly startedAfresh: boolean;
  /** The worker's clock from now on. */
  readonly clock: number;
  /** The server's version. */
  readonly version: number;
}

/** What happened, for the shell's events; in a group, at which server. */
export type WorkerObservation = OfServer & AnyObservation;

type AnyObservation =
  | { readonly kind: 'connecting'; readonly attempt: number }
  | {
      readonly kind: 'open';
      readonly incarnation: string;
      readonly epoch: number;
      readonly resumed: boolean;
      readonly clock: number;
      readonly version: number;
    }
  | {
      readonly kind: 'waiting';
      readonly request: number;
      readonly reason: WaitReason;
      readonly laggards: readonly Laggard[];
    }
  /** The connection was lost, or an attempt failed; the next is made in `delayMs`. */
  | {
      readonly kind: 'reconnecting';
      readonly attempt: number;
      readonly delayMs: number;
      readonly error: PsError;
    }
  /** Generic tasks that are not this worker's any more. */
  | { readonly kind: 'revoked'; readonly leases: readonly number[] }
  | { readonly kind: 'rollback'; readonly rollback: Rollback }
  | { readonly kind: 'finish'; readonly reason: string }
  /** The end; `error` is why, unless the worker was asked to close. */
  | { readonly kind: 'closed'; readonly error: PsError | undefined };
