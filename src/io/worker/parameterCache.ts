/**
 * The cache of one worker, as its owner makes it and looks at it. What it keeps, and for how long it serves, is in
 * `cacheStore.ts`; how pulls and pushes pass through it, in `cachingHost.ts`.
 */
import { PsError } from '../../core/base/errors.js';
import { CacheStore, type ParameterCacheOptions, type ParameterCacheStats } from './cacheStore.js';
import { CachingHost } from './cachingHost.js';
import type { WorkerHost } from './workerHost.js';

/** Keeps what a training worker pulled for its next pulls: option `cache` of `Worker`. */
export class ParameterCache {
  readonly #store: CacheStore;
  #isTaken = false;

  /** Throws `PS_INVALID_ARGUMENT`. */
  constructor(options: ParameterCacheOptions = {}) {
    this.#store = new CacheStore(options);
  }

  /** How often it has served. */
  get stats(): ParameterCacheStats {
    return this.#store.stats;
  }

  /** The host of the worker that it is of from now on. Throws `PS_INVALID_ARGUMENT` if it is another's. @internal */
  host(...parts: ConstructorParameters<typeof WorkerHost>): WorkerHost {
    if (this.#isTaken) throw new PsError('PS_INVALID_ARGUMENT', 'cache: it is another worker’s already');
    this.#isTaken = true;
    return new CachingHost(this.#store, ...parts);
  }
}
