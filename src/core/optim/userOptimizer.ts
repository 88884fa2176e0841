/**
 * Optimizers of the user's own: their check, and the rule that calls their `apply` in place.
 */
import { invalidArgument } from '../base/errors.js';
import { stepOnly } from './builtIn.js';
import { checkLearningRate } from './learningRate.js';
import type { UpdateRule, UserOptimizer } from './optimizer.js';

/**
 * Returns `given` if it is a usable optimizer of the user's. Throws `PS_INVALID_ARGUMENT` that begins with
 * `option` otherwise. `taken` has the names that built-in optimizers have.
 */
export function checkUserOptimizer(
  option: string,
  given: object,
  taken: { has(name: string): boolean },
): UserOptimizer {
  const { name, slots, apply, learningRate } = given as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || name === '' || taken.has(name)) {
    throw invalidArgument(
      `${option}.name`,
      name,
      'a string that is not empty and names no built-in optimizer',
    );
  }
  if (typeof apply !== 'function') throw invalidArgument(`${option}.apply`, apply, 'a function');
  const areNames =
    Array.isArray(slots) &&
    slots.every((slot) => typeof slot === 'string' && slot !== '') &&
    new Set(slots).size === slots.length;
  if (!areNames) throw invalidArgument(`${option}.slots`, slots, 'an array of different names, or []');
  if (learningRate !== undefined) checkLearningRate(`${option}.learningRate`, learningRate);
  return given as UserOptimizer;
}

/** The rule of an optimizer that `checkUserOptimizer` has passed. */
export function userRule(optimizer: UserOptimizer): UpdateRule {
  return {
    name: optimizer.name,
    slots: [...optimizer.slots],
    slotStart: optimizer.slots.map(() => 0),
    isPerTensor: true,
    ...stepOnly,
    update({ kernels, out, parameter, gradient, slots, scalars, learningRate }) {
      if (out !== parameter) kernels.copy(out, parameter);
      optimizer.apply(out, gradient, slots, { learningRate, step: scalars[0] as number });
    },
  };
}
