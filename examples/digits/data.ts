/**
 * The handwritten digits: read from the file, split into training and test digits, divided among
 * workers, and served in shuffled batches. Everything random comes from a seed.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { type Matrix, matrix, row } from './matrix.js';
import { type Random, randomFrom, shuffledIndices } from './random.js';

const PIXELS = 64;
const DARKEST = 16;
const TEST_COUNT = 360;
const HELD_OUT_EVERY = 5;
/** Fixed, whatever the seed of a run: all runs are judged by the same 360 digits. */
const SPLIT_SEED = 1998;

/** Some digits: a row of pixels and a label for each. */
export interface Digits {
  /** One digit a row, 64 pixels from 0 (white) to 1 (black). */
  readonly images: Matrix;
  /** What was written, 0 to 9. */
  readonly labels: Uint8Array;
}

/** Digits to train with and digits to judge by; none is in both. */
export interface Split {
  readonly training: Digits;
  readonly test: Digits;
}

/** All 1,797 digits, in the order of the file. */
export function loadDigits(): Digits {
  const file = new URL('../data/digits.csv.gz', import.meta.url);
  const lines = gunzipSync(readFileSync(file)).toString('ascii').trim().split('\n');
  const images = matrix(lines.length, PIXELS);
  const labels = new Uint8Array(lines.length);
  lines.forEach((line, i) => {
    const values = line.split(',').map(Number);
    row(images, i).set(values.slice(0, PIXELS).map((darkness) => darkness / DARKEST));
    labels[i] = values[PIXELS] as number;
  });
  return { images, labels };
}

/** The digits at `indices`, copied. */
export function pick(digits: Digits, indices: ArrayLike<number>): Digits {
  const images = matrix(indices.length, digits.images.columns);
  const labels = new Uint8Array(indices.length);
  Array.from(indices).forEach((index, i) => {
    row(images, i).set(row(digits.images, index));
    labels[i] = digits.labels[index] as number;
  });
  return { images, labels };
}

/** 1,437 digits to train with and 360 to test with; always the same ones. */
export function splitDigits(digits: Digits): Split {
  const order = shuffledIndices(digits.labels.length, randomFrom(SPLIT_SEED));
  return {
    training: pick(digits, order.subarray(TEST_COUNT)),
    test: pick(digits, order.subarray(0, TEST_COUNT)),
  };
}

/**
 * The training digits split once more, into 1,149 and 288: settings are chosen by these, so that the
 * test digits have no part in the choice.
 */
export function splitForValidation(digits: Digits): Split {
  const { training } = splitDigits(digits);
  const all = Array.from(training.labels, (_, i) => i);
  const isHeldOut = (i: number) => i % HELD_OUT_EVERY === 0;
  return {
    training: pick(
      training,
      all.filter((i) => !isHeldOut(i)),
    ),
    test: pick(training, all.filter(isHeldOut)),
  };
}

/** The part of worker `rank` of `count`: every count-th digit, so that no two workers share one. */
export function partOf(digits: Digits, rank: number, count: number): Digits {
  const length = Math.ceil((digits.labels.length - rank) / count);
  return pick(
    digits,
    Array.from({ length }, (_, i) => rank + i * count),
  );
}

/**
 * Batches without end, in a new random order each epoch. A rest smaller than a batch is left for
 * the next epoch's order; if there are fewer digits than a batch, each batch is all of them.
 */
export function* shuffledBatches(digits: Digits, batchSize: number, random: Random): Generator<Digits> {
  const count = digits.labels.length;
  const size = Math.min(batchSize, count);
  while (true) {
    const order = shuffledIndices(count, random);
    for (let begin = 0; begin + size <= count; begin += size) {
      yield pick(digits, order.subarray(begin, begin + size));
    }
  }
}
