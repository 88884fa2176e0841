/**
 * The model of the crash tests: each worker adds 1 to a cell of its own and to a shared one with every
 * push, so that every update that is lost or applied twice shows.
 */

/** Workers of a crash test. */
export const WORKERS = 4;

/** The parameters: a cell per worker and the shared one. Padding makes a push span several chunks. */
export const PARAMETERS = {
  own: { shape: [WORKERS] },
  shared: { shape: [1] },
  padding: { shape: [600] },
} as const;

/** The gradient of worker `rank` for sgd with learning rate 1. */
export function gradientsOf(rank: number): {
  own: Float32Array;
  shared: Float32Array;
  padding: Float32Array;
} {
  const own = new Float32Array(WORKERS);
  own[rank] = -1;
  return { own, shared: Float32Array.of(-1), padding: new Float32Array(600).fill(-1) };
}
