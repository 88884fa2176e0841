/**
 * What a server finds out about a gradient as it arrives, found out before it is cut for the shards of a group:
 * whether it is finite, and its norm. It is summed in the same blocks, so the bits are those of one server.
 */
import { PsError } from '../../base/errors.js';
import { type Kernels, SUM_SQUARES_BLOCK } from '../../kernels/kernels.js';
import type { NonFinite } from '../../protocol/sessionMessages.js';
import type { CatalogueEntry } from '../../tensor/catalogue.js';

/** The kernels that it takes. */
export type GradientKernels = Pick<Kernels, 'sumSquares' | 'zeroNonFinite'>;

/** Checks gradients; it keeps a block of memory for it. */
export class GradientCheck {
  readonly #kernels: GradientKernels;
  #block: Float32Array | undefined;

  constructor(kernels: GradientKernels) {
    this.#kernels = kernels;
  }

  /**
   * `before` and the sum of the squares of `values`, gradients of `entries` (or one of a table's rows); under `'zero'`,
   * of those that are finite. Throws `PS_NOT_FINITE` under `'reject'`. O(elements).
   */
  normSquared(
    values: readonly Float32Array[],
    entries: readonly Pick<CatalogueEntry, 'name'>[],
    nonFinite: NonFinite,
    before: number = 0,
  ): number {
    let sum = before;
    let filled = 0;
    for (const array of values) {
      let at = 0;
      // Whole blocks are read where they stand, those that lie in several arrays are put together.
      if (filled === 0 && nonFinite !== 'zero') {
        at = array.length - (array.length % SUM_SQUARES_BLOCK);
        sum = this.#kernels.sumSquares(array.subarray(0, at), sum);
      }
      while (at < array.length) {
        const length = Math.min(array.length - at, SUM_SQUARES_BLOCK - filled);
        this.#scratch().set(array.subarray(at, at + length), filled);
        at += length;
        filled += length;
        if (filled < SUM_SQUARES_BLOCK) continue;
        sum = this.#add(filled, sum, nonFinite);
        filled = 0;
      }
    }
    sum = this.#add(filled, sum, nonFinite);
    if (nonFinite === 'reject' && !Number.isFinite(sum)) throw notFinite(values, entries);
    return sum;
  }

  #add(length: number, sum: number, nonFinite: NonFinite): number {
    if (length === 0) return sum;
    const block = this.#scratch().subarray(0, length);
    if (nonFinite === 'zero') this.#kernels.zeroNonFinite(block);
    return this.#kernels.sumSquares(block, sum);
  }

  #scratch(): Float32Array {
    this.#block ??= new Float32Array(SUM_SQUARES_BLOCK);
    return this.#block;
  }
}

function notFinite(
  values: readonly Float32Array[],
  entries: readonly Pick<CatalogueEntry, 'name'>[],
): PsError {
  const at = values.findIndex((array) => !array.every(Number.isFinite));
  const tensor = entries[at]?.name ?? '';
  const text = `the gradient of "${tensor}" holds a value that is not finite`;
  return new PsError('PS_NOT_FINITE', text, { details: { tensor } });
}
