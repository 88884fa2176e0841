/**
 * One array per row: the values of a table's rows, or one slot of its optimizer. Rows stand in blocks that never
 * move, so a table grows without copying.
 */

/** Elements of a block, where a row is not longer: 256 KiB. */
const BLOCK_ELEMENTS = 65_536;
/** Longer rows are copied by the engine, shorter ones element by element. */
const LONG_ROW = 64;
/** Rows that are touched before they are copied: they must fit into a second-level cache. */
const TOUCHED_ROWS = 1_024;
/** What touching gave. Nobody needs it, but what nobody could see would not be done. */
const TOUCHED = new Float32Array(1);

/** Rows of `dim` float32 numbers, by row number. */
export class RowPlane {
  readonly dim: number;
  /** Rows of a block: a power of 2. */
  readonly blockRows: number;
  readonly #shift: number;
  readonly #allocate: (length: number) => Float32Array;
  readonly #blocks: Float32Array[] = [];

  /** `allocate` makes arrays of zeros. */
  constructor(dim: number, allocate: (length: number) => Float32Array) {
    this.dim = dim;
    this.#shift = Math.floor(Math.log2(Math.max(1, BLOCK_ELEMENTS / dim)));
    this.blockRows = 1 << this.#shift;
    this.#allocate = allocate;
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
    while (row >= this.capacity) this.#blocks.push(this.#allocate(this.blockRows * this.dim));
  }

  /** Copies rows `rows[0]` to `rows[count − 1]` to `out`, one after the other. REQUIRES: none is negative. */
  gather(rows: Int32Array, count: number, out: Float32Array): void {
    const { dim } = this;
    if (dim === 1) {
      this.#gatherNumbers(rows, count, out);
      return;
    }
    const blocks = this.#blocks;
    const shift = this.#shift;
    const mask = this.blockRows - 1;
    for (let begin = 0; begin < count; begin += TOUCHED_ROWS) {
      const end = Math.min(count, begin + TOUCHED_ROWS);
      this.#touch(rows, begin, end);
      for (let i = begin; i < end; i++) {
        const row = rows[i] as number;
        const block = blocks[row >>> shift] as Float32Array;
        const from = (row & mask) * dim;
        const to = i * dim;
        if (dim < LONG_ROW) for (let k = 0; k < dim; k++) out[to + k] = block[from + k] as number;
        else out.set(block.subarray(from, from + dim), to);
      }
    }
  }

  #gatherNumbers(rows: Int32Array, count: number, out: Float32Array): void {
    const blocks = this.#blocks;
    const shift = this.#shift;
    const mask = this.blockRows - 1;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      out[i] = (blocks[row >>> shift] as Float32Array)[row & mask] as number;
    }
  }

  /**
   * Reads one number of each row. Rows lie anywhere in memory; so short a loop has many of them on their way at once,
   * where a loop that copies them waits for one after the other.
   */
  #touch(rows: Int32Array, begin: number, end: number): void {
    const { dim } = this;
    const blocks = this.#blocks;
    const shift = this.#shift;
    const mask = this.blockRows - 1;
    let sum = 0;
    for (let i = begin; i < end; i++) {
      const row = rows[i] as number;
      sum += (blocks[row >>> shift] as Float32Array)[(row & mask) * dim] as number;
    }
    TOUCHED[0] = sum;
  }

  /** Copies `from`, row by row, to rows `rows[0]` to `rows[count − 1]`. */
  scatter(rows: Int32Array, count: number, from: Float32Array): void {
    const { dim } = this;
    const blocks = this.#blocks;
    const shift = this.#shift;
    const mask = this.blockRows - 1;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      const block = blocks[row >>> shift] as Float32Array;
      const to = (row & mask) * dim;
      if (dim === 1) block[to] = from[i] as number;
      else if (dim < LONG_ROW) {
        const at = i * dim;
        for (let k = 0; k < dim; k++) block[to + k] = from[at + k] as number;
      } else block.set(from.subarray(i * dim, (i + 1) * dim), to);
    }
  }

  /** Row `row`, to be written to. */
  row(row: number): Float32Array {
    const from = (row & (this.blockRows - 1)) * this.dim;
    return (this.#blocks[row >>> this.#shift] as Float32Array).subarray(from, from + this.dim);
  }
}
