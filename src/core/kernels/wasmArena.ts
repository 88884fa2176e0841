/**
 * Arrays in one WebAssembly memory, laid end to end, where the kernels reach them by address.
 *
 * The memory has its full size from the start and never grows, since growing would detach every array in
 * it; pages that nobody writes to take no memory. Nothing is given back singly: the arena is for
 * arrays that live as long as the model, and goes when they have all gone.
 *
 *     0        256                                          end − 64   end
 *     | module | array | array | …                    free  | unused   |
 */

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

/** A bounded store of arrays for the WASM kernels. */
export class WasmArena {
  readonly memory: WebAssembly.Memory;
  /** The memory's buffer: what every array in it has as its `buffer`. */
  readonly buffer: ArrayBuffer;
  #next = MODULE_BYTES;

  private constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.buffer = memory.buffer as ArrayBuffer;
  }

  /**
   * An arena of `bytes` (at most 4 GiB are taken), or of as much as the system lets it reserve, halving;
   * undefined if that is less than 1 MiB.
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

  /** Zeros, aligned to 64 bytes; in the arena while there is room, then an array of its own. O(1). */
  allocate(length: number): Float32Array {
    const begin = this.#next;
    const end = begin + length * Float32Array.BYTES_PER_ELEMENT;
    if (end + SLACK_BYTES > this.buffer.byteLength) return new Float32Array(length);
    this.#next = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    return new Float32Array(this.buffer, begin, length);
  }
}
