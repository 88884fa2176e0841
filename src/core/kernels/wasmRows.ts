/**
 * `gatherRows` and `scatterRows` in WebAssembly: rows of a store in the memory of the kernels are handed over by
 * address, a block of them at a time. What stands outside the memory passes through an area inside it; a store
 * outside it, or one of very short rows, which cost less than their addresses, is left to plain JavaScript.
 */
import type { Kernels, RowStore } from './kernels.js';
import { referenceRows } from './referenceRows.js';
import type { WasmArena } from './wasmArena.js';
import type { WasmExports } from './wasmModule.js';

/** Rows of a block at most, and elements: 64 KiB, so that they stay in cache. */
const BLOCK_ROWS = 1_024;
const BLOCK_ELEMENTS = 16_384;
/** Rows below this many numbers. */
const SHORT_ROW = 4;

/** Moves rows in a WASM memory. */
export class WasmRows {
  readonly #wasm: Pick<WasmExports, 'gatherRows' | 'scatterRows'>;
  readonly #buffer: ArrayBuffer;
  readonly #addresses: Uint32Array;
  readonly #area: Float32Array;

  constructor(wasm: Pick<WasmExports, 'gatherRows' | 'scatterRows'>, arena: WasmArena) {
    this.#wasm = wasm;
    this.#buffer = arena.buffer;
    const { buffer, byteOffset } = arena.allocate(BLOCK_ROWS);
    this.#addresses = new Uint32Array(buffer, byteOffset, BLOCK_ROWS);
    this.#area = arena.allocate(BLOCK_ELEMENTS);
  }

  readonly gatherRows: Kernels['gatherRows'] = (out, store, rows, count) => {
    const { dim } = store;
    const step = this.#stepOf(store, out);
    if (step === 0) {
      referenceRows.gatherRows(out, store, rows, count);
      return;
    }
    const isHere = out.buffer === this.#buffer;
    for (let begin = 0; begin < count; begin += step) {
      const part = Math.min(step, count - begin);
      this.#locate(store, rows, begin, part);
      const to = isHere ? out.byteOffset + begin * dim * 4 : this.#area.byteOffset;
      this.#wasm.gatherRows(to, this.#addresses.byteOffset, part, dim);
      if (!isHere) out.set(this.#area.subarray(0, part * dim), begin * dim);
    }
  };

  readonly scatterRows: Kernels['scatterRows'] = (store, rows, count, from) => {
    const { dim } = store;
    const step = this.#stepOf(store, from);
    if (step === 0) {
      referenceRows.scatterRows(store, rows, count, from);
      return;
    }
    const isHere = from.buffer === this.#buffer;
    for (let begin = 0; begin < count; begin += step) {
      const part = Math.min(step, count - begin);
      this.#locate(store, rows, begin, part);
      if (!isHere) this.#area.set(from.subarray(begin * dim, (begin + part) * dim));
      const at = isHere ? from.byteOffset + begin * dim * 4 : this.#area.byteOffset;
      this.#wasm.scatterRows(this.#addresses.byteOffset, at, part, dim);
    }
  };

  /** Rows of a block; 0: not for WebAssembly. */
  #stepOf({ dim, buffer }: RowStore, others: Float32Array): number {
    if (buffer !== this.#buffer || dim < SHORT_ROW) return 0;
    if (others.buffer === this.#buffer) return BLOCK_ROWS;
    return Math.min(BLOCK_ROWS, Math.floor(BLOCK_ELEMENTS / dim));
  }

  /** The addresses of `count` rows, from `rows[begin]` on. */
  #locate({ dim, shift, offsets }: RowStore, rows: Int32Array, begin: number, count: number): void {
    const addresses = this.#addresses;
    const mask = (1 << shift) - 1;
    for (let i = 0; i < count; i++) {
      const row = rows[begin + i] as number;
      addresses[i] = ((offsets[row >>> shift] as number) + (row & mask) * dim) << 2;
    }
  }
}
