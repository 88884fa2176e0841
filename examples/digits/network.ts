/**
 * The network and its gradient, written out by hand:
 *
 *     images ─ hiddenKernel, hiddenBias ─ tanh ─ outputKernel, outputBias ─ softmax ─ cross-entropy
 *      n × 64                             n × 64                            n × 10
 *
 * Plain functions of plain arrays. Nothing here knows of servers or workers: pslib takes any
 * function from parameters and a batch to gradients.
 */
import type { Tensor } from 'pslib';
import type { Digits } from './data.js';
import { addToRows, combine, type Matrix, matrix, multiply, row, sumOfRows, transpose } from './matrix.js';

/** The parameters, as `new ParameterServer({ parameters })` takes them; zeros unless `init` is given. */
export const networkParameters = {
  hiddenKernel: { shape: [64, 64], init: 'glorotUniform' },
  hiddenBias: { shape: [64] },
  outputKernel: { shape: [64, 10], init: 'glorotUniform' },
  outputBias: { shape: [10] },
} as const;

type Name = keyof typeof networkParameters;

/** The values of the parameters, as `run` and `pull` give them. */
export type NetworkParameters = Readonly<Record<Name, Pick<Tensor, 'shape' | 'data'>>>;

export interface NetworkGradient {
  /** Mean cross-entropy of the batch; ln 10 ≈ 2.3 is guessing. */
  readonly loss: number;
  /** d loss / d parameter, for each parameter. */
  readonly gradients: Record<Name, Float32Array>;
}

/** The loss of a batch and its gradient, by back-propagation. */
export function gradient(parameters: NetworkParameters, batch: Digits): NetworkGradient {
  const { hidden, logits } = forward(parameters, batch.images);
  const probabilities = softmaxOfRows(logits);
  const loss = meanCrossEntropy(probabilities, batch.labels);

  // For softmax with cross-entropy, d loss / d logits is (probability − 1 for the right digit) / n.
  const dLogits = combine(
    probabilities,
    oneHot(batch.labels, probabilities.columns),
    (p, y) => (p - y) / batch.labels.length,
  );
  const dHidden = multiply(dLogits, transpose(kernelOf(parameters.outputKernel)));
  // tanh′ = 1 − tanh²
  const dSums = combine(dHidden, hidden, (d, h) => d * (1 - h * h));

  return {
    loss,
    gradients: {
      outputKernel: multiply(transpose(hidden), dLogits).data,
      outputBias: sumOfRows(dLogits),
      hiddenKernel: multiply(transpose(batch.images), dSums).data,
      hiddenBias: sumOfRows(dSums),
    },
  };
}

/**
 * The share of `digits` that the network reads rightly, 0 to 1.
 * Throws RangeError if the network's answers are not finite: training has diverged.
 */
export function accuracy(parameters: NetworkParameters, digits: Digits): number {
  const { logits } = forward(parameters, digits.images);
  if (!logits.data.every(Number.isFinite))
    throw new RangeError('the network has diverged: its answers are not finite');
  let right = 0;
  digits.labels.forEach((label, i) => {
    const scores = row(logits, i);
    if (scores.indexOf(Math.max(...scores)) === label) right += 1;
  });
  return right / digits.labels.length;
}

function forward(parameters: NetworkParameters, images: Matrix): { hidden: Matrix; logits: Matrix } {
  const sums = addToRows(multiply(images, kernelOf(parameters.hiddenKernel)), parameters.hiddenBias.data);
  const hidden = matrix(sums.rows, sums.columns, sums.data.map(Math.tanh));
  const logits = addToRows(multiply(hidden, kernelOf(parameters.outputKernel)), parameters.outputBias.data);
  return { hidden, logits };
}

function kernelOf({ shape, data }: Pick<Tensor, 'shape' | 'data'>): Matrix {
  const [inputs = 0, outputs = 0] = shape;
  return matrix(inputs, outputs, data);
}

function softmaxOfRows(logits: Matrix): Matrix {
  const probabilities = matrix(logits.rows, logits.columns);
  for (let i = 0; i < logits.rows; i++) {
    const scores = row(logits, i);
    // Subtracting the largest changes no quotient, and keeps exp from overflowing.
    const largest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - largest));
    const total = powers.reduce((sum, power) => sum + power, 0);
    row(probabilities, i).set(powers.map((power) => power / total));
  }
  return probabilities;
}

function meanCrossEntropy(probabilities: Matrix, labels: Uint8Array): number {
  let total = 0;
  labels.forEach((label, i) => {
    const probability = row(probabilities, i)[label] as number;
    // The smallest float32 bounds the loss of a digit that was held impossible.
    total -= Math.log(Math.max(probability, 2 ** -149));
  });
  return total / labels.length;
}

function oneHot(labels: Uint8Array, classes: number): Matrix {
  const hot = matrix(labels.length, classes);
  labels.forEach((label, i) => {
    hot.data[i * classes + label] = 1;
  });
  return hot;
}
