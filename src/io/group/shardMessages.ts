/**
 * What a `ServerGroup` and the processes of its shards say to each other, as structured clones. A call is answered
 * once, with a value or an error; large arrays go in pieces before the answer, so that no event loop is held up.
 */
import { PsError, type PsErrorCode, type PsErrorDetails } from '../../core/base/errors.js';
import type { Consistency } from '../../core/consistency/consistency.js';
import type { OptimizerSpec } from '../../core/optim/updateRule.js';
import type { TensorSpec } from '../../core/tensor/catalogue.js';
import type { CheckpointMoment } from '../server/persistence.js';
import type { ParameterServerEvents } from '../server/serverEvents.js';
import type { ServerStats, WorkerInfo } from '../serverReport.js';
import type { CheckpointReport } from '../storage/checkpointTurns.js';

/** Elements of one piece: 1 MiB. */
export const PIECE_ELEMENTS = 262_144;

/** Where a shard's options come from. */
export interface ShardStart {
  readonly index: number;
  readonly count: number;
  /** Plain data. */
  readonly options?: object;
  /** URL of a module that gives them. */
  readonly module?: string;
}

/** What a shard can be asked for: its arguments and its answer. */
export interface ShardCalls {
  /** The tensors of the whole model. */
  start(start: ShardStart): readonly TensorSpec[];
  /** `keepsState`: it can be started again without losing what it acknowledged. */
  listen(): { readonly url: string; readonly keepsState: boolean };
  /** The values held follow as pieces. */
  parameters(): { readonly version: number };
  /** The values to hold came as pieces before. */
  load(): void;
  /** From a path. */
  loadFrom(path: string): void;
  checkpoint(path: string | undefined, at: CheckpointMoment): CheckpointReport;
  workers(): WorkerInfo[];
  stats(): ServerStats;
  finish(reason: string | undefined): void;
  setConsistency(consistency: Consistency): void;
  setOptimizer(optimizer: OptimizerSpec): void;
  setLearningRate(learningRate: number): void;
  drain(options: { retryAfterMs?: number; timeoutMs?: number }): void;
  close(options: { timeoutMs?: number }): void;
}

/** From the group to a shard's process. */
export type ToShard =
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly name: keyof ShardCalls;
      readonly args: readonly unknown[];
    }
  | Piece;

/** From a shard's process to the group. */
export type FromShard =
  | { readonly kind: 'value'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly error: ErrorImage }
  | { readonly kind: 'event'; readonly name: keyof ParameterServerEvents; readonly args: readonly unknown[] }
  | Piece;

/** A part of what a shard holds; `offset` in elements. */
export interface Piece {
  readonly kind: 'piece';
  /** The call that it belongs to. */
  readonly id: number;
  readonly offset: number;
  readonly values: Float32Array;
}

/** An error as plain data. */
export interface ErrorImage {
  readonly code: PsErrorCode;
  readonly message: string;
  readonly details: PsErrorDetails;
}

/** `error` as plain data; what is none of pslib's is `PS_INTERNAL`. */
export function imageOfError(error: unknown): ErrorImage {
  if (error instanceof PsError) return { code: error.code, message: error.message, details: error.details };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'PS_INTERNAL', message, details: {} };
}

/** The error of `image`. */
export function errorOfImage({ code, message, details }: ErrorImage): PsError {
  return new PsError(code, message, { details });
}
