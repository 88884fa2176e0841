/**
 * Several updates of one clock into one that a minority cannot move far: coordinate by coordinate (median, trimmed
 * mean), or by choosing one of them (Krum). Each works in slices and in a fixed order of float64 operations, rounded
 * once, so that neither slices nor replays change a bit. Values that are infinite are merely the
 * largest, and NaN is as bad as the largest.
 */
import { faultyOf, type RobustAggregation } from '../consistency/aggregate.js';
import { type Job, JobSequence, JobThen, RangeJob } from './job.js';

/**
 * Merges `sums` (equal lengths, at least one) and leaves the result in the first. O(workers · log workers) per element,
 * for Krum O(workers²).
 */
export function robustMerge(
  sums: readonly Float32Array[],
  { aggregate, faultyShare }: RobustAggregation,
): Job {
  const faulty = faultyOf(sums.length, faultyShare);
  switch (aggregate) {
    case 'median':
      return byCoordinate(sums, Math.floor((sums.length - 1) / 2));
    case 'trimmedMean':
      return byCoordinate(sums, faulty);
    case 'krum':
      return krum(sums, faulty);
  }
}

/** The mean of what is left of each coordinate's values without the `cut` smallest and the `cut` largest. */
function byCoordinate(sums: readonly Float32Array[], cut: number): Job {
  const count = sums.length;
  const target = sums[0] as Float32Array;
  const values = new Float64Array(count);
  const kept = count - 2 * cut;
  // One step for each value, so that a slice's time does not grow with the workers.
  return new RangeJob(target.length * count, (from, to) => {
    const end = Math.floor(to / count);
    for (let i = Math.floor(from / count); i < end; i++) {
      for (let k = 0; k < count; k++) insert(values, k, (sums[k] as Float32Array)[i] as number);
      let total = 0;
      for (let k = cut; k < count - cut; k++) total += values[k] as number;
      target[i] = total / kept;
    }
  });
}

/** Puts `value` into the sorted first `length` values; NaN, which has no place among them, counts as Infinity. */
function insert(values: Float64Array, length: number, given: number): void {
  const value = Number.isNaN(given) ? Number.POSITIVE_INFINITY : given;
  let at = length;
  while (at > 0 && (values[at - 1] as number) > value) {
    values[at] = values[at - 1] as number;
    at--;
  }
  values[at] = value;
}

/**
 * The update with the smallest sum of squared distances to its workers − faulty − 2 nearest others; of equals, the
 * first. It withstands `faulty` of them if there are at least 2 · faulty + 3; of fewer workers it takes fewer to be
 * faulty.
 */
function krum(sums: readonly Float32Array[], faulty: number): Job {
  const count = sums.length;
  const target = sums[0] as Float32Array;
  const distances = Array.from({ length: count }, () => new Float64Array(count));
  const pairs = function* (): Generator<Job> {
    for (let a = 0; a < count; a++) {
      for (let b = a + 1; b < count; b++) yield distanceJob(sums, distances, a, b);
    }
    const chosen = sums[closest(distances, faulty)] as Float32Array;
    yield new RangeJob(target.length, (begin, end) => {
      if (chosen !== target) target.set(chosen.subarray(begin, end), begin);
    });
  };
  return new JobSequence(pairs());
}

function distanceJob(
  sums: readonly Float32Array[],
  distances: readonly Float64Array[],
  a: number,
  b: number,
): Job {
  const [left, right] = [sums[a] as Float32Array, sums[b] as Float32Array];
  let total = 0;
  const add = new RangeJob(left.length, (begin, end) => {
    for (let i = begin; i < end; i++) {
      const difference = (left[i] as number) - (right[i] as number);
      total += difference * difference;
    }
  });
  return new JobThen(add, () => {
    // Both infinite: no distance to anything.
    const distance = Number.isNaN(total) ? Number.POSITIVE_INFINITY : total;
    (distances[a] as Float64Array)[b] = distance;
    (distances[b] as Float64Array)[a] = distance;
  });
}

/** The position with the best score. */
function closest(distances: readonly Float64Array[], faulty: number): number {
  const count = distances.length;
  const withstood = Math.min(faulty, Math.max(0, Math.floor((count - 3) / 2)));
  const neighbours = Math.max(1, count - withstood - 2);
  let best = 0;
  let bestScore = Number.POSITIVE_INFINITY;
  for (let i = 0; i < count; i++) {
    const others = distances[i]?.filter((_, k) => k !== i).sort() ?? [];
    let score = 0;
    for (let k = 0; k < Math.min(neighbours, others.length); k++) score += others[k] as number;
    if (score < bestScore) [best, bestScore] = [i, score];
  }
  return best;
}
