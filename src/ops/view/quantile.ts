/** What can be read off a histogram. */
import type { HistogramReport } from '../../io/serverReport.js';

/** The upper bound of the bucket that holds the value at `share` of all; Infinity above the last bound, NaN if empty. */
export function quantile({ bounds, counts }: HistogramReport, share: number): number {
  const total = counts.reduce((sum, each) => sum + each, 0);
  if (total === 0) return Number.NaN;
  let below = 0;
  for (const [i, each] of counts.entries()) {
    below += each;
    if (below >= share * total) return bounds[i] ?? Number.POSITIVE_INFINITY;
  }
  return Number.POSITIVE_INFINITY;
}

/** Without the empty buckets at both ends; at least four are left, so that a chart of one has a scale. */
export function trimmed({ bounds, counts }: HistogramReport): Pick<HistogramReport, 'bounds' | 'counts'> {
  const isUsed = (each: number): boolean => each > 0;
  const first = Math.max(0, counts.findIndex(isUsed) - 1);
  const last = Math.max(counts.findLastIndex(isUsed), Math.min(first + 3, counts.length - 1));
  return { bounds: bounds.slice(first, last + 1), counts: counts.slice(first, last + 1) };
}
