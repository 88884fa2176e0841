/**
 * The cache of one worker, as its owner makes it and looks at it. What it keeps, and for how long it serves, is in
 * `cacheStore.ts`; how pulls and pushes pass through it, in `cachingCore.ts`, both in `src/core/worker/cache`.
 */
import { PsError } from '../../core/base/errors.js';
import {
  CacheStore,
  type ParameterCacheOptions,
  type ParameterCacheStats,
} from '../../core/worker/cache/cacheStore.js';
import { CachingCore } from '../../core/worker/cache/cachingCore.js';
import type { WorkerMachine } from '../../core/worker/workerMachine.js';

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

  /** The core of the worker that it is of from now on. Throws `PS_INVALID_ARGUMENT` if it is another's. @internal */
  before(core: WorkerMachine): WorkerMachine {
    if (this.#isTaken) throw new PsError('PS_INVALID_ARGUMENT', 'cache: it is another worker’s already');
    this.#isTaken = true;
    return new CachingCore(core, this.#store);
  }
}
