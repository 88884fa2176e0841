/** Planted bugs of copies: of workers' caches, and of readers that are sent what has changed. */
import { ssp } from '../../../src/core/consistency/consistency.js';
import type { ScheduleOptions } from '../../../src/testing/search/schedule.js';
import type { Mutant } from './mutant.js';

const CACHED: ScheduleOptions = { hasRows: true, hasCache: true, consistency: ssp({ staleness: 2 }) };
const cacheStore = 'core/worker/cache/cacheStore.ts';
const cachingCore = 'core/worker/cache/cachingCore.ts';

/** Of caches and copies. */
export const CACHE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a cache serves one clock too long',
    bug: 'a worker’s cache serves a copy one clock longer than the staleness bound allows',
    patches: [
      {
        file: cacheStore,
        find: 'minClock >= bound.clock - bound.staleness)',
        replace: 'minClock >= bound.clock - bound.staleness - 1)',
      },
    ],
    options: CACHED,
  },
  {
    name: 'own updates are not in the cache',
    bug: 'a worker’s cache serves what the worker has pushed to since, as it was',
    patches: [
      {
        file: cacheStore,
        find: 'if (this.#applyOwn === undefined) this.#forget(key);\n    else this.#applyOwn(entry.values, gradient, name);',
        replace: 'if (gradient.length < 0) this.#applyOwn?.(entry.values, gradient, name);',
      },
    ],
    options: CACHED,
  },
  {
    name: 'a cache outlives its server',
    bug: 'a worker’s cache serves what a server without durability had before it was lost',
    patches: [
      {
        file: cachingCore,
        find: 'if (incarnations !== this.#incarnations) this.#cache.clear();',
        replace: '',
      },
      {
        file: cachingCore,
        find: "if (effect.observation.kind === 'rollback') this.#cache.clear();",
        replace: '',
      },
      {
        file: cachingCore,
        find: "return event.kind === 'closed' || event.kind === 'sleep';",
        replace: "return event.kind === 'sleep';",
      },
    ],
    options: {
      hasCache: true,
      consistency: CACHED.consistency,
      durability: 'memory',
      faults: ['killServer'],
    },
  },
  {
    name: 'a cache does not hear of a lower bound',
    bug: 'a worker goes by the staleness bound of its Welcome, whatever the server tells later',
    patches: [
      {
        file: 'core/worker/workerCore.ts',
        find: 'this.#staleness = message.staleness ?? Number.POSITIVE_INFINITY;',
        replace: '',
      },
    ],
    options: { hasRows: true, hasCache: true, membership: 'changing' },
  },
  {
    name: 'a copy misses a change',
    bug: 'a reader that keeps a copy is not sent what the version after its own has changed',
    patches: [
      {
        file: 'core/table/changeMarks.ts',
        find: '(this.#marks[block] as number) <= version)',
        replace: '(this.#marks[block] as number) <= version + 1)',
      },
    ],
    options: { membership: 'changing' },
  },
];
