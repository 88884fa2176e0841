/** Medians of repetitions and percentiles of latencies. */

/** Several measurements of one thing. */
export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly samples: readonly number[];
}

/** Median, lowest and highest; requires at least one sample. */
export function spreadOf(samples: readonly number[]): Spread {
  const sorted = sort(samples);
  const middle = (sorted.length - 1) / 2;
  const median = (at(sorted, Math.floor(middle)) + at(sorted, Math.ceil(middle))) / 2;
  return { median, min: at(sorted, 0), max: at(sorted, sorted.length - 1), samples };
}

/** The value that a share of the samples does not exceed; 0 without samples. */
export function percentile(samples: readonly number[], share: number): number {
  if (samples.length === 0) return 0;
  return at(sort(samples), Math.max(0, Math.ceil(samples.length * share) - 1));
}

function sort(samples: readonly number[]): Float64Array {
  return Float64Array.from(samples).sort();
}

function at(sorted: Float64Array, index: number): number {
  return sorted[index] as number;
}
