/**
 * How the updates of one clock become one, as users write it: plain data, part of the model `bsp()`. What it does
 * to arrays is in `core/table/aggregation.ts`.
 */
import { invalidArgument } from '../base/errors.js';

/** Every way, the ordinary one first. */
export const AGGREGATES = ['mean', 'median', 'trimmedMean', 'krum'] as const;

/**
 * `mean`; the coordinate-wise `median` or `trimmedMean` (Yin et al., "Byzantine-Robust Distributed Learning", ICML
 * 2018, definitions 1 and 2); or `krum`, the one update that is closest to its neighbours (Blanchard et al.,
 * "Machine Learning with Adversaries", NIPS 2017, section 4).
 */
export type Aggregate = (typeof AGGREGATES)[number];

/** One in four: with five workers, one. */
const DEFAULT_FAULTY_SHARE = 0.25;

/** A robust aggregate and how many it withstands. */
export interface RobustAggregation {
  readonly aggregate: Exclude<Aggregate, 'mean'>;
  /** The share of a clock's workers that may be faulty. */
  readonly faultyShare: number;
}

/** Options of an aggregate, as `bsp()` takes them. */
export interface AggregateOptions {
  readonly aggregate?: Aggregate;
  readonly faultyShare?: number;
}

/** What to keep of the options: nothing for the mean. Throws `PS_INVALID_ARGUMENT`. */
export function checkAggregate({
  aggregate = 'mean',
  faultyShare,
}: AggregateOptions): Partial<RobustAggregation> {
  if (!AGGREGATES.includes(aggregate)) {
    throw invalidArgument('bsp.aggregate', aggregate, AGGREGATES.map((each) => `'${each}'`).join(', '));
  }
  if (aggregate === 'mean' && faultyShare !== undefined) {
    throw invalidArgument('bsp.faultyShare', faultyShare, "left out with 'mean', which withstands nobody");
  }
  const share = faultyShare ?? DEFAULT_FAULTY_SHARE;
  if (typeof share !== 'number' || !(share >= 0 && share < 0.5)) {
    throw invalidArgument('bsp.faultyShare', share, 'a number from 0 to below 0.5');
  }
  return aggregate === 'mean' ? {} : { aggregate, faultyShare: share };
}

/** Of `workers` in a clock, how many may be faulty. */
export function faultyOf(workers: number, share: number): number {
  // A share such as 0.2 times 5 may fall a hair below the integer that is meant.
  return Math.floor(workers * share + 1e-9);
}
