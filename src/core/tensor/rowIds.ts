/**
 * Ids of a table's rows, as callers give them → as they travel and are worked on: each id as two words
 * (low, high) of an unsigned 64-bit number, little-endian, strictly rising. So a batch names each row once, its
 * order is fixed, whoever made it, and looking its rows up walks through memory in one direction.
 */
import { invalidArgument } from '../base/errors.js';

/** Row ids as a caller gives them: integers from 0 to 2^53 − 1, in any order; some may be there several times. */
export type RowIdList = Uint32Array | BigUint64Array | readonly number[];

const TWO_32 = 0x1_0000_0000;
const MAX_HIGH = 0x1f_ffff;
const DIGITS = 256;

/** Strictly rising ids, and where the caller's stand among them. */
export interface SortedIds {
  /** Two words for each different id: low, high. */
  readonly words: Uint32Array;
  /** How many different ids there are. */
  readonly count: number;
  /** For each id of the caller, its position in `words`; undefined: the caller's were strictly rising. */
  readonly positions: Uint32Array | undefined;
}

/**
 * Checks, sorts and unites `ids`. Throws `PS_INVALID_ARGUMENT` that begins with `option` and names the first id
 * that is not an integer from 0 to 2^53 − 1, or if `ids` is no list of them. O(length).
 */
export function sortIds(option: string, ids: unknown): SortedIds {
  const given = wordsOf(option, ids);
  if (isRising(given)) return { words: given, count: given.length / 2, positions: undefined };
  const order = orderOf(given);
  const count = order.length;
  const words = new Uint32Array(given.length);
  const positions = new Uint32Array(count);
  let last = -1;
  for (let i = 0; i < count; i++) {
    const from = order[i] as number;
    const low = given[2 * from] as number;
    const high = given[2 * from + 1] as number;
    if (last < 0 || words[2 * last] !== low || words[2 * last + 1] !== high) {
      last++;
      words[2 * last] = low;
      words[2 * last + 1] = high;
    }
    positions[from] = last;
  }
  return { words: words.subarray(0, 2 * (last + 1)), count: last + 1, positions };
}

/**
 * The gradients of the different ids: `values` (`dim` of them for each id that the caller gave) summed over ids
 * that are there twice, in float32, in the caller's order. Returns `values` itself if the ids were strictly
 * rising. O(length).
 */
export function sumByRow(ids: SortedIds, values: Float32Array, dim: number): Float32Array {
  const { positions, count } = ids;
  if (positions === undefined) return values;
  const sums = new Float32Array(count * dim);
  const isSeen = new Uint8Array(count);
  for (let i = 0; i < positions.length; i++) {
    const row = positions[i] as number;
    const from = i * dim;
    const to = row * dim;
    // The first is copied, not added to 0, so that −0 stays −0.
    if (isSeen[row] === 0) for (let k = 0; k < dim; k++) sums[to + k] = values[from + k] as number;
    else for (let k = 0; k < dim; k++) sums[to + k] = (sums[to + k] as number) + (values[from + k] as number);
    isSeen[row] = 1;
  }
  return sums;
}

/** The rows of the different ids, laid out for each id that the caller gave. O(length). */
export function spreadRows(ids: SortedIds, rows: Float32Array, dim: number, out: Float32Array): void {
  const { positions } = ids;
  if (positions === undefined) {
    out.set(rows);
    return;
  }
  for (let i = 0; i < positions.length; i++) {
    const from = (positions[i] as number) * dim;
    const to = i * dim;
    for (let k = 0; k < dim; k++) out[to + k] = rows[from + k] as number;
  }
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

/** The positions of `words` in rising order of their ids, equal ones in the caller's order: a radix sort. */
function orderOf(words: Uint32Array): Uint32Array {
  const count = words.length / 2;
  let from = new Uint32Array(count);
  for (let i = 0; i < count; i++) from[i] = i;
  let to = new Uint32Array(count);
  const starts = new Uint32Array(DIGITS);
  for (let digit = 0; digit < 7; digit++) {
    const word = digit >> 2;
    const shift = (digit & 3) * 8;
    starts.fill(0);
    for (let i = word; i < words.length; i += 2) {
      const value = ((words[i] as number) >>> shift) & 255;
      starts[value] = (starts[value] as number) + 1;
    }
    // All alike: this digit changes no order.
    if (starts[((words[word] as number) >>> shift) & 255] === count) continue;
    let at = 0;
    for (let value = 0; value < DIGITS; value++) {
      const here = starts[value] as number;
      starts[value] = at;
      at += here;
    }
    for (let i = 0; i < count; i++) {
      const position = from[i] as number;
      const value = ((words[2 * position + word] as number) >>> shift) & 255;
      const place = starts[value] as number;
      starts[value] = place + 1;
      to[place] = position;
    }
    [from, to] = [to, from];
  }
  return from;
}
