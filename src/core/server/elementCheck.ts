/**
 * What is checked of a push's elements while they come: numbers are finite and add to the norm, ids of rows rise
 * strictly. Numbers are checked in blocks that begin where a piece of the push begins, not where a chunk does, so
 * that the norm's bits don't depend on how the push was cut.
 */
import { PsError } from '../base/errors.js';
import type { Kernels } from '../kernels/kernels.js';
import { SUM_SQUARES_BLOCK } from '../kernels/kernels.js';
import type { Shard } from '../partition/keyRange.js';
import { firstElsewhere } from '../partition/rowShards.js';
import type { NonFinite } from '../protocol/sessionMessages.js';
import { idAt, isRising } from '../tensor/rowIds.js';

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
  readonly #shard: Shard;
  #piece = 0;
  #checked = 0;

  constructor(pieces: readonly ElementPiece[], kernels: Kernels, nonFinite: NonFinite, shard: Shard) {
    this.#pieces = pieces;
    this.#kernels = kernels;
    this.#nonFinite = nonFinite;
    this.#shard = shard;
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
    this.fault ??= faultOfIds(words, name, this.#shard);
  }
}

/** Why `words` can't be the ids of rows of table `name` at `shard`: `PS_ROW_IDS`, or undefined. O(ids). */
export function faultOfIds(words: Uint32Array, name: string, { index, count }: Shard): PsError | undefined {
  const details = { tensor: name };
  if (!isRising(words)) {
    return new PsError('PS_ROW_IDS', `the ids of table "${name}" must rise strictly, each below 2^53`, {
      details,
    });
  }
  const at = firstElsewhere(words, index, count);
  if (at < 0) return undefined;
  const text = `row ${idAt(words, at)} of table "${name}" is not held by shard ${index} of ${count}`;
  return new PsError('PS_ROW_IDS', text, { details });
}

/** The end of the last block of `piece` of which all `received` elements have come. */
function blocksOf({ begin }: ElementPiece, received: number): number {
  const blocks = Math.floor(Math.max(0, received - begin) / SUM_SQUARES_BLOCK);
  return begin + blocks * SUM_SQUARES_BLOCK;
}
