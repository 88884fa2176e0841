/**
 * One array per row: the values of a table's rows, or one slot of its optimizer. Rows stand in blocks that never
 * move, so a table grows without copying. What moves many rows are kernels.
 */
import type { RowStore } from '../kernels/kernels.js';

/** Elements of a block, where a row is not longer: 256 KiB. */
const BLOCK_ELEMENTS = 65_536;

/** Rows of `dim` float32 numbers, by row number. */
export class RowPlane implements RowStore {
  readonly dim: number;
  readonly shift: number;
  /** Rows of a block. */
  readonly blockRows: number;
  readonly #allocate: (length: number) => Float32Array;
  readonly #blocks: Float32Array[] = [];
  readonly #offsets: number[] = [];
  #buffer: ArrayBufferLike | undefined;

  /** `allocate` makes arrays of zeros. */
  constructor(dim: number, allocate: (length: number) => Float32Array) {
    this.dim = dim;
    this.shift = Math.floor(Math.log2(Math.max(1, BLOCK_ELEMENTS / dim)));
    this.blockRows = 1 << this.shift;
    this.#allocate = allocate;
  }

  get blocks(): readonly Float32Array[] {
    return this.#blocks;
  }

  get offsets(): readonly number[] {
    return this.#offsets;
  }

  get buffer(): ArrayBufferLike | undefined {
    return this.#buffer;
  }

  /** Rows that it has memory for. */
  get capacity(): number {
    return this.#blocks.length * this.blockRows;
  }

  /** Bytes of its blocks. */
  get bytes(): number {
    return this.capacity * this.dim * 4;
  }

  /** Makes room for row `row`. */
  reach(row: number): void {
    while (row >= this.capacity) this.#grow();
  }

  #grow(): void {
    const block = this.#allocate(this.blockRows * this.dim);
    const isFirst = this.#blocks.length === 0;
    // Once undefined it stays so: no later block stands where nothing does.
    this.#buffer = isFirst || block.buffer === this.#buffer ? block.buffer : undefined;
    this.#blocks.push(block);
    this.#offsets.push(block.byteOffset / Float32Array.BYTES_PER_ELEMENT);
  }

  /** Row `row`, to be written to. */
  row(row: number): Float32Array {
    const from = (row & (this.blockRows - 1)) * this.dim;
    return (this.#blocks[row >>> this.shift] as Float32Array).subarray(from, from + this.dim);
  }
}
