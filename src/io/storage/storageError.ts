/** What a disk says, as errors of pslib: which file, what was tried, and whether a later try can succeed. */
import { PsError } from '../../core/base/errors.js';
import type { DiskError } from './disk.js';

/** `error` as a `PsError` that says `what` could not be done. One that is a `PsError` stays as it is. */
export function asStorageError(error: unknown, what: string): PsError {
  if (error instanceof PsError) return error;
  const { code, message } = error as DiskError;
  if (code === 'EBUSY') return new PsError('PS_DATA_DIR_IN_USE', message, { cause: error });
  return new PsError('PS_STORAGE', `${what}: ${message}`, { cause: error });
}

/** `error`, which was found in the file at `path`, with the path in front. */
export function inFile(error: unknown, path: string): unknown {
  if (!(error instanceof PsError)) return error;
  return new PsError(error.code, `${path}: ${error.message}`, { cause: error, details: error.details });
}

/** Whether the file that it was found in is damaged, so that another may do. */
export function isDamage(error: unknown): boolean {
  return error instanceof PsError && error.code === 'PS_CORRUPT';
}
