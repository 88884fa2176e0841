/** A linear regression whose loss has a closed form: how far the weights are from those the data is made of. */
import type { GradientResult, TensorsOf } from 'pslib';
import type { SimulatedPlace } from 'pslib/testing';

const FEATURES = 32;
const EXAMPLES = 8;
const TRUE_WEIGHTS = Float32Array.from({ length: FEATURES }, (_, i) => Math.cos(i));

export const parameters = { weights: { shape: [FEATURES] } } as const;
type Model = typeof parameters;

interface Example {
  readonly features: Float32Array;
  readonly target: number;
}

/** What `simulate` asks for: batches, gradients, the loss. */
export const regression = {
  batch: (_step: number, { random }: SimulatedPlace): Example[] =>
    Array.from({ length: EXAMPLES }, () => {
      const features = Float32Array.from({ length: FEATURES }, () => random.nextNormal());
      return { features, target: dot(features, TRUE_WEIGHTS) + 0.1 * random.nextNormal() };
    }),

  gradient({ weights }: TensorsOf<Model>, batch: Example[]): GradientResult<Model> {
    const gradient = new Float32Array(FEATURES);
    for (const { features, target } of batch) {
      const error = (dot(features, weights.data) - target) / batch.length;
      for (let i = 0; i < FEATURES; i++) gradient[i] = (gradient[i] ?? 0) + error * (features[i] ?? 0);
    }
    return { gradients: { weights: gradient } };
  },

  loss: ({ weights }: TensorsOf<Model>): number =>
    weights.data.reduce((sum, weight, i) => sum + (weight - (TRUE_WEIGHTS[i] ?? 0)) ** 2, 0),
};

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, each, i) => sum + each * (b[i] ?? 0), 0);
}
