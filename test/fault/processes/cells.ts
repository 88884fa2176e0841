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

/**
 * Sparse tables that say the same: a row of each worker and one that all share; and a bounded one, where a row that is in
 * every push must outlive all evictions.
 */
export const TABLES = { rows: { dim: 2 }, recent: { dim: 1, maxRows: 3 } } as const;

/** The id of the row of worker `rank`, and that of the row that is in every push. */
export const idOf = (rank: number): number => 2 ** 40 * (rank + 1) + 7;
export const SHARED_ID = 3;

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

/** What goes with it to the tables. */
export function rowGradientsOf(rank: number): {
  rows: { ids: number[]; values: Float32Array };
  recent: { ids: number[]; values: Float32Array };
} {
  return {
    rows: { ids: [idOf(rank), SHARED_ID], values: new Float32Array(4).fill(-1) },
    recent: { ids: [SHARED_ID, idOf(rank)], values: Float32Array.of(-1, 0) },
  };
}
