/**
 * Workers with caches in checked runs: what stands before their core, which rows they ask for so that the cache has a
 * chance, and what their pushes count as computed from: the oldest copy that the step used.
 */
import type { Random } from '../../core/base/random.js';
import { CacheStore } from '../../core/worker/cache/cacheStore.js';
import { CachingCore } from '../../core/worker/cache/cachingCore.js';
import { oldestOf } from '../../core/worker/computedFrom.js';
import type { PullAnswer, PulledFrom as PulledStamps } from '../../core/worker/events.js';
import { WorkerCore, type WorkerCoreOptions } from '../../core/worker/workerCore.js';
import type { BoundWatch } from '../check/boundWatch.js';
import type { CacheUser } from '../check/cacheWatch.js';
import type { Cell } from '../check/checkRows.js';
import type { PulledFrom } from '../check/pushLedger.js';
import type { Schedule } from './schedule.js';

/** A core with a cache that applies its own updates as the server will, where that is an update for each push. */
export function cachedCore(options: WorkerCoreOptions, { consistency }: Schedule): CachingCore {
  const subtract = (values: Float32Array, gradient: Float32Array): void => {
    for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) - (gradient[i] as number);
  };
  const isApplied = consistency.name !== 'bsp' && options.seed % 3 > 0;
  const maxBytes = options.seed % 5 === 0 ? 600 : 1_000_000;
  return new CachingCore(
    new WorkerCore(options),
    new CacheStore({ maxBytes, ...(isApplied ? { applyOwn: subtract } : {}) }),
  );
}

/** Cells whose pushes are about to count, or have just counted, at `clock`. */
export function recentCells(
  random: Random,
  { clock, workers, cells }: { readonly clock: number; readonly workers: number; readonly cells: number },
): Cell[] {
  return Array.from({ length: 4 }, () => ({
    worker: random.nextInt(workers),
    cell: Math.max(0, Math.min(cells - 1, clock - random.nextInt(6))),
  }));
}

/** What one step of a worker has used. */
export class StepUses {
  readonly #used: PulledStamps[] = [];
  /** The clock that the step is for. */
  clock = 0;
  /** The last model that the worker had to know of then. */
  bounds = 0;

  /** A step begins to pull; `bounds`: see `BoundWatch.lastKnown`. */
  begin(clock: number, bounds: number): void {
    this.#used.length = 0;
    this.clock = clock;
    this.bounds = bounds;
  }

  add({ pulled }: PullAnswer): void {
    this.#used.push(pulled);
  }

  /** Who uses what came; `clockNow`: of its worker, which a rollback may have set back. */
  user(id: string, number: number, clockNow: number, bounds: BoundWatch): CacheUser {
    return { id, number, clock: Math.min(this.clock, clockNow), models: bounds.since(this.bounds) };
  }

  /** What a push is computed from, as the worker says it and as its life and version. */
  from(): { readonly computedFrom: PulledStamps; readonly pulled: PulledFrom | undefined } {
    const computedFrom = oldestOf(this.#used);
    const [stamp] = computedFrom;
    const life = Number(stamp?.incarnation.split('-')[1]);
    return { computedFrom, pulled: stamp === undefined ? undefined : { version: stamp.version, life } };
  }
}
