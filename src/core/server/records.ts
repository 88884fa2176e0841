/**
 * The records of the server's state: every change of durable state is one of these, decided first and
 * carried out by `ServerState` afterwards, so that a journal of them replays to the same bits. One that
 * takes several turns is handed on when it is done: records stand in the order in which they took effect. They
 * carry every number that a user's function or the time gave, so that a replay asks neither.
 */
import type { PsErrorCode } from '../base/errors.js';
import type { Consistency } from '../consistency/consistency.js';
import type { LearningRate } from '../optim/learningRate.js';
import type { Optimizer, ScalarState } from '../optim/optimizer.js';
import type { Outcome } from '../protocol/messages.js';
import type { DataRange } from '../tasks/dataProgress.js';
import type { BestEpoch } from '../tasks/dataQueue.js';
import type { DataSet } from '../tasks/dataSet.js';
import type { RowCount } from '../tensor/rowLayout.js';

/** A new session of a worker: a new process under its id, or its first. */
export interface SessionRecord {
  readonly kind: 'session';
  readonly worker: string;
  readonly key: string;
  readonly epoch: number;
}

/** A worker enters the clock table. */
export interface EnterRecord {
  readonly kind: 'enter';
  readonly worker: string;
}

/** A worker leaves the clock table. */
export interface LeaveRecord {
  readonly kind: 'leave';
  readonly worker: string;
}

/** A worker completed its iterations up to `clock`. */
export interface TickRecord {
  readonly kind: 'tick';
  readonly worker: string;
  readonly clock: number;
}

/** Why a push was refused. */
export interface PushFault {
  readonly code: PsErrorCode;
  readonly message: string;
  readonly tensor?: string | undefined;
}

/** A push was decided and carried out. */
export interface PushRecord {
  readonly kind: 'push';
  readonly worker: string;
  /** Of its session: another process may have taken the id over while it was carried out. */
  readonly epoch: number;
  readonly seq: number;
  readonly clock: number;
  readonly outcome: Outcome | 'refused';
  /** Refused: why. */
  readonly fault?: PushFault | undefined;
  readonly delay: number;
  /** Raises the clock after the push. */
  readonly tick?: number | undefined;
  /** Positions of the tensors; undefined: all. */
  readonly tensors?: readonly number[] | undefined;
  /** Rows of tables behind the tensors; undefined: none. */
  readonly rows?: readonly RowCount[] | undefined;
  /** The gradient as it came; empty unless applied, scaled or buffered. */
  readonly gradient: Float32Array;
  /** Factor of clipping by norm. */
  readonly factor: number;
  readonly clipValue: number;
  /** Learning rate of each optimizer group, the delay factor worked in. */
  readonly rates: readonly number[];
  /** The examples that it was computed from. */
  readonly data?: CountedData | undefined;
}

/** What a push of a data shard moves along with the parameters. */
export interface CountedData {
  readonly range: DataRange;
  readonly metrics?: Readonly<Record<string, number>> | undefined;
  /** Dropped since the examples are counted already, or by another worker. */
  readonly isDuplicate: boolean;
}

/** The buffered updates of `clock` are merged and applied. */
export interface CloseRecord {
  readonly kind: 'close';
  readonly clock: number;
  readonly rates: readonly number[];
  /** The user's optimizer threw: the clock closed without its updates. */
  readonly isFailed?: boolean;
}

/** The consistency model is another from here on. */
export interface ConsistencyRecord {
  readonly kind: 'consistency';
  readonly model: Consistency;
  readonly rates: readonly number[];
}

/** The optimizer or its learning rate is another from here on. A journal can keep neither's functions. */
export interface OptimizerRecord {
  readonly kind: 'optimizer';
  readonly optimizer?: Optimizer | undefined;
  readonly learningRate?: LearningRate | undefined;
}

/** What a server's options say of its optimizers, by group, and of its consistency model. */
export interface Settings {
  readonly optimizers: readonly Optimizer[];
  readonly consistency: Consistency;
}

/**
 * The server has started with other options than its state was kept with: from here on the optimizers are
 * these, by group; slots go on.
 */
export interface SettingsRecord {
  readonly kind: 'settings';
  readonly optimizers: readonly Optimizer[];
  /** What the options say now: compared at the next start. */
  readonly configured: Settings;
}

/** All parameters are replaced; and all rows of the tables that `rows` names, by those that stand behind them. */
export interface LoadRecord {
  readonly kind: 'load';
  /**
   * The elements of all tensors; with `state` the slots, each over the whole range; then rows as in a push, but in the order of
   * eviction.
   */
  readonly values: Float32Array;
  /** What the optimizers of tensors go on with. Undefined: they start anew. */
  readonly state?: OptimizerState | undefined;
  /** Undefined: tables stay as they are. */
  readonly rows?: readonly RowCount[] | undefined;
}

/** What stands beside the slots. */
export interface OptimizerState {
  /** How many slots there are. */
  readonly slots: number;
  /** The rules' numbers of each tensor, by position. */
  readonly scalars: readonly ScalarState[];
}

/** A session that was silent for too long is forgotten. */
export interface ExpireRecord {
  readonly kind: 'expire';
  readonly worker: string;
}

/** A data set begins. */
export interface DataSetRecord {
  readonly kind: 'dataSet';
  /** From 1. */
  readonly number: number;
  readonly dataSet: DataSet;
}

/** The data set goes on with `epoch`, or is over. */
export interface EpochRecord {
  readonly kind: 'epoch';
  readonly epoch: number;
  readonly isEnd: boolean;
  /** The best epoch so far, of a server that keeps it. */
  readonly best?: BestEpoch | undefined;
}

/** A worker is given a data shard. */
export interface LeaseRecord {
  readonly kind: 'lease';
  readonly worker: string;
  readonly lease: number;
  readonly dataShard: number;
}

/** A worker's leases end, and their data shards are free again. */
export interface ReleaseRecord {
  readonly kind: 'release';
  readonly worker: string;
  readonly leases: readonly number[];
}

export type JournalRecord =
  | SessionRecord
  | EnterRecord
  | LeaveRecord
  | TickRecord
  | PushRecord
  | CloseRecord
  | ConsistencyRecord
  | OptimizerRecord
  | SettingsRecord
  | LoadRecord
  | ExpireRecord
  | DataSetRecord
  | EpochRecord
  | LeaseRecord
  | ReleaseRecord;
