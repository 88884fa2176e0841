/**
 * Seeded random numbers: the same on every machine and runtime, for ever (golden tests hold them), since
 * they are made of integer operations and of + − × ÷ √ alone. Streams are named: `fork(label)` depends on
 * the seed and the labels only, never on how many numbers were drawn. Not for secrets.
 *
 * Generator: xoshiro128** (Blackman & Vigna 2021). Keys: the permutation of Chaskey (Mouha et al. 2014).
 */
import { invalidArgument } from './errors.js';
import { invariant } from './invariant.js';

const TWO_32 = 0x1_0000_0000;
/** The first hexadecimal digits of π's fraction. */
const INITIAL_KEY = [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344] as const;
const LABEL_NUMBER = 1;
const LABEL_STRING = 2;

/** A stream of random numbers. */
export class Random {
  readonly #key: Uint32Array;
  #s0: number;
  #s1: number;
  #s2: number;
  #s3: number;
  #spareNormal = Number.NaN;

  /**
   * `seed`: an integer in [0, 2^53), or a key of four words, not all 0, which becomes the generator's state.
   * Throws `PS_INVALID_ARGUMENT` for any other.
   */
  constructor(seed: number | Uint32Array) {
    if (typeof seed === 'number') {
      this.#key = absorb(Uint32Array.from(INITIAL_KEY), wordsOf(checkSeed('seed', seed)));
    } else {
      invariant(seed.length === 4 && seed.some((word) => word !== 0), 'a key is four words, not all 0');
      this.#key = seed.slice();
    }
    [this.#s0, this.#s1, this.#s2, this.#s3] = this.#key as unknown as [number, number, number, number];
  }

  /** The stream of `label` (an integer in [0, 2^53), or a string) under this one. */
  fork(label: string | number): Random {
    if (typeof label === 'number') {
      invariant(Number.isSafeInteger(label) && label >= 0, 'a number as a label is a safe integer ≥ 0');
      return new Random(absorb(this.#key, [LABEL_NUMBER, ...wordsOf(label)]));
    }
    const words = [LABEL_STRING, label.length];
    for (let i = 0; i < label.length; i++) words.push(label.charCodeAt(i));
    return new Random(absorb(this.#key, words));
  }

  /** An integer in [0, 2^32). */
  nextUint32(): number {
    const s1 = this.#s1;
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9) >>> 0;
    this.#s2 ^= this.#s0;
    this.#s3 ^= s1;
    this.#s1 = s1 ^ this.#s2;
    this.#s0 ^= this.#s3;
    this.#s2 ^= s1 << 9;
    this.#s3 = rotateLeft(this.#s3, 11);
    return result;
  }

  /** A multiple of 2^-32 in [0, 1). */
  nextFloat(): number {
    return this.nextUint32() / TWO_32;
  }

  /** An integer in [0, bound), all equally likely. Requires an integer `bound` in [1, 2^32]. */
  nextInt(bound: number): number {
    invariant(Number.isInteger(bound) && bound >= 1 && bound <= TWO_32, 'a bound is an integer in [1, 2^32]');
    // Numbers from the last, incomplete run of `bound` would favour small results: they are drawn again.
    const limit = TWO_32 - (TWO_32 % bound);
    let drawn = this.nextUint32();
    while (drawn >= limit) drawn = this.nextUint32();
    return drawn % bound;
  }

  /** A standard normal number, by the polar method (Marsaglia & Bray 1964), two at a time. */
  nextNormal(): number {
    const spare = this.#spareNormal;
    if (!Number.isNaN(spare)) {
      this.#spareNormal = Number.NaN;
      return spare;
    }
    for (;;) {
      const x = 2 * this.nextFloat() - 1;
      const y = 2 * this.nextFloat() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const stretch = Math.sqrt((-2 * logarithm(square)) / square);
      this.#spareNormal = y * stretch;
      return x * stretch;
    }
  }

  /** Puts `items` into random order, all orders equally likely (Durstenfeld 1964). Mutates and returns `items`. */
  shuffle<T extends unknown[] | Uint32Array | Float32Array | Float64Array>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.nextInt(i + 1);
      const held = items[i];
      items[i] = items[j];
      items[j] = held;
    }
    return items;
  }
}

/** Returns `seed` if it is an integer in [0, 2^53); throws `PS_INVALID_ARGUMENT` that names `option` otherwise. */
export function checkSeed(option: string, seed: unknown): number {
  if (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0) return seed;
  throw invalidArgument(option, seed, 'an integer in [0, 2^53)');
}

function wordsOf(value: number): [low: number, high: number] {
  return [value >>> 0, Math.floor(value / TWO_32)];
}

function rotateLeft(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** `key` with `words` mixed in, one by one, each followed by the eight rounds of Chaskey's permutation. */
function absorb(key: Uint32Array, words: readonly number[]): Uint32Array {
  let [a, b, c, d] = key as unknown as [number, number, number, number];
  for (const word of words) {
    a ^= word;
    for (let round = 0; round < 8; round++) {
      a = (a + b) | 0;
      c = (c + d) | 0;
      b = rotateLeft(b, 5) ^ a;
      d = rotateLeft(d, 8) ^ c;
      a = rotateLeft(a, 16);
      c = (c + b) | 0;
      a = (a + d) | 0;
      b = rotateLeft(b, 7) ^ c;
      d = rotateLeft(d, 13) ^ a;
      c = rotateLeft(c, 16);
    }
  }
  return Uint32Array.of(a, b, c, d);
}

/**
 * The natural logarithm of `x`, 0 < x < 1, from exactly defined operations: the precision of Math.log is
 * left to each engine. ln x = 2 artanh((x − 1) / (x + 1)); its series, on [√½, √2), ends under 2^-53.
 */
function logarithm(x: number): number {
  let exponent = 0;
  let mantissa = x;
  while (mantissa < Math.SQRT1_2) {
    mantissa *= 2;
    exponent--;
  }
  const ratio = (mantissa - 1) / (mantissa + 1);
  const square = ratio * ratio;
  let series = 0;
  for (let divisor = 21; divisor >= 1; divisor -= 2) series = series * square + 1 / divisor;
  return 2 * ratio * series + exponent * Math.LN2;
}
