/** What a server tells of itself: to its owner (`stats()`, `workers()`), and to those that ask over the wire. */
import type { PsErrorCode } from '../core/base/errors.js';
import type { Consistency } from '../core/consistency/consistency.js';

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
  /** Bytes written to sockets. */
  readonly sentBytes: number;
  /** Records that are not as durable yet as was promised; 0 without a journal. */
  readonly uncommittedRecords: number;
  /**
   * The code of what it has failed of for good (its journal can't be written, or a fault of its own): it takes
   * nothing any more and has to be started again. Undefined: it goes on.
   */
  readonly failure?: PsErrorCode | undefined;
  /** Milliseconds since the server was made. */
  readonly uptimeMs: number;
  /** The consistency model in force. */
  readonly consistency: Consistency;
  /** Name of the server's optimizer. */
  readonly optimizer: string;
  /** Its learning rate at this version; null where a schedule of the user's throws. */
  readonly learningRate: number | null;
  readonly shard: { readonly index: number; readonly count: number };
  /** The sparse tables. */
  readonly tables: readonly TableStats[];
  /** The data set that workers go through, or went through last; undefined: there was none. */
  readonly data?:
    | {
        /** From 0. */
        readonly epoch: number;
        readonly epochs: number;
        /** Of the present epoch, counted. */
        readonly examples: number;
        /** Examples in an epoch. */
        readonly size: number;
        /** Data shards that workers hold. */
        readonly leasedDataShards: number;
        readonly isEnded: boolean;
      }
    | undefined;
  /** Generic tasks: those that wait for a worker, and those that workers hold. */
  readonly tasks: { readonly waiting: number; readonly leased: number };
}

/** Counts of one sparse table. */
export interface TableStats {
  readonly name: string;
  /** Rows that take memory. */
  readonly rows: number;
  /** Bytes of its values, slots and index. */
  readonly bytes: number;
  /** Rows that got memory, and that lost it to others, in all. */
  readonly born: number;
  readonly evicted: number;
  /** Gradients that were dropped since their id had no row and got none yet. */
  readonly notAdmitted: number;
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

/** One point of a curve: when, at which clock, and the mean of the values that it stands for. */
export type SeriesPoint = readonly [atMs: number, clock: number, value: number];

/** A histogram; plain data. */
export interface HistogramReport {
  /** Upper bounds of the buckets, inclusive, ascending. */
  readonly bounds: readonly number[];
  /** Values in each bucket, not cumulative; the last is of those above every bound. */
  readonly counts: readonly number[];
  /** The sum of all values. */
  readonly sum: number;
}

/** Something that happened, in words. */
export interface RecordedEvent {
  readonly atMs: number;
  readonly level: 'info' | 'warning' | 'error';
  readonly text: string;
}

/** What a server remembers of its life, for those who watch; times are milliseconds since it was made. */
export interface RecordReport {
  /** Now. */
  readonly nowMs: number;
  /** The course of each metric that workers send. */
  readonly metrics: Readonly<Record<string, readonly SeriesPoint[]>>;
  /** Updates and bytes per second. */
  readonly rates: Readonly<Record<'updates' | 'receivedBytes' | 'sentBytes', readonly SeriesPoint[]>>;
  /** Of pushes: delay (updates), apply (ms). Of training pulls: wait (ms), lead (clocks). */
  readonly histograms: Readonly<Record<'delay' | 'apply' | 'wait' | 'lead', HistogramReport>>;
  /** The last few, the newest last. */
  readonly checkpoints: readonly {
    readonly path: string;
    readonly bytes: number;
    readonly version: number;
    readonly atMs: number;
  }[];
  /** The last fifty, the newest last. */
  readonly events: readonly RecordedEvent[];
}

/** What `Worker.stats()` gives. */
export interface ServerReport {
  readonly stats: ServerStats;
  /** Everyone who is present, the slowest first; at most 1,000. */
  readonly workers: readonly WorkerInfo[];
  /** What the asker may do. */
  readonly role?: 'monitor' | 'reader' | 'worker' | 'admin' | undefined;
  /** What happened so far; undefined where a server keeps no record. */
  readonly record?: RecordReport | undefined;
  /**
   * Of a group: what each shard says that is connected now, in their order, with the position of its url. The rest is
   * then what the first of them says.
   */
  readonly shards?: readonly (Omit<ServerReport, 'shards'> & { readonly server: number })[];
}
