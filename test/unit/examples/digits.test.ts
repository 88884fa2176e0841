/**
 * The digits example: its hand-written gradient against finite differences, and its data.
 *
 * A derivative is what a small change does: move one parameter by ±h, look at the loss on both
 * sides, and (loss₊ − loss₋) / 2h must be the gradient's element, up to O(h²) and rounding.
 */
import { describe, expect, it } from 'vitest';
import {
  type Digits,
  loadDigits,
  partOf,
  shuffledBatches,
  splitDigits,
} from '../../../examples/digits/data.js';
import { matrix } from '../../../examples/digits/matrix.js';
import { accuracy, gradient, type NetworkParameters } from '../../../examples/digits/network.js';
import { type Random, randomFrom } from '../../../examples/digits/random.js';

const h = 2 ** -7;
// h² / 6 times a third derivative, and float32's rounding of the loss (about 1e-7) over 2h.
const tolerance = 2e-5;

describe('the gradient of the digits network', () => {
  const random = randomFrom(7);
  const parameters = smallNetwork(random);
  const batch = smallBatch(random);
  const { loss, gradients } = gradient(parameters, batch);

  it.each(['hiddenKernel', 'hiddenBias', 'outputKernel', 'outputBias'] as const)(
    'agrees with finite differences in every element of %s',
    (name) => {
      const values = parameters[name].data;
      for (const [i, value] of values.entries()) {
        values[i] = value + h;
        const above = gradient(parameters, batch).loss;
        values[i] = value - h;
        const below = gradient(parameters, batch).loss;
        values[i] = value;
        expect(Math.abs((above - below) / (2 * h) - (gradients[name][i] ?? Number.NaN))).toBeLessThan(
          tolerance,
        );
      }
    },
  );

  it('is not small: the tolerance could not hide a gradient of zeros', () => {
    for (const each of Object.values(gradients)) {
      expect(Math.max(...each.map(Math.abs))).toBeGreaterThan(1000 * tolerance);
    }
  });

  it('has the loss of guessing, ln 3 for three classes, when the output layer is zero', () => {
    const guessing = { ...parameters, outputKernel: zeros(4, 3), outputBias: zeros(3) };
    expect(gradient(guessing, batch).loss).toBeCloseTo(Math.log(3), 6);
    expect(loss).not.toBeCloseTo(Math.log(3), 2);
  });

  it('leaves the parameters as they are', () => {
    const before = Object.values(parameters).map(({ data }) => [...data]);
    gradient(parameters, batch);
    expect(Object.values(parameters).map(({ data }) => [...data])).toEqual(before);
  });
});

describe('the accuracy of the digits network', () => {
  it('is the share of digits whose largest score is their label', () => {
    // Without a hidden part the scores are the output bias: the answer is always class 2.
    const always2 = {
      ...smallNetwork(randomFrom(1)),
      outputKernel: zeros(4, 3),
      outputBias: { shape: [3], data: Float32Array.of(0, -1, 1) },
    };
    const batch: Digits = { images: matrix(4, 5), labels: Uint8Array.of(2, 0, 2, 2) };
    expect(accuracy(always2, batch)).toBe(3 / 4);
  });

  it('is refused when the network has diverged', () => {
    const random = randomFrom(1);
    const diverged = {
      ...smallNetwork(random),
      outputBias: { shape: [3], data: Float32Array.of(0, Number.NaN, 0) },
    };
    expect(() => accuracy(diverged, smallBatch(random))).toThrow(RangeError);
  });
});

describe('the data of the digits example', () => {
  const digits = loadDigits();
  const { training, test } = splitDigits(digits);

  it('is 1,797 digits, as often each as UCI says of the test half, with pixels from 0 to 1', () => {
    const perClass = new Array(10).fill(0);
    for (const label of digits.labels) perClass[label] += 1;
    expect(perClass).toEqual([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    expect(digits.images.data.reduce((least, pixel) => Math.min(least, pixel), 1)).toBe(0);
    expect(digits.images.data.reduce((most, pixel) => Math.max(most, pixel), 0)).toBe(1);
  });

  it('splits into 1,437 and 360, and holds every digit once', () => {
    expect([training.labels.length, test.labels.length]).toEqual([1437, 360]);
    expect(sortedRows(training, test)).toEqual(sortedRows(digits));
  });

  it('splits the same way each time', () => {
    expect(splitDigits(loadDigits())).toEqual({ training, test });
  });

  it('gives every worker a part of its own, and all parts together are the training set', () => {
    const parts = [0, 1, 2, 3].map((rank) => partOf(training, rank, 4));
    expect(parts.map((part) => part.labels.length)).toEqual([360, 359, 359, 359]);
    expect(sortedRows(...parts)).toEqual(sortedRows(training));
  });

  it('serves each digit at most once an epoch, in an order that the seed decides', () => {
    const epoch = (seed: number) => {
      const batches = shuffledBatches(test, 32, randomFrom(seed));
      return Array.from({ length: 11 }, () => batches.next().value as Digits);
    };
    const seen = sortedRows(...epoch(3));
    expect(seen.length).toBe(11 * 32);
    const available = new Map<string, number>();
    for (const each of sortedRows(test)) available.set(each, (available.get(each) ?? 0) + 1);
    for (const each of seen) available.set(each, (available.get(each) ?? 0) - 1);
    expect(Math.min(...available.values())).toBe(0);
    expect(epoch(3)).toEqual(epoch(3));
    expect(epoch(3)).not.toEqual(epoch(4));
  });

  it('serves all digits as one batch when there are fewer than a batch', () => {
    const few = partOf(test, 0, 60);
    const batch = shuffledBatches(few, 32, randomFrom(1)).next().value;
    expect(sortedRows(batch)).toEqual(sortedRows(few));
  });
});

/** 5 inputs, 4 hidden units, 3 classes; small enough to try every element. */
function smallNetwork(random: Random): NetworkParameters {
  const drawn = (...shape: number[]) => {
    const tensor = zeros(...shape);
    tensor.data.forEach((_, i) => {
      tensor.data[i] = 2 * random() - 1;
    });
    return tensor;
  };
  return { hiddenKernel: drawn(5, 4), hiddenBias: drawn(4), outputKernel: drawn(4, 3), outputBias: drawn(3) };
}

function smallBatch(random: Random): Digits {
  return {
    images: matrix(6, 5, Float32Array.from({ length: 30 }, random)),
    labels: Uint8Array.of(0, 1, 2, 2, 1, 0),
  };
}

function zeros(...shape: number[]): { shape: number[]; data: Float32Array } {
  return { shape, data: new Float32Array(shape.reduce((product, size) => product * size, 1)) };
}

/** Each digit as text, in an order that does not depend on theirs. */
function sortedRows(...sets: Digits[]): string[] {
  return sets
    .flatMap(({ images, labels }) =>
      [...labels].map((label, i) => `${label}: ${images.data.subarray(64 * i, 64 * (i + 1)).join()}`),
    )
    .sort();
}
