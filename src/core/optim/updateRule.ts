/**
 * From an optimizer, as the user gives it, to the rule by which the server updates; and between a built-in
 * optimizer and plain JSON data, for journals and other threads.
 */
import { invalidArgument } from '../base/errors.js';
import { adagradKind } from './adagrad.js';
import { adamKind } from './adam.js';
import { adamwKind } from './adamw.js';
import { type BuiltInKind, describe } from './builtIn.js';
import { ftrlKind } from './ftrl.js';
import { checkLearningRate, DEFAULT_LEARNING_RATE, type LearningRate } from './learningRate.js';
import { momentumKind } from './momentum.js';
import { nesterovKind } from './nesterov.js';
import type { BuiltInOptimizer, Optimizer, UpdateRule, UserOptimizer } from './optimizer.js';
import { rmspropKind } from './rmsprop.js';
import { sgdKind } from './sgd.js';
import { checkUserOptimizer, userRule } from './userOptimizer.js';

/** A built-in optimizer as JSON data: its name and hyperparameters. */
export interface OptimizerSpec {
  readonly name: string;
  readonly [hyperparameter: string]: string | number;
}

const kinds = new Map<string, BuiltInKind>(
  [sgdKind, momentumKind, nesterovKind, adagradKind, rmspropKind, adamKind, adamwKind, ftrlKind].map(
    (kind) => [kind.name, kind],
  ),
);

/**
 * Returns `given` as an optimizer that can be used: a built-in one (also one that came as plain data) or one
 * of the user's. Throws `PS_INVALID_ARGUMENT` that begins with `option` for anything else.
 */
export function checkOptimizer(option: string, given: unknown): Optimizer {
  if (typeof given !== 'object' || given === null) throw notAnOptimizer(option, given);
  if ('apply' in given) return checkUserOptimizer(option, given, kinds);
  const { slots: _, ...spec } = given as Partial<BuiltInOptimizer>;
  const kind = kinds.get(String(spec.name));
  if (kind === undefined) throw notAnOptimizer(option, given);
  const { name: __, ...hyperparameters } = spec;
  return describe(kind, hyperparameters);
}

/** The rule of `optimizer`, which `checkOptimizer` has passed. */
export function updateRuleOf(optimizer: Optimizer): UpdateRule {
  if (isUserOptimizer(optimizer)) return userRule(optimizer);
  const kind = kinds.get(optimizer.name);
  if (kind === undefined) throw notAnOptimizer('optimizer', optimizer);
  return kind.rule(optimizer);
}

/**
 * `optimizer` as JSON data, from which `optimizerFromSpec` makes its equal. Throws `PS_INVALID_ARGUMENT` when it
 * holds a function: a learning rate that is one, or the user's `apply`.
 */
export function specOf(optimizer: Optimizer): OptimizerSpec {
  if (isUserOptimizer(optimizer)) {
    throw invalidArgument(
      'optimizer',
      optimizer,
      `a built-in one to be plain data ("${optimizer.name}" is code)`,
    );
  }
  const { slots: _, learningRate, ...hyperparameters } = optimizer;
  if (typeof learningRate === 'function') {
    throw invalidArgument(`${optimizer.name}.learningRate`, learningRate, 'a number to be plain data');
  }
  return { learningRate, ...hyperparameters };
}

/** The built-in optimizer that `spec` tells of. Throws `PS_INVALID_ARGUMENT` if it tells of none. */
export function optimizerFromSpec(spec: unknown): BuiltInOptimizer {
  if (typeof spec === 'object' && spec !== null && 'apply' in spec) throw notAnOptimizer('optimizer', spec);
  return checkOptimizer('optimizer', spec) as BuiltInOptimizer;
}

/** The learning rate that `optimizer` brings. */
export function learningRateOf(optimizer: Optimizer): LearningRate {
  return optimizer.learningRate ?? DEFAULT_LEARNING_RATE;
}

/** `optimizer` with another learning rate. Throws `PS_INVALID_ARGUMENT` if that cannot be one. */
export function withLearningRate(optimizer: Optimizer, learningRate: LearningRate): Optimizer {
  checkLearningRate('learningRate', learningRate);
  if (!isUserOptimizer(optimizer)) return Object.freeze({ ...optimizer, learningRate });
  const { name, slots } = optimizer;
  // Not a spread: the `apply` of a class is not the object's own.
  const apply: UserOptimizer['apply'] = (...range) => optimizer.apply(...range);
  return Object.freeze({ name, slots, learningRate, apply });
}

/** Whether it is an optimizer of the user's own. */
export function isUserOptimizer(optimizer: Optimizer): optimizer is UserOptimizer {
  return 'apply' in optimizer;
}

function notAnOptimizer(option: string, given: unknown): Error {
  const names = [...kinds.keys()].map((name) => `${name}()`).join(' ');
  return invalidArgument(option, given, `an optimizer: ${names} or { name, slots, apply }`);
}
