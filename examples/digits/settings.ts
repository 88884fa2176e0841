/**
 * What the training with workers and the one in a single process must have in common for their
 * results to be compared.
 */

/** Digits in a batch. */
export const BATCH_SIZE = 32;

/** Adam's step size at the start; the guide says how it was chosen. */
export const LEARNING_RATE = 8e-3;

/**
 * The step size at each version: it falls in a straight line from `first` to 0 over so many updates.
 * A constant one would leave the result to the luck of the last few batches.
 */
export function fallingRate(first: number, updates: number): (version: number) => number {
  return (version) => first * Math.max(0, 1 - version / updates);
}
