/**
 * What a data set is: how many examples, cut how, gone through how often and in which order. Its data
 * shards are stretches of an epoch's order: data shard i has the positions [i × shardSize, (i + 1) × shardSize),
 * the last one what is left.
 */

import { invalidArgument } from '../base/errors.js';
import { checkOptionObject, integer } from '../base/optionObject.js';
import { seedOfEpoch } from './shuffledOrder.js';

/** Most examples: positions stay exact, and so does their order. */
const MAX_SIZE = 2 ** 52;
/** Most data shards of an epoch. */
const MAX_SHARDS = 2 ** 32;

/** A data set as plain numbers; the examples themselves are not known here. */
export interface DataSet {
  /** Examples in an epoch. */
  readonly size: number;
  /** Examples in a data shard; the last may have fewer. */
  readonly shardSize: number;
  readonly epochs: number;
  /** Each epoch in another order. */
  readonly shuffle: boolean;
  readonly seed: number;
  /** Whether the server sends the examples, or the workers hold them. */
  readonly hasItems: boolean;
}

/** Throws `PS_INVALID_ARGUMENT` that names what is wrong. */
export function checkDataSet(given: DataSet): DataSet {
  checkOptionObject('dataset', given, ['size', 'shardSize', 'epochs', 'shuffle', 'seed', 'hasItems']);
  const { size, shardSize, epochs, shuffle } = given;
  integer('dataset.size', size, 1);
  if (size > MAX_SIZE) throw invalidArgument('dataset.size', size, `at most ${MAX_SIZE}`);
  integer('dataset.shardSize', shardSize, 1);
  if (shardSize > size) {
    throw invalidArgument('dataset.shardSize', shardSize, `at most the size of the set, ${size}`);
  }
  if (size / shardSize > MAX_SHARDS) {
    throw invalidArgument(
      'dataset.shardSize',
      shardSize,
      `such that there are at most ${MAX_SHARDS} data shards`,
    );
  }
  integer('dataset.epochs', epochs, 1);
  if (typeof shuffle !== 'boolean') throw invalidArgument('dataset.shuffle', shuffle, 'true or false');
  return given;
}

/** Data shards in an epoch. */
export function shardsOf({ size, shardSize }: DataSet): number {
  return Math.ceil(size / shardSize);
}

/** The positions of data shard `index`. */
export function positionsOf({ size, shardSize }: DataSet, index: number): { begin: number; end: number } {
  const begin = index * shardSize;
  return { begin, end: Math.min(size, begin + shardSize) };
}

/** The seed of the order of `epoch`; undefined: the examples' own order. `number`: which data set it is. */
export function orderSeed(dataSet: DataSet, number: number, epoch: number): number | undefined {
  return dataSet.shuffle ? seedOfEpoch(dataSet.seed, number, epoch) : undefined;
}

/** What differs between two data sets, in words; undefined: nothing. */
export function dataSetDifference(one: DataSet, other: DataSet): string | undefined {
  for (const key of ['size', 'shardSize', 'epochs', 'shuffle', 'seed', 'hasItems'] as const) {
    if (one[key] !== other[key]) return `${key} is ${String(other[key])}, and was ${String(one[key])}`;
  }
  return undefined;
}
