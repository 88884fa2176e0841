/**
 * Skip-gram with negative sampling (Mikolov et al. 2013): a word's vector is to have a large product with the output
 * vectors of words near it, and a small one with those of others.
 *
 *     loss of a pair = −log σ(v·u⁺) − Σ log σ(−v·u⁻)
 */
import { adagrad } from 'pslib';
import { type Batch, NEGATIVES } from './corpus.js';

export const DIM = 32;
export const LEARNING_RATE = 0.15;

export const tables = {
  inputs: { dim: DIM, init: 'uniform' },
  outputs: { dim: DIM, init: 'uniform' },
} as const;
export const optimizer = adagrad({ learningRate: LEARNING_RATE, initialAccumulator: 0.1 });

/** The mean loss of the pairs of `batch`, and the gradients of their sum. The rows stand as `batch` names them. */
export function skipGram(
  inputs: Float32Array,
  outputs: Float32Array,
  batch: Batch,
): { readonly loss: number; readonly dInputs: Float32Array; readonly dOutputs: Float32Array } {
  const dInputs = new Float32Array(inputs.length);
  const dOutputs = new Float32Array(outputs.length);
  let loss = 0;
  for (let pair = 0; pair < batch.length; pair++) {
    const v = pair * DIM;
    for (let k = 0; k <= NEGATIVES; k++) {
      const u = (pair * (1 + NEGATIVES) + k) * DIM;
      let product = 0;
      for (let d = 0; d < DIM; d++) product += (inputs[v + d] as number) * (outputs[u + d] as number);
      const p = 1 / (1 + Math.exp(-product));
      loss -= Math.log(Math.max(1e-9, k === 0 ? p : 1 - p));
      const error = p - Number(k === 0);
      for (let d = 0; d < DIM; d++) {
        dInputs[v + d] = (dInputs[v + d] as number) + error * (outputs[u + d] as number);
        dOutputs[u + d] = error * (inputs[v + d] as number);
      }
    }
  }
  return { loss: loss / batch.length, dInputs, dOutputs };
}
