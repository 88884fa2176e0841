/** What those hear who come when a server is closing, or closed. */
import { PsError } from '../../core/base/errors.js';

export function drainingError(retryAfterMs: number): PsError {
  return new PsError('PS_DRAINING', 'the server is closing', { details: { retryAfterMs } });
}

export function closedError(): PsError {
  return new PsError('PS_CLOSED', 'the server is closed');
}
