/**
 * What may be the id of a worker. Ids are read by people, on terminals and in logs: control characters, which
 * could write there as they like, are none of them.
 */
import { MAX_ID_LENGTH } from './limits.js';

/** What `isWorkerId` holds to, for errors. */
export const WORKER_ID: string = `a string of 1 to ${MAX_ID_LENGTH} characters without control characters`;

/** Whether `id` may be the id of a worker. */
export function isWorkerId(id: unknown): id is string {
  return typeof id === 'string' && id.length > 0 && id.length <= MAX_ID_LENGTH && !/\p{Cc}/u.test(id);
}
