/** Options come as objects of known keys: a misspelt one is an error, not a default; nothing is coerced. */
import { invalidArgument } from './errors.js';

/**
 * Returns `given` if it is an object with no other keys than `keys`. Throws `PS_INVALID_ARGUMENT` that names
 * `option`, or the key that is not known.
 */
export function checkOptionObject<T extends object>(
  option: string,
  given: T,
  keys: readonly (keyof T & string)[],
): T {
  const names: readonly string[] = keys;
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw invalidArgument(option, given, `an object { ${names.join(', ')} }`);
  }
  for (const key of Object.keys(given)) {
    if (!names.includes(key)) throw invalidArgument(`${option}.${key}`, key, `one of ${names.join(', ')}`);
  }
  return given;
}

/** Returns `value` if it is an integer from `least`; throws `PS_INVALID_ARGUMENT` that names `option` otherwise. */
export function integer(option: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw invalidArgument(option, value, `an integer from ${least}`);
}
