/**
 * Learning rates: a number, or the user's function of the version. Here they are checked and asked;
 * the rate that an update used is the caller's to record, so that a replay never asks again.
 */
import { invalidArgument } from '../base/errors.js';

/** A learning rate: a finite number ≥ 0, or a function that gives one for the version (updates so far). */
export type LearningRate = number | ((version: number) => number);

/** The rate of an optimizer that is given none. */
export const DEFAULT_LEARNING_RATE = 0.01;

/** Returns `rate` if it is a learning rate; throws `PS_INVALID_ARGUMENT` that names `option` otherwise. */
export function checkLearningRate(option: string, rate: unknown): LearningRate {
  if (typeof rate === 'function') return rate as (version: number) => number;
  if (isRate(rate)) return rate;
  throw invalidArgument(option, rate, 'a finite number ≥ 0, or a function of the version');
}

/**
 * The learning rate at `version`. Throws `PS_INVALID_ARGUMENT` when the function gives anything but a
 * finite number ≥ 0; what the function itself throws passes through.
 */
export function learningRateAt(rate: LearningRate, version: number): number {
  if (typeof rate === 'number') return rate;
  const given: unknown = rate(version);
  if (isRate(given)) return given;
  throw invalidArgument(`learningRate(${version})`, given, 'a finite number ≥ 0');
}

function isRate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(Math.fround(value));
}
