/**
 * What the built-in optimizers have in common: a kind lists its slots and its hyperparameters with their
 * defaults and ranges, and `describe` makes the frozen description from the user's options.
 */
import { invalidArgument } from '../base/errors.js';
import { checkLearningRate, type LearningRate } from './learningRate.js';
import type { BuiltInOptimizer, UpdateRule } from './optimizer.js';

/** One hyperparameter: its value when left out, and which values it may have. */
export interface Hyperparameter {
  readonly standard: number;
  readonly expected: string;
  /** Asked about the value as the kernels use it, rounded to float32. */
  mayBe(rounded: number): boolean;
}

/** What is known of a built-in optimizer before the user's options. */
export interface BuiltInKind {
  readonly name: string;
  readonly slots: readonly string[];
  readonly learningRate: number;
  readonly hyperparameters: Readonly<Record<string, Hyperparameter>>;
  /** The rule for a description made by `describe`. */
  rule(optimizer: BuiltInOptimizer): UpdateRule;
}

/** A number in [0, 1). */
export function fraction(standard: number): Hyperparameter {
  return { standard, expected: 'a number in [0, 1)', mayBe: (value) => value >= 0 && value < 1 };
}

/** A number ≥ 0. */
export function notNegative(standard: number): Hyperparameter {
  return { standard, expected: 'a finite number ≥ 0', mayBe: (value) => value >= 0 && value < Infinity };
}

/** A number > 0, also after rounding to float32. */
export function positive(standard: number): Hyperparameter {
  return {
    standard,
    expected: 'a finite number > 0 in float32',
    mayBe: (value) => value > 0 && value < Infinity,
  };
}

/**
 * The description of a `kind` with the user's `options`: frozen plain data. Throws `PS_INVALID_ARGUMENT`
 * for an unknown option and for a value out of its range.
 */
export function describe(kind: BuiltInKind, options: unknown): BuiltInOptimizer {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidArgument(`${kind.name}()`, options, 'given an object of options');
  }
  const given = options as Readonly<Record<string, unknown>>;
  const names = ['learningRate', ...Object.keys(kind.hyperparameters)];
  for (const key of Object.keys(given)) {
    if (!names.includes(key)) throw invalidArgument(`${kind.name} option`, key, `one of ${names.join(', ')}`);
  }
  const values: Record<string, number> = {};
  for (const [key, { standard, expected, mayBe }] of Object.entries(kind.hyperparameters)) {
    const value = given[key] === undefined ? standard : given[key];
    if (typeof value !== 'number' || !mayBe(Math.fround(value))) {
      throw invalidArgument(`${kind.name}.${key}`, value, expected);
    }
    values[key] = value;
  }
  const { learningRate: rate = kind.learningRate } = given;
  const learningRate: LearningRate = checkLearningRate(`${kind.name}.learningRate`, rate);
  return Object.freeze({ name: kind.name, slots: Object.freeze([...kind.slots]), learningRate, ...values });
}

/** The part of a rule that keeps no scalar but the step. */
export const stepOnly: Pick<UpdateRule, 'newScalars' | 'advance'> = {
  newScalars: () => [0],
  advance: countStep,
};

/** Raises `scalars[0]`, the step. */
export function countStep(scalars: number[]): void {
  scalars[0] = (scalars[0] as number) + 1;
}
