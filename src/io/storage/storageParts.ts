/** What a `Storage` works with: its options, when it takes checkpoints, and the shell around it. */
import type { PsError } from '../../core/base/errors.js';
import type { ServerEffect } from '../../core/server/events.js';
import type { Settings } from '../../core/server/records.js';
import type { ServerCore } from '../../core/server/serverCore.js';
import type { CheckpointReport } from './checkpointTurns.js';
import type { Disk } from './disk.js';
import type { Self } from './ownerFile.js';

/** What a storage is made of. */
export interface StorageOptions {
  readonly disk: Disk;
  readonly directory: string;
  readonly durability: 'journal' | 'journal-async' | 'checkpoint';
  readonly checkpoint: CheckpointSchedule;
  readonly shard: { readonly index: number; readonly count: number };
  /** What the server's options say. */
  readonly settings: Settings;
  /** Name of the history, if the directory is empty. */
  readonly lineage: string;
  /** Who opens it. */
  readonly self: Self;
  /** 32 random bits for each journal segment. */
  readonly newSalt: () => number;
}

/** When checkpoints are taken and how many are kept. */
export interface CheckpointSchedule {
  /** Infinity: not by time. */
  readonly intervalMs: number;
  /** Bytes of journal; Infinity: not by size. */
  readonly journalBytes: number;
  readonly keep: number;
}

/** The shell that runs the core. */
export interface StorageHost {
  /** Runs `action` on the core and carries its effects out, after what is under way. */
  run(action: (core: ServerCore) => readonly ServerEffect[]): void;
  /** Monotonic milliseconds. */
  now(): number;
  /** Calls `action` after `ms`. */
  after(ms: number, action: () => void): void;
  onCheckpoint(report: CheckpointReport): void;
  onWarning(message: string): void;
  onError(error: PsError): void;
}
