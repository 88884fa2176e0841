/**
 * A small random number generator with a seed, so that a run of the example can be repeated.
 * Xorshift with 32 bits of state (Marsaglia 2003); good enough to shuffle, not for secrets.
 */

/** Returns the next number, uniform in [0, 1). */
export type Random = () => number;

/** A generator that gives the same numbers for the same `seed`, an integer. */
export function randomFrom(seed: number): Random {
  // Neighbouring seeds are spread over all bits; a state of zero would stay zero for ever.
  let state = Math.imul(seed + 1, 0x9e3779b1) || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) next();
  return next;
}

/** The integers 0 … count − 1 in random order (Fisher and Yates). */
export function shuffledIndices(count: number, random: Random): Uint32Array {
  const indices = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const swapped = indices[i] as number;
    indices[i] = indices[j] as number;
    indices[j] = swapped;
  }
  return indices;
}
