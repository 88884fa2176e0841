/**
 * First values of a table's rows: they depend on the seed, the table's name and the row's id only, so that a row that
 * nobody has updated need not be kept. Only named rules: a replay of the journal asks no user function.
 */
import { invalidArgument } from '../base/errors.js';
import { Random } from '../base/random.js';

/**
 * - `'zeros'`, `'ones'`;
 * - `'normal'`: mean 0, standard deviation 0.05; `'uniform'`: from [−0.05, 0.05] (both as in Keras).
 */
export const ROW_INITIALISERS = ['zeros', 'ones', 'normal', 'uniform'] as const;
/** A rule for the first values of rows. */
export type RowInitialiser = (typeof ROW_INITIALISERS)[number];

const SCALE = 0.05;
const TWO_32 = 0x1_0000_0000;

/** Writes first values. */
export class InitialRows {
  readonly #init: RowInitialiser;
  readonly #random: Random;

  constructor(init: RowInitialiser, seed: number, table: string) {
    this.#init = init;
    this.#random = new Random(seed).fork('rows').fork(table);
  }

  /** Writes the first values of the row of an id to `out`. O(length). */
  write(out: Float32Array, low: number, high: number): void {
    if (this.#init === 'zeros') out.fill(0);
    else if (this.#init === 'ones') out.fill(1);
    else {
      const stream = this.#random.fork(high * TWO_32 + low);
      if (this.#init === 'normal') for (let k = 0; k < out.length; k++) out[k] = SCALE * stream.nextNormal();
      else for (let k = 0; k < out.length; k++) out[k] = SCALE * (2 * stream.nextFloat() - 1);
    }
  }
}

/** Returns `init` if it names a rule; throws `PS_INVALID_ARGUMENT` that begins with `option` otherwise. */
export function checkRowInitialiser(option: string, init: unknown): RowInitialiser {
  const found = ROW_INITIALISERS.find((each) => each === init);
  if (found === undefined) throw invalidArgument(option, init, `one of ${ROW_INITIALISERS.join(', ')}`);
  return found;
}
