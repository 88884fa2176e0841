/** A data directory in the hands of one life of a server, and what that life must ask before it writes there. */
import type { Disk, DiskError } from './disk.js';
import type { Fence } from './ownership.js';
import { completion, type Task } from './task.js';

/** A data directory. */
export interface DataDirectory {
  readonly disk: Disk;
  readonly directory: string;
  /** Undefined: nobody else can have it, or nothing is written. */
  readonly fence?: Fence | undefined;
}

/** Throws `PS_DATA_DIR_IN_USE` if the directory is another life's. */
export function* checkFence({ fence }: Pick<DataDirectory, 'fence'>): Task<void> {
  if (fence !== undefined) yield* fence.check();
}

/** What the file at `path` is called until it is whole: as no other life calls it. */
export function temporaryPath({ fence }: Pick<DataDirectory, 'fence'>, path: string): string {
  return fence === undefined ? `${path}.tmp` : `${path}.${fence.token}.tmp`;
}

/** Removes the file at `path`, if another life has not done so already. */
export function* ensureGone({ disk }: DataDirectory, path: string): Task<void> {
  try {
    yield* completion((done) => disk.remove(path, done));
  } catch (error) {
    if ((error as DiskError).code !== 'ENOENT') throw error;
  }
}
