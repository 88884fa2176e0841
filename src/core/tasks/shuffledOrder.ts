/**
 * A seeded permutation of [0, size) that is computed place by place, with no memory: both ends of a
 * connection know the order of an epoch from its size and one 32-bit seed, whoever asks for which part when.
 *
 * A Feistel network (Luby & Rackoff 1988) over the smallest 4^h ≥ size, walked until it is back in [0, size)
 * (Black & Rogaway 2002, "cycle walking"); the round function is the finaliser of MurmurHash3. Not for secrets.
 */

const ROUNDS = 8;
/** 2^32 / the golden ratio. */
const STEP = 0x9e3779b9;

/** The finaliser of MurmurHash3 (Appleby): every bit of `word` reaches every bit of the result. */
function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** The seed of one epoch of one data set. `seed`, `dataSet` and `epoch` are integers from 0. */
export function seedOfEpoch(seed: number, dataSet: number, epoch: number): number {
  let mixed = mix(seed);
  for (const each of [Math.floor(seed / 2 ** 32), dataSet, epoch]) mixed = mix((mixed + STEP) ^ each);
  return mixed;
}

/** One order of the numbers below `size`. */
export class ShuffledOrder {
  readonly size: number;
  readonly #keys: number[];
  readonly #half: number;
  readonly #mask: number;

  /** REQUIRES: 1 ≤ size ≤ 2^52; seed is in [0, 2^32). */
  constructor(size: number, seed: number) {
    this.size = size;
    let bits = 1;
    while (4 ** bits < size) bits++;
    this.#half = 2 ** bits;
    this.#mask = this.#half - 1;
    this.#keys = Array.from({ length: ROUNDS }, (_, round) => mix(seed + (round + 1) * STEP));
  }

  /** The number at `position`. REQUIRES: 0 ≤ position < size. O(1) in the mean. */
  at(position: number): number {
    let value = position;
    do value = this.#permute(value);
    while (value >= this.size);
    return value;
  }

  #permute(value: number): number {
    let left = Math.floor(value / this.#half);
    let right = value % this.#half;
    for (const key of this.#keys) [left, right] = [right, (left ^ mix(right ^ key)) & this.#mask];
    return left * this.#half + right;
  }
}

/** The examples at the positions [from, to) of an epoch. `seed`: of a shuffled epoch; undefined: in their own order. */
export function examplesAt(
  from: number,
  to: number,
  size: number,
  seed: number | undefined,
): Uint32Array | Float64Array {
  const examples = size <= 2 ** 32 ? new Uint32Array(to - from) : new Float64Array(to - from);
  const order = seed === undefined ? undefined : new ShuffledOrder(size, seed);
  for (let i = 0; i < examples.length; i++) examples[i] = order === undefined ? from + i : order.at(from + i);
  return examples;
}
