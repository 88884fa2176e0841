/**
 * What goes into the server core and what comes out. The core is a function of these: it holds no
 * sockets, timers, files or promises. A shell (`io/`, or the simulator) feeds the events and carries
 * out the effects, in order, before it returns to its event loop.
 */
import type { PsError } from '../base/errors.js';
import type { Control, Stats } from '../protocol/askMessages.js';
import type { ServerMessage, WaitReason, WorkerMessage } from '../protocol/messages.js';
import type { OutgoingStream } from '../protocol/outgoingStream.js';
import type { JournalRecord } from './records.js';
import type { Role } from './rights.js';

/** Who a connection belongs to, as authentication found it. */
export interface Principal {
  readonly role: Role;
  /** The only worker id that it may claim; undefined: any. */
  readonly id?: string | undefined;
}

/** Into the core. `now` is monotonic time in milliseconds and never falls. */
export type ServerEvent =
  | {
      readonly kind: 'connected';
      readonly connection: number;
      readonly principal: Principal;
      readonly now: number;
    }
  | {
      readonly kind: 'message';
      readonly connection: number;
      readonly message: WorkerMessage;
      readonly payload: Uint8Array;
      readonly now: number;
    }
  /** Bytes that are no message of this protocol. */
  | { readonly kind: 'malformed'; readonly connection: number; readonly error: PsError; readonly now: number }
  | { readonly kind: 'closed'; readonly connection: number; readonly now: number }
  /** Time has passed; due at `nextTickAt` at the latest. */
  | { readonly kind: 'tick'; readonly now: number }
  /** The turn after a `continue` effect. */
  | { readonly kind: 'continue'; readonly now: number }
  /** The bytes of a stream are copied, or will never be sent. Once per stream. */
  | { readonly kind: 'streamEnded'; readonly stream: number; readonly now: number }
  /** Every record up to this number is as durable as was promised. */
  | { readonly kind: 'persisted'; readonly upTo: number; readonly now: number }
  /** Gradients of so many bytes can still be written. */
  | { readonly kind: 'storageRoom'; readonly bytes: number; readonly now: number }
  /** Nothing can be written any more; what is not persisted may be found again or not. */
  | { readonly kind: 'storageFailed'; readonly error: PsError; readonly now: number };

/** Out of the core. */
export type ServerEffect =
  | {
      readonly kind: 'send';
      readonly connection: number;
      readonly message: ServerMessage;
      readonly payload?: Uint8Array;
    }
  | { readonly kind: 'stream'; readonly connection: number; readonly stream: OutgoingStream }
  | { readonly kind: 'close'; readonly connection: number; readonly code: number; readonly reason: string }
  /** Stop and go on reading from a connection: there is no room for what it sends. */
  | { readonly kind: 'pause' | 'resume'; readonly connection: number }
  /** Write this record; its arrays do not change before it is reported as persisted. */
  | { readonly kind: 'persist'; readonly number: number; readonly record: JournalRecord }
  /** Answer what only the shell can; whoever asks has the right. The payload is valid during the call. */
  | {
      readonly kind: 'ask';
      readonly connection: number;
      readonly message: Stats | Control;
      readonly payload: Uint8Array;
    }
  /** Send `continue` in a later turn. */
  | { readonly kind: 'continue' }
  | { readonly kind: 'observe'; readonly observation: Observation };

/** Why a worker left. */
export type LeaveReason = 'goodbye' | 'disconnected' | 'lease' | 'progress' | 'replaced' | 'evicted';

/** What happened, for the shell's events and metrics. */
export type Observation =
  | { readonly kind: 'join'; readonly id: string; readonly epoch: number; readonly role: 'worker' | 'reader' }
  | { readonly kind: 'leave'; readonly id: string; readonly reason: LeaveReason }
  | {
      readonly kind: 'update';
      readonly version: number;
      /** The pusher; several under BSP, in the order in which they were added. */
      readonly workers: readonly string[];
      readonly clock: number;
      readonly delay: number;
      readonly scaled: boolean;
      /** Time that applying it took, by the shell's stopwatch. */
      readonly applyMs: number;
    }
  /** A training pull was answered. */
  | {
      readonly kind: 'pull';
      readonly id: string;
      /** Its worker's clock − minClock. */
      readonly lead: number;
      readonly waitedMs: number;
      /** Why it began to wait; undefined: it did not. */
      readonly reason: WaitReason | undefined;
    }
  | { readonly kind: 'clock'; readonly minClock: number }
  | {
      readonly kind: 'metrics';
      /** The clock that these were pushed in. */
      readonly clock: number;
      readonly workers: number;
      readonly examples: number;
      /** Means over the pushes of this clock, weighted by examples. */
      readonly metrics: Readonly<Record<string, number>>;
    }
  | {
      readonly kind: 'rejected';
      readonly id: string | undefined;
      readonly error: PsError;
      readonly seq?: number;
    }
  | { readonly kind: 'dropped'; readonly id: string; readonly clock: number; readonly delay: number }
  /** A push of a data shard whose examples are counted already, or not its worker's to count. */
  | { readonly kind: 'repeated'; readonly id: string; readonly clock: number }
  /** Every example of an epoch is counted, and its updates are in the parameters. */
  | {
      readonly kind: 'epoch';
      readonly dataSet: number;
      readonly epoch: number;
      readonly examples: number;
      readonly version: number;
      /** Means over the epoch's pushes, weighted by examples. */
      readonly metrics: Readonly<Record<string, number>>;
    }
  /** A data shard is wholly counted. */
  | {
      readonly kind: 'dataShard';
      readonly id: string;
      readonly dataSet: number;
      readonly epoch: number;
      readonly dataShard: number;
      /** Of the epoch: counted so far, and in all. */
      readonly examples: number;
      readonly size: number;
    }
  /** A generic task is done. */
  | { readonly kind: 'taskResult'; readonly task: number; readonly id: string; readonly value: Uint8Array }
  /** A generic task has failed for good. */
  | { readonly kind: 'taskFailed'; readonly task: number; readonly attempts: number; readonly error: PsError }
  /** A checkpoint was taken in the data directory; only the shell knows. */
  | { readonly kind: 'checkpoint'; readonly path: string; readonly bytes: number; readonly version: number }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'error'; readonly error: PsError };
