/**
 * Ids in any order, some of them several times → the different ones, rising, and for each where the caller has it:
 *
 *     ids         30  10  30  20
 *     different   10  20  30
 *     positions    1   3   0   2          of the caller's ids, by rising id, equal ones in the caller's order
 *     starts       0   1   2   4          where in `positions` each id begins, and the end
 *
 * A radix sort that carries keys and positions together, so that it reads memory in one direction only.
 */

/** Where the caller has each of the different ids. */
export interface GroupedIds {
  readonly positions: Uint32Array;
  readonly starts: Uint32Array;
}

/** Bits of a digit at most; few ids are not worth a long table of counts. */
const DIGIT_BITS = 11;
const SHORT_DIGIT_BITS = 8;
const SHORT_LIST = 4_096;

/** Words of a list whose memory is kept: 8 MiB, twice. Memory that is new costs a third of the sorting. */
const MAX_KEPT = 2_097_152;
/** Nothing in them outlasts a call. */
let kept: [Uint32Array, Uint32Array] = [new Uint32Array(0), new Uint32Array(0)];

/** Sorts and unites the ids of two words each. `different`: two words each, strictly rising. O(length). */
export function groupIds(words: Uint32Array): GroupedIds & { readonly different: Uint32Array } {
  const count = words.length / 2;
  const { pairs, isByHigh } = sortedPairs(words);
  const different = new Uint32Array(words.length);
  const positions = new Uint32Array(count);
  const starts = new Uint32Array(count + 1);
  let rows = 0;
  for (let i = 0; i < count; i++) {
    const position = pairs[2 * i + 1] as number;
    const low = isByHigh ? (words[2 * position] as number) : (pairs[2 * i] as number);
    const high = isByHigh ? (pairs[2 * i] as number) : 0;
    positions[i] = position;
    if (i === 0 || different[2 * rows - 2] !== low || different[2 * rows - 1] !== high) {
      different[2 * rows] = low;
      different[2 * rows + 1] = high;
      starts[rows++] = i;
    }
  }
  starts[rows] = count;
  return { different: different.subarray(0, 2 * rows), positions, starts: starts.subarray(0, rows + 1) };
}

/**
 * (key, position) by rising id. The keys are the high words if they were sorted by them too (`isByHigh`); otherwise
 * they are the low words, and all high words are 0.
 */
function sortedPairs(words: Uint32Array): { readonly pairs: Uint32Array; readonly isByHigh: boolean } {
  const [unsorted, spare] = scratchOf(words.length);
  for (let i = 1; i < words.length; i += 2) unsorted[i] = i >>> 1;
  const pairs = sortByWord(words, 0, unsorted, spare);
  let isByHigh = false;
  for (let i = 1; i < words.length && !isByHigh; i += 2) isByHigh = words[i] !== 0;
  if (!isByHigh) return { pairs, isByHigh };
  return { pairs: sortByWord(words, 1, pairs, pairs === spare ? unsorted : spare), isByHigh };
}

/** Two arrays of `length`, whatever is in them, until the next call. */
function scratchOf(length: number): [Uint32Array, Uint32Array] {
  if (length > MAX_KEPT) return [new Uint32Array(length), new Uint32Array(length)];
  if (kept[0].length < length) kept = [new Uint32Array(length), new Uint32Array(length)];
  return [kept[0].subarray(0, length), kept[1].subarray(0, length)];
}

/** Sorts `pairs` by one word of their ids, stably; returns the one of the two arrays in which they are then. */
function sortByWord(words: Uint32Array, word: number, pairs: Uint32Array, spare: Uint32Array): Uint32Array {
  const { length } = pairs;
  const first = words[word] as number;
  // Bits in which they are not all alike: other digits change no order.
  let differing = 0;
  for (let i = 0; i < length; i += 2) {
    const key = words[2 * (pairs[i + 1] as number) + word] as number;
    pairs[i] = key;
    differing |= key ^ first;
  }
  if (differing === 0) return pairs;
  const width = 32 - Math.clz32(differing);
  const passes = Math.ceil(width / (length < 2 * SHORT_LIST ? SHORT_DIGIT_BITS : DIGIT_BITS));
  // Digits as short as so many passes allow: the fewer places are written to in turn, the more of them are in cache.
  const bits = Math.ceil(width / passes);
  const mask = (1 << bits) - 1;
  const places = new Uint32Array(1 << bits);
  let from = pairs;
  let to = spare;
  for (let shift = 0; shift < width; shift += bits) {
    if (((differing >>> shift) & mask) === 0) continue;
    countPlaces(from, shift, mask, places);
    for (let i = 0; i < length; i += 2) {
      const key = from[i] as number;
      const digit = (key >>> shift) & mask;
      const place = places[digit] as number;
      places[digit] = place + 2;
      to[place] = key;
      to[place + 1] = from[i + 1] as number;
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Where the first pair with each digit goes. */
function countPlaces(pairs: Uint32Array, shift: number, mask: number, places: Uint32Array): void {
  places.fill(0);
  for (let i = 0; i < pairs.length; i += 2) {
    const digit = ((pairs[i] as number) >>> shift) & mask;
    places[digit] = (places[digit] as number) + 2;
  }
  let at = 0;
  for (let digit = 0; digit <= mask; digit++) {
    const here = places[digit] as number;
    places[digit] = at;
    at += here;
  }
}
