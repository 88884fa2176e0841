/**
 * What an update overwrites, kept until the next one begins: an optimizer of the user's may throw half-way, and
 * then slots, scalars, and values that were written in place are put back, so that the update has changed nothing.
 * Its memory is as large as what it keeps, and is used again.
 */
import type { Kernels } from '../kernels/kernels.js';
import type { ScalarState } from '../optim/optimizer.js';

interface KeptRange {
  /** What was overwritten. */
  readonly array: Float32Array;
  /** As it was, at the same places. */
  readonly copy: Float32Array;
  readonly begin: number;
  readonly end: number;
}

/** The way back from one update of a dense table. */
export class UpdateUndo {
  readonly #kernels: Kernels;
  readonly #allocate: (length: number) => Float32Array;
  /** As long as the arrays, so that each range stands at its own place. */
  readonly #copies: Float32Array[] = [];
  #ranges: KeptRange[] = [];
  #scalars: { readonly scalars: ScalarState; readonly before: ScalarState }[] = [];

  constructor(kernels: Kernels, allocate: (length: number) => Float32Array) {
    this.#kernels = kernels;
    this.#allocate = allocate;
  }

  /** An update begins: what the one before overwrote is forgotten. */
  begin(): void {
    this.#ranges = [];
    this.#scalars = [];
  }

  /** `scalars` are about to be advanced. */
  keepScalars(scalars: ScalarState): void {
    this.#scalars.push({ scalars, before: [...scalars] });
  }

  /** [begin, end) of `arrays`, all of one length, is about to be overwritten. REQUIRES: once in an update. */
  keep(arrays: readonly Float32Array[], begin: number, end: number): void {
    for (const [i, array] of arrays.entries()) {
      this.#copies[i] ??= this.#allocate(array.length);
      const copy = this.#copies[i] as Float32Array;
      this.#kernels.copy(copy.subarray(begin, end), array.subarray(begin, end));
      this.#ranges.push({ array, copy, begin, end });
    }
  }

  /** Everything that was kept is put back. */
  restore(): void {
    for (const { array, copy, begin, end } of this.#ranges) {
      this.#kernels.copy(array.subarray(begin, end), copy.subarray(begin, end));
    }
    for (const { scalars, before } of this.#scalars) scalars.splice(0, scalars.length, ...before);
    this.begin();
  }
}
