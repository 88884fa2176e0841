/**
 * Optimizers, and what the options say of them, as journals and checkpoints keep them: names and numbers.
 * What is code (a user's `apply`, a schedule of learning rates) can't be kept; it is taken from the options
 * that the server starts with. Where they lack it, something stands in that fails when it is used.
 */
import { PsError } from '../base/errors.js';
import { type Consistency, checkConsistency } from '../consistency/consistency.js';
import type { LearningRate } from '../optim/learningRate.js';
import type { Optimizer } from '../optim/optimizer.js';
import { isUserOptimizer, learningRateOf, optimizerFromSpec, withLearningRate } from '../optim/updateRule.js';
import type { Settings } from './records.js';

/** An optimizer as plain data. */
export interface OptimizerImage {
  readonly name: string;
  readonly slots: readonly string[];
  /** Null: a function of the version. */
  readonly learningRate: number | null;
  /** Null: it is the user's code. */
  readonly hyperparameters: Readonly<Record<string, number>> | null;
}

/** `Settings` as plain data. */
export interface SettingsImage {
  readonly optimizers: readonly OptimizerImage[];
  readonly consistency: Consistency;
}

/** Stands for a schedule that no options have. */
export function unknownSchedule(): never {
  throw notKnown('the learning rate, which was a function');
}

/** `optimizer` as plain data. */
export function imageOfOptimizer(optimizer: Optimizer): OptimizerImage {
  const rate = learningRateOf(optimizer);
  const learningRate = typeof rate === 'number' ? rate : null;
  const { name, slots } = optimizer;
  if (isUserOptimizer(optimizer)) return { name, slots: [...slots], learningRate, hyperparameters: null };
  const { name: _, slots: __, learningRate: ___, ...hyperparameters } = optimizer;
  return {
    name,
    slots: [...slots],
    learningRate,
    hyperparameters: hyperparameters as Record<string, number>,
  };
}

/** `settings` as plain data. */
export function imageOfSettings({ optimizers, consistency }: Settings): SettingsImage {
  return { optimizers: optimizers.map(imageOfOptimizer), consistency };
}

/** Whether two images are of the same optimizer. All functions count as the same. */
export function isSameOptimizer(a: OptimizerImage, b: OptimizerImage): boolean {
  const inOrder = ({ hyperparameters }: OptimizerImage): unknown =>
    hyperparameters && Object.entries(hyperparameters).sort(([x], [y]) => (x < y ? -1 : 1));
  return (
    hasSameState(a, b) &&
    a.learningRate === b.learningRate &&
    JSON.stringify(inOrder(a)) === JSON.stringify(inOrder(b))
  );
}

/** Whether one can go on with the slots of the other. */
export function hasSameState(a: OptimizerImage, b: OptimizerImage): boolean {
  const isEqual = a.name === b.name && JSON.stringify(a.slots) === JSON.stringify(b.slots);
  return isEqual && (a.hyperparameters === null) === (b.hyperparameters === null);
}

/**
 * The optimizer that `image` tells of, with code from `known`. Where that lacks it, its `apply` throws
 * `PS_INVALID_ARGUMENT`, or its learning rate is `unknownSchedule`.
 */
export function optimizerOfImage(image: OptimizerImage, known: readonly Optimizer[]): Optimizer {
  const found = known.find((each) => hasSameState(imageOfOptimizer(each), image));
  const rate = found === undefined ? undefined : learningRateOf(found);
  const schedule: LearningRate = typeof rate === 'function' ? rate : unknownSchedule;
  const learningRate = image.learningRate ?? schedule;
  const { name, slots, hyperparameters } = image;
  if (hyperparameters !== null) {
    return withLearningRate(optimizerFromSpec({ ...hyperparameters, name }), learningRate);
  }
  if (found !== undefined) return withLearningRate(found, learningRate);
  const apply = (): never => {
    throw notKnown(`the optimizer "${name}" with slots [${slots.join(', ')}]`);
  };
  return { name, slots, learningRate, apply };
}

/** What `imageOfSettings` gave, with code from `known`. */
export function settingsOfImage(image: SettingsImage, known: readonly Optimizer[]): Settings {
  return {
    optimizers: image.optimizers.map((each) => optimizerOfImage(each, known)),
    consistency: checkConsistency('consistency', image.consistency),
  };
}

function notKnown(what: string): PsError {
  return new PsError('PS_INVALID_ARGUMENT', `the options lack ${what}`, { details: { option: 'optimizer' } });
}
