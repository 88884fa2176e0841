/**
 * A condition that only a bug of pslib can break. Bytes from the network and arguments of users
 * never reach it: they are checked where they enter, and answered with a typed error.
 */
import { PsError } from './errors.js';

/** Throws `PS_INTERNAL` unless `condition` holds. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new PsError('PS_INTERNAL', `invariant broken: ${message}`);
}
