/**
 * What the training with workers and the one in a single process must have in common for their
 * results to be compared.
 */

/** Digits in a batch. */
export const BATCH_SIZE = 32;

/** Adam's step size; the guide says how it was chosen. */
export const LEARNING_RATE = 2e-3;
