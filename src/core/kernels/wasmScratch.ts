/**
 * How the WASM kernels work on arrays that stand outside their memory: block by block through areas inside it,
 * which stay in cache. Arrays inside it are used where they stand, also beside others that are not.
 */
import { invariant } from '../base/invariant.js';
import { SUM_SQUARES_BLOCK } from './kernels.js';
import type { WasmArena } from './wasmArena.js';
import type { WasmExports, WasmKernel } from './wasmModule.js';

/** Arrays that a kernel takes. */
type Elements = Float32Array | Uint16Array;

/**
 * What a kernel does with each of its arrays, a letter each: `r` reads, `w` writes without reading, `u` updates.
 */
export type Uses = string;

/** Elements of a block: 64 KiB, so that what a call costs counts little, and five of them fit into a second-level cache. */
const BLOCK = SUM_SQUARES_BLOCK;
/** A kernel takes at most so many arrays. */
const AREAS = 5;

/** Areas of a WASM memory through which arrays from outside pass. */
export class WasmScratch {
  readonly #buffer: ArrayBuffer;
  readonly #areas: readonly Float32Array[];

  constructor(arena: WasmArena) {
    this.#buffer = arena.buffer;
    this.#areas = Array.from({ length: AREAS }, () => arena.allocate(SUM_SQUARES_BLOCK));
  }

  /**
   * Calls `kernel(…addresses, length, …scalars)` for the blocks of `arrays`, which all have the same length. An
   * array may be given twice if one of the two is only written.
   */
  run(uses: Uses, arrays: readonly Elements[], kernel: WasmKernel, scalars: readonly number[]): void {
    const count = arrays.length;
    const total = (arrays[0] as Elements).length;
    for (let k = 1; k < count; k++) {
      invariant(arrays[k]?.length === total, 'a kernel got arrays of different lengths');
    }
    const numbers = [...arrays.map(() => 0), 0, ...scalars];
    for (let begin = 0; begin < total; begin += BLOCK) {
      const end = Math.min(total, begin + BLOCK);
      for (let k = 0; k < count; k++) {
        numbers[k] = this.#bring(arrays[k] as Elements, begin, end, k, uses[k] !== 'w');
      }
      numbers[count] = end - begin;
      kernel.apply(undefined, numbers);
      for (let k = 0; k < count; k++) {
        if (uses[k] !== 'r') this.#takeBack(arrays[k] as Elements, begin, end, k);
      }
    }
  }

  /** `Kernels.sumSquares`, in the blocks that are laid down for it. */
  sumSquares(values: Float32Array, wasm: Pick<WasmExports, 'sumSquares'>, initial: number): number {
    let total = initial;
    for (let begin = 0; begin < values.length; begin += SUM_SQUARES_BLOCK) {
      const end = Math.min(values.length, begin + SUM_SQUARES_BLOCK);
      total = wasm.sumSquares(this.#bring(values, begin, end, 0, true), end - begin, total);
    }
    return total;
  }

  /** The address of [begin, end) of `array`, in area `k` if it is not in the memory already. */
  #bring(array: Elements, begin: number, end: number, k: number, isRead: boolean): number {
    if (array.buffer === this.#buffer) return array.byteOffset + begin * array.BYTES_PER_ELEMENT;
    const area = this.#areas[k] as Float32Array;
    if (isRead) like(array, area).set(part(array, begin, end));
    return area.byteOffset;
  }

  #takeBack(array: Elements, begin: number, end: number, k: number): void {
    if (array.buffer === this.#buffer) return;
    const area = like(array, this.#areas[k] as Float32Array);
    part(array, begin, end).set(area.subarray(0, end - begin));
  }
}

/** `area` as an array of the same type as `array`. */
function like(array: Elements, area: Float32Array): Elements {
  return array instanceof Float32Array ? area : new Uint16Array(area.buffer, area.byteOffset, area.length);
}

function part(array: Elements, begin: number, end: number): Elements {
  return end - begin === array.length ? array : array.subarray(begin, end);
}
