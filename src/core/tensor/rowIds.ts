/**
 * Ids of a table's rows, as callers give them → as they travel and are worked on: each id as two words
 * (low, high) of an unsigned 64-bit number, little-endian, strictly rising. So a batch names each row once, its
 * order is fixed, whoever made it, and looking its rows up walks through memory in one direction.
 */
import { invalidArgument } from '../base/errors.js';
import { type GroupedIds, groupIds } from './idGroups.js';

/** Row ids as a caller gives them: integers from 0 to 2^53 − 1, in any order; some may be there several times. */
export type RowIdList = Uint32Array | BigUint64Array | readonly number[];

const TWO_32 = 0x1_0000_0000;
const MAX_HIGH = 0x1f_ffff;

/** Strictly rising ids, and where the caller's stand among them. */
export interface SortedIds {
  /** Two words for each different id: low, high. */
  readonly words: Uint32Array;
  /** How many different ids there are. */
  readonly count: number;
  /** How many the caller gave. */
  readonly given: number;
  /** Undefined: the caller's were strictly rising. */
  readonly grouped: GroupedIds | undefined;
}

/**
 * Checks, sorts and unites `ids`. Throws `PS_INVALID_ARGUMENT` that begins with `option` and names the first id
 * that is not an integer from 0 to 2^53 − 1, or if `ids` is no list of them. O(length).
 */
export function sortIds(option: string, ids: unknown): SortedIds {
  const words = wordsOf(option, ids);
  const given = words.length / 2;
  if (isRising(words)) return { words, count: given, given, grouped: undefined };
  const { different, ...grouped } = groupIds(words);
  return { words: different, count: different.length / 2, given, grouped };
}

/** Whether `words` are ids of two words each, none above 2^53 − 1, strictly rising. O(length). */
export function isRising(words: Uint32Array): boolean {
  let low = -1;
  let high = 0;
  for (let i = 0; i < words.length; i += 2) {
    const nextLow = words[i] as number;
    const nextHigh = words[i + 1] as number;
    if (nextHigh < high || (nextHigh === high && nextLow <= low)) return false;
    low = nextLow;
    high = nextHigh;
  }
  return high <= MAX_HIGH && words.length % 2 === 0;
}

/** The id at `position`, as a number. */
export function idAt(words: Uint32Array, position: number): number {
  return (words[2 * position + 1] as number) * TWO_32 + (words[2 * position] as number);
}

/** Where the id (`low`, `high`) stands in strictly rising `words`, or −1. O(log length). */
export function positionOf(words: Uint32Array, low: number, high: number): number {
  let begin = 0;
  let end = words.length / 2;
  while (begin < end) {
    const middle = (begin + end) >>> 1;
    const middleHigh = words[2 * middle + 1] as number;
    const middleLow = words[2 * middle] as number;
    if (middleHigh < high || (middleHigh === high && middleLow < low)) begin = middle + 1;
    else end = middle;
  }
  const isThere = words[2 * begin] === low && words[2 * begin + 1] === high;
  return isThere ? begin : -1;
}

function wordsOf(option: string, ids: unknown): Uint32Array {
  if (ids instanceof Uint32Array) {
    const words = new Uint32Array(2 * ids.length);
    for (let i = 0; i < ids.length; i++) words[2 * i] = ids[i] as number;
    return words;
  }
  if (ids instanceof BigUint64Array) return wordsOfBig(option, ids);
  if (!Array.isArray(ids)) {
    throw invalidArgument(option, ids, 'a Uint32Array, a BigUint64Array or an array of numbers');
  }
  const words = new Uint32Array(2 * ids.length);
  for (let i = 0; i < ids.length; i++) {
    const id: unknown = ids[i];
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 0) throw notAnId(option, i, id);
    words[2 * i] = id >>> 0;
    words[2 * i + 1] = Math.floor(id / TWO_32);
  }
  return words;
}

function wordsOfBig(option: string, ids: BigUint64Array): Uint32Array {
  // The machine's own order of bytes is little-endian wherever pslib runs (`bytesOf` relies on it too).
  const words = new Uint32Array(ids.buffer, ids.byteOffset, 2 * ids.length).slice();
  for (let i = 0; i < ids.length; i++) {
    if ((words[2 * i + 1] as number) > MAX_HIGH) throw notAnId(option, i, ids[i]);
  }
  return words;
}

function notAnId(option: string, index: number, id: unknown): Error {
  return invalidArgument(`${option}[${index}]`, id, 'an integer from 0 to 2^53 − 1');
}
