/**
 * Sessions that end by a decision of the owner. An admin ends a worker: the process behind its id may never come back, as if another had taken the id over.
 * That other's session is named by the empty key, which no Hello can have; so the epoch goes on, the record is
 * one that every journal knows, and a new process under the id takes over from it as usual.
 */
import { PsError } from '../base/errors.js';
import { type CoreContext, decide } from './context.js';
import type { Membership } from './membership.js';

/** The key of a session that an eviction has left behind. */
export const EVICTED_KEY = '';

/**
 * Ends the worker and the readers called `id`: they leave the clock table, their connections are closed with
 * `PS_EVICTED`. Returns whether there was one.
 */
export function evict(context: CoreContext, membership: Membership, id: string, reason: string): boolean {
  const error = evictedError(id, reason);
  const readers = [...membership.readers].filter((reader) => reader.id === id);
  for (const reader of readers) membership.evict(reader, 'evicted', error);
  const session = context.state.sessions.get(id);
  if (session === undefined || session.key === EVICTED_KEY) return readers.length > 0;
  membership.evict(session, 'evicted', error);
  decide(context, { kind: 'session', worker: id, key: EVICTED_KEY, epoch: session.epoch + 1 });
  return true;
}

/**
 * Another state has taken the place of the one that workers know: their sessions end, and they may come again, each with
 * a new one, from which it learns that it lost what it had pushed. Readers stay.
 */
export function forgetSessions(context: CoreContext, membership: Membership): void {
  const { state, now, options } = context;
  context.mayLackSessionsUntil = now + options.limits.sessionExpiryMs;
  const error = new PsError(
    'PS_LEASE_EXPIRED',
    'evicted: the server took a checkpoint of a group for its state',
  );
  for (const session of [...state.sessions.values()]) {
    membership.evict(session, 'evicted', error);
    decide(context, { kind: 'expire', worker: session.id });
  }
}

/** What the evicted worker is told. */
export function evictedError(id: string, reason?: string): PsError {
  const why = reason === undefined || reason === '' ? '' : `: ${reason}`;
  return new PsError('PS_EVICTED', `"${id}" was evicted by an admin of the server${why}`);
}
