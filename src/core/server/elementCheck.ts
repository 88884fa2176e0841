/**
 * What is checked of a push's elements while they come: numbers are finite and add to the norm, ids of rows rise
 * strictly. Numbers are checked in blocks that begin where a piece of the push begins, not where a chunk does, so
 * that the norm's bits don't depend on how the push was cut.
 */
import { PsError } from '../base/errors.js';
import type { Kernels } from '../kernels/kernels.js';
import { SUM_SQUARES_BLOCK } from '../kernels/kernels.js';
import type { NonFinite } from '../protocol/sessionMessages.js';
import { isRising } from '../tensor/rowIds.js';

/** Elements [begin, end) of a push: numbers, or ids of rows. */
export interface ElementPiece {
  readonly isIds: boolean;
  readonly begin: number;
  readonly end: number;
  /** Of the table, for rows. */
  readonly name?: string;
}

/** Checks one push. */
export class ElementCheck {
  /** Of all numbers so far that are checked. */
  normSquared = 0;
  /** What is wrong with the ids, found so far. */
  fault: PsError | undefined;
  readonly #kernels: Kernels;
  readonly #nonFinite: NonFinite;
  readonly #pieces: readonly ElementPiece[];
  #piece = 0;
  #checked = 0;

  constructor(pieces: readonly ElementPiece[], kernels: Kernels, nonFinite: NonFinite) {
    this.#pieces = pieces;
    this.#kernels = kernels;
    this.#nonFinite = nonFinite;
  }

  /** `received` elements of `data` have come. May write zeros over numbers that are not finite. */
  advance(data: Float32Array, received: number): void {
    for (let piece = this.#pieces[this.#piece]; piece !== undefined; piece = this.#pieces[this.#piece]) {
      const isWhole = received >= piece.end;
      if (piece.isIds && isWhole) this.#checkIds(data, piece);
      else if (!piece.isIds) this.#checkNumbers(data, isWhole ? piece.end : blocksOf(piece, received));
      if (!isWhole) return;
      this.#checked = piece.end;
      this.#piece++;
    }
  }

  #checkNumbers(data: Float32Array, end: number): void {
    if (end <= this.#checked) return;
    const part = data.subarray(this.#checked, end);
    if (this.#nonFinite === 'zero') this.#kernels.zeroNonFinite(part);
    this.normSquared = this.#kernels.sumSquares(part, this.normSquared);
    this.#checked = end;
  }

  #checkIds(data: Float32Array, { begin, end, name = '' }: ElementPiece): void {
    const words = new Uint32Array(data.buffer, data.byteOffset + begin * 4, end - begin);
    if (isRising(words)) return;
    const text = `the ids of table "${name}" must rise strictly, each below 2^53`;
    this.fault ??= new PsError('PS_ROW_IDS', text, { details: { tensor: name } });
  }
}

/** The end of the last block of `piece` of which all `received` elements have come. */
function blocksOf({ begin }: ElementPiece, received: number): number {
  const blocks = Math.floor(Math.max(0, received - begin) / SUM_SQUARES_BLOCK);
  return begin + blocks * SUM_SQUARES_BLOCK;
}
