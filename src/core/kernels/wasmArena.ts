/**
 * Arrays in one WebAssembly memory, where the kernels reach them by address.
 *
 * The memory has its full size from the start and never grows, since growing would detach every array in
 * it; pages that nobody has written to take no memory. It is for few and large arrays: each search for
 * room goes through the list of free ranges, and takes the first that is large enough.
 *
 *     0        256                                               end − 64   end
 *     | module | array | free | array | …                   free | unused   |
 */
import { invariant } from '../base/invariant.js';

const PAGE_BYTES = 65_536;
/** All that 32-bit addresses reach. */
const MAX_BYTES = 2 ** 32;
/** Less is not worth trying. */
const MIN_BYTES = 2 ** 20;
/** The first bytes, in which the module keeps constants. */
const MODULE_BYTES = 256;
/** Behind the last array: kernels read up to 32 bytes past the end of one. */
const SLACK_BYTES = 64;
const ALIGNMENT = 64;

/** Bytes from `begin` to before `end`. */
interface Range {
  begin: number;
  end: number;
}

/** A bounded store of arrays for the WASM kernels. */
export class WasmArena {
  readonly memory: WebAssembly.Memory;
  /** The memory's buffer: what every array in it has as its `buffer`. */
  readonly buffer: ArrayBuffer;
  /** By address; never two that touch. */
  readonly #free: Range[];
  /** No byte from here on has been written to. */
  #untouched = MODULE_BYTES;

  private constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.buffer = memory.buffer as ArrayBuffer;
    this.#free = [{ begin: MODULE_BYTES, end: this.buffer.byteLength - SLACK_BYTES }];
  }

  /**
   * An arena of `bytes` (at least 1 MiB, at most 4 GiB), or of as much of it as the system lets it reserve,
   * halving; undefined if that is less than 1 MiB.
   */
  static reserve(bytes: number): WasmArena | undefined {
    let wanted = Math.min(MAX_BYTES, Math.max(MIN_BYTES, bytes));
    for (; wanted >= MIN_BYTES; wanted /= 2) {
      const pages = Math.ceil(wanted / PAGE_BYTES);
      try {
        return new WasmArena(new WebAssembly.Memory({ initial: pages, maximum: pages }));
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
    return undefined;
  }

  /**
   * Zeros, aligned to 64 bytes; in the arena while there is room, then an array of its own.
   * O(free ranges), and O(length) where memory is used again.
   */
  allocate(length: number): Float32Array {
    const bytes = bytesFor(length);
    const index = this.#free.findIndex(({ begin, end }) => end - begin >= bytes);
    if (index < 0) return new Float32Array(length);
    const range = this.#free[index] as Range;
    const array = new Float32Array(this.buffer, range.begin, length);
    if (range.begin < this.#untouched) array.fill(0);
    range.begin += bytes;
    this.#untouched = Math.max(this.#untouched, range.begin);
    if (range.begin === range.end) this.#free.splice(index, 1);
    return array;
  }

  /**
   * Takes back an array that `allocate` gave, whole: its memory may be given to another. Exactly once per
   * array, and REQUIRES that nobody uses it or a part of it any more. O(free ranges).
   */
  release(array: Float32Array): void {
    if (array.buffer !== this.buffer) return;
    const begin = array.byteOffset;
    const end = begin + bytesFor(array.length);
    const found = this.#free.findIndex((range) => range.begin >= begin);
    const next = found < 0 ? this.#free.length : found;
    const before = this.#free[next - 1];
    const after = this.#free[next];
    const isOurs =
      (before === undefined || before.end <= begin) && (after === undefined || end <= after.begin);
    invariant(isOurs, 'an array is released twice');
    if (before?.end === begin) {
      before.end = end;
      if (after?.begin !== end) return;
      before.end = after.end;
      this.#free.splice(next, 1);
    } else if (after?.begin === end) {
      after.begin = begin;
    } else {
      this.#free.splice(next, 0, { begin, end });
    }
  }
}

/** Bytes of the ranges that arrays of `length` take; not 0, so that each array has its own address. */
function bytesFor(length: number): number {
  const bytes = length * Float32Array.BYTES_PER_ELEMENT;
  return Math.max(1, Math.ceil(bytes / ALIGNMENT)) * ALIGNMENT;
}
