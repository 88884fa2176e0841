/**
 * Which part of a model a shard holds. All tensors stand end to end in one range of elements (the
 * catalogue's), and the shards cut that range into contiguous parts of equal size, wherever a tensor
 * begins or ends: every element is on one shard, no shard has more than one element more than another.
 * The cuts follow from the model's length and the number of shards alone.
 *
 *     element   0                        640  650                     1930
 *               | kernel                 | bias | …                   |
 *     of 3      |  shard 0      |  shard 1        |  shard 2          |
 */
import { invariant } from '../base/invariant.js';

/** Most shards of a model. */
export const MAX_SHARDS = 1024;

/** One server's place among those that hold a model. */
export interface Shard {
  /** From 0. */
  readonly index: number;
  /** How many hold the model together. */
  readonly count: number;
}

/** The whole model as one shard. */
export const WHOLE: Shard = Object.freeze({ index: 0, count: 1 });

/** Elements [begin, end) of a model's flat range. */
export interface KeyRange {
  readonly begin: number;
  readonly end: number;
}

/** The elements of `shard` in a model of `length` elements; the first ones get those that are left over. */
export function keyRangeOf(length: number, { index, count }: Shard): KeyRange {
  invariant(index >= 0 && index < count, 'a shard is one of its group');
  return { begin: cutOf(length, index, count), end: cutOf(length, index + 1, count) };
}

function cutOf(length: number, index: number, count: number): number {
  const share = Math.floor(length / count);
  return share * index + Math.min(index, length - share * count);
}
