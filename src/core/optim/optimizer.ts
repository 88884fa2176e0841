/**
 * What an optimizer is: for the user, a description (`adam({ … })`, plain data) or an object of their
 * own with an `apply`; for the server, an `UpdateRule` made from it by `updateRuleOf`.
 *
 * A rule works on ranges: an update of a tensor may be cut into parts applied in different turns
 * of the event loop. It keeps nothing itself: slots and scalars belong to the caller, who saves them.
 */
import type { Kernels } from '../kernels/kernels.js';
import type { LearningRate } from './learningRate.js';

/**
 * An optimizer of pslib: frozen plain data, `name`, `slots`, and its hyperparameters.
 * Unless its learning rate is a function it survives JSON and structured clone.
 */
export interface BuiltInOptimizer {
  readonly name: string;
  /** Names of the arrays kept per parameter, in order. */
  readonly slots: readonly string[];
  readonly learningRate: LearningRate;
}

/** What an optimizer of the user's is told about an update. */
export interface ApplyInfo {
  /** The learning rate of this update, the delay factor worked in. */
  readonly learningRate: number;
  /** Which update of this tensor this is since the slots were made; the first is 1. */
  readonly step: number;
}

/**
 * An optimizer of the user's own. It must be element-wise: `apply` is called once or more per update,
 * on equal ranges, each any contiguous part of a tensor, and must give the same however they are cut.
 */
export interface UserOptimizer {
  /** A name that no built-in optimizer has. */
  readonly name: string;
  /** Names of the arrays kept per parameter, zero at first; may be empty. */
  readonly slots: readonly string[];
  /** Default 0.01. */
  readonly learningRate?: LearningRate;
  /**
   * Updates `parameter` and `slots` (in the order of their names) in place; `gradient` is read only.
   * Must not keep the arrays. If it throws, the whole update is given up, and parameters and slots are as before.
   */
  apply(
    parameter: Float32Array,
    gradient: Float32Array,
    slots: readonly Float32Array[],
    info: ApplyInfo,
  ): void;
}

/** An optimizer: built in, or the user's own. */
export type Optimizer = BuiltInOptimizer | UserOptimizer;

/**
 * The few numbers that a rule keeps per tensor beside the slots; `[0]` is the step, the number of updates
 * since the slots were made. Plain finite numbers: saved and restored with the slots, bit for bit.
 */
export type ScalarState = number[];

/** One range of one update. All arrays have equal lengths. */
export interface UpdateRequest {
  readonly kernels: Kernels;
  /** Receives the new values: `parameter` itself, or an array that overlaps no other. */
  readonly out: Float32Array;
  readonly parameter: Float32Array;
  readonly gradient: Float32Array;
  /** In the order of the rule's slots; updated in place. */
  readonly slots: readonly Float32Array[];
  /** The tensor's scalars, advanced for this update. */
  readonly scalars: Readonly<ScalarState>;
  /** The same as was given to `advance`. */
  readonly learningRate: number;
}

/**
 * How the server applies a gradient. Per update of a tensor: `advance` once, then `update` for each
 * part of it, in any order and cut anyhow, with equal bits.
 */
export interface UpdateRule {
  readonly name: string;
  /** Names of the slots, in order. */
  readonly slots: readonly string[];
  /** What each slot is filled with at first, in order. */
  readonly slotStart: readonly number[];
  /** Whether a range must lie within one tensor. Otherwise neighbours with equal scalars may be updated as one. */
  readonly isPerTensor?: boolean;
  /** Scalars for a tensor whose slots are new. */
  newScalars(): ScalarState;
  /** Mutates `scalars` for the next update. O(1). */
  advance(scalars: ScalarState, learningRate: number): void;
  /** Writes `out` and the slots. Throws only what a user's `apply` throws. O(length). */
  update(request: UpdateRequest): void;
}
