/**
 * The consistency models as users write them: frozen plain data, so that a model can be recorded,
 * sent to another process and compared.
 */
import { invalidArgument } from '../base/errors.js';
import { checkOptionObject } from '../base/optionObject.js';
import { type AggregateOptions, checkAggregate, type RobustAggregation } from './aggregate.js';
import { BspPolicy } from './bsp.js';
import type { ClockTable } from './clockTable.js';
import type { ConsistencyPolicy } from './policy.js';
import { SspPolicy } from './ssp.js';

/** Bulk synchronous parallel. */
export interface BspModel extends Partial<RobustAggregation> {
  readonly name: 'bsp';
  /** How many of the slowest a clock does not wait for. */
  readonly backupWorkers: number;
}

/** Stale synchronous parallel. */
export interface SspModel {
  readonly name: 'ssp';
  /** The bound on lead, in clocks. */
  readonly staleness: number;
}

/** Asynchronous parallel. */
export interface AspModel {
  readonly name: 'asp';
}

/** A consistency model: `bsp()`, `ssp({ staleness })` or `asp()`. */
export type Consistency = BspModel | SspModel | AspModel;

/**
 * Bulk synchronous parallel: a clock's updates are summed in the order of worker ids, averaged and
 * applied as one, when every worker has ticked past it. Reproducible to the bit for fixed worker ids,
 * `minWorkers` set to their number, no backup workers and unchanged membership.
 *
 * `backupWorkers` (default 0): a clock closes when all but so many have ticked; late pushes are
 * answered `dropped` (Chen et al. 2016).
 *
 * `aggregate` (default `'mean'`): how a clock's updates become one. `'median'`, `'trimmedMean'` and `'krum'` withstand
 * workers that push what they like, up to `faultyShare` (default 0.25, below 0.5) of those of a clock, rounded down;
 * the median any number below half.
 */
export function bsp(options: { backupWorkers?: number } & AggregateOptions = {}): BspModel {
  const keys = ['backupWorkers', 'aggregate', 'faultyShare'] as const;
  const { backupWorkers = 0, ...rest } = checkOptionObject('bsp', options, keys);
  if (!Number.isSafeInteger(backupWorkers) || backupWorkers < 0) {
    throw invalidArgument('bsp.backupWorkers', backupWorkers, 'an integer from 0');
  }
  return Object.freeze({ name: 'bsp', backupWorkers, ...checkAggregate(rest) });
}

/**
 * Stale synchronous parallel: a worker that pulls is at most `staleness` clocks ahead of the slowest,
 * and sees every update that is older than that (Ho et al. 2013).
 *
 * `staleness`: an integer from 0, in clocks. 0 keeps everyone within one clock but is not BSP.
 */
export function ssp(options: { staleness: number }): SspModel {
  const staleness: unknown = (options as { staleness?: number } | undefined)?.staleness;
  if (typeof staleness !== 'number' || !Number.isSafeInteger(staleness) || staleness < 0) {
    throw invalidArgument('ssp.staleness', staleness, 'an integer from 0, in clocks; for no bound use asp()');
  }
  checkOptionObject('ssp', options, ['staleness']);
  return Object.freeze({ name: 'ssp', staleness });
}

/** Asynchronous parallel: pulls never wait. */
export function asp(): AspModel {
  return Object.freeze({ name: 'asp' });
}

/** Returns `value` if it is a consistency model; throws `PS_INVALID_ARGUMENT` naming `option`. */
export function checkConsistency(option: string, value: unknown): Consistency {
  const { name, ...options } = (value ?? {}) as Partial<Consistency>;
  switch (name) {
    case 'bsp':
      return bsp(options as { backupWorkers?: number });
    case 'ssp':
      return ssp(options as { staleness: number });
    case 'asp':
      return asp();
    default:
      throw invalidArgument(option, value, 'bsp(), ssp({ staleness }) or asp()');
  }
}

/** By how many clocks a worker that pulls may be ahead of the slowest; undefined: by any. */
export function stalenessOf(model: Consistency): number | undefined {
  if (model.name === 'asp') return undefined;
  return model.name === 'ssp' ? model.staleness : 0;
}

/** How `model` merges the updates of a clock, if not by their mean. */
export function robustAggregationOf(model: Consistency): RobustAggregation | undefined {
  if (model.name !== 'bsp' || model.aggregate === undefined) return undefined;
  return { aggregate: model.aggregate, faultyShare: model.faultyShare ?? 0 };
}

/** The policy of `model`, beginning at the table as it is now. */
export function policyOf(model: Consistency, table: ClockTable): ConsistencyPolicy {
  switch (model.name) {
    case 'bsp':
      return new BspPolicy(model.backupWorkers, table);
    case 'ssp':
      return new SspPolicy(model.staleness);
    case 'asp':
      return new SspPolicy(Number.POSITIVE_INFINITY);
  }
}
