/** What servers ask for, as the environment says it: the token of workers, and one for who only watches. */
import type { Auth } from '../../io/server/auth.js';
import { environmentError, optional, type Variables } from './variables.js';

/** The token in the manifests of `deploy`. */
const PLACEHOLDER = 'replace-me';

/** The option `auth` of a server; undefined: nobody has to show anything. Throws `PS_ENVIRONMENT`. */
export function authOf(variables: Variables): Auth | undefined {
  const token = optional(variables, 'PSLIB_TOKEN');
  const monitor = optional(variables, 'PSLIB_MONITOR_TOKEN');
  for (const [name, value] of [
    ['PSLIB_TOKEN', token],
    ['PSLIB_MONITOR_TOKEN', monitor],
  ] as const) {
    if (value !== PLACEHOLDER) continue;
    throw environmentError(
      name,
      `the token is "${PLACEHOLDER}", which everyone can read: make one of your own`,
    );
  }
  if (monitor === undefined) return token;
  if (token === undefined) {
    throw environmentError('PSLIB_TOKEN', 'PSLIB_TOKEN must be set if PSLIB_MONITOR_TOKEN is');
  }
  if (token === monitor) {
    throw environmentError('PSLIB_MONITOR_TOKEN', 'PSLIB_MONITOR_TOKEN must not be the token of workers');
  }
  return { [token]: { role: 'worker' }, [monitor]: { role: 'monitor' } };
}
