/** How fast it learns: slowly, so that one can watch. */

/** Adam's step size. */
export const LEARNING_RATE = 0.001;

/** Worker processes. */
export const WORKERS = 2;

/** Each worker rests so long after a step. */
export const REST_MS = 50;
