/**
 * A factorization machine (Rendle, 2010) over hashed features: the click probability of an impression is
 *
 *     σ(bias + Σ wᵢ + ½ Σ_f ((Σ vᵢf)² − Σ vᵢf²))        i: the features that it has
 *
 * with a weight and a vector of factors for each feature, rows of two sparse tables. A feature is known by the hash of
 * its name, so new users and new ads need no registration.
 */
import { adagrad, ftrl, type GradientsOf } from 'pslib';

export const DIM = 8;

/** On one machine a parameter server that was restarted is back within seconds. */
export const reconnect = { minDelayMs: 50, maxDelayMs: 500 };

export const parameters = { bias: { shape: [1], optimizer: adagrad({ learningRate: 0.05 }) } } as const;
export const tables = {
  weights: { dim: 1, optimizer: ftrl({ learningRate: 0.6, l1: 0.001 }) },
  // A feature that came once takes no memory for its factors.
  factors: { dim: DIM, init: 'normal', admitAfter: 2, optimizer: adagrad({ learningRate: 0.25 }) },
} as const;
export type Model = typeof parameters & typeof tables;

/** An impression that was shown, and whether it was clicked. */
export interface Example {
  /** Ids of its features. */
  readonly ids: readonly number[];
  readonly clicked: boolean;
}

/** The id of a feature: 53 bits of a hash of its name (FNV-1a, twice from different starts). */
export function idOf(feature: string): number {
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (let i = 0; i < feature.length; i++) {
    low = Math.imul(low ^ feature.charCodeAt(i), 0x01000193);
    high = Math.imul(high ^ feature.charCodeAt(i), 0x85ebca6b);
  }
  return ((high >>> 0) % 2 ** 21) * 2 ** 32 + (low >>> 0);
}

/** Where a prediction reads rows: undefined stands for a row that is not known. */
export interface ReadRows {
  get(id: number): Float32Array | undefined;
}

const sums = new Float64Array(DIM);

/** The click probability of an impression with the features `ids`. Allocates nothing. */
export function predict(bias: number, weights: ReadRows, factors: ReadRows, ids: readonly number[]): number {
  let logit = bias;
  let squares = 0;
  sums.fill(0);
  for (const id of ids) {
    logit += weights.get(id)?.[0] ?? 0;
    const factor = factors.get(id);
    if (factor === undefined) continue;
    for (let f = 0; f < DIM; f++) {
      const value = factor[f] as number;
      sums[f] = (sums[f] as number) + value;
      squares += value * value;
    }
  }
  let pairs = -squares;
  for (let f = 0; f < DIM; f++) pairs += (sums[f] as number) ** 2;
  return sigmoid(logit + pairs / 2);
}

/**
 * The gradient of the log loss, summed over `batch`. `weights` and `factors`: the rows of all its ids, one behind the
 * other, as a run names them with `idsOf`.
 */
export function gradientOf(
  bias: number,
  weights: Float32Array,
  factors: Float32Array,
  batch: readonly Example[],
): { readonly gradients: GradientsOf<Model>; readonly loss: number } {
  const ids = idsOf(batch);
  const dWeights = new Float32Array(ids.length);
  const dFactors = new Float32Array(ids.length * DIM);
  let dBias = 0;
  let loss = 0;
  let first = 0;
  for (const { ids: own, clicked } of batch) {
    const rowOf = (table: Float32Array, dim: number) => ({
      get: (k: number) => table.subarray((first + k) * dim, (first + k + 1) * dim),
    });
    const places = own.map((_, k) => k);
    const p = predict(bias, rowOf(weights, 1), rowOf(factors, DIM), places);
    const error = p - Number(clicked);
    loss += logLoss(p, clicked);
    dBias += error;
    for (const k of places) {
      dWeights[first + k] = error;
      for (let f = 0; f < DIM; f++) {
        const at = (first + k) * DIM + f;
        dFactors[at] = error * ((sums[f] as number) - (factors[at] as number));
      }
    }
    first += own.length;
  }
  return {
    loss: loss / batch.length,
    gradients: {
      bias: Float32Array.of(dBias),
      weights: { ids, values: dWeights },
      factors: { ids, values: dFactors },
    },
  };
}

/** The ids of all features of `batch`, in order; some are there several times. */
export function idsOf(batch: readonly Example[]): number[] {
  return batch.flatMap(({ ids }) => ids);
}

/** The logarithmic loss of predicting `p`, in nats. */
export function logLoss(p: number, clicked: boolean): number {
  return -Math.log(Math.max(1e-9, clicked ? p : 1 - p));
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
