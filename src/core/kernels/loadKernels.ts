/**
 * The fastest kernels that there are here, with memory for the arrays that they work on: WASM SIMD, or plain
 * JavaScript where that is missing or not allowed. Both give the same bits.
 */
import type { Kernels } from './kernels.js';
import { referenceKernels } from './reference.js';
import { WasmArena } from './wasmArena.js';
import { WasmKernels } from './wasmKernels.js';
import { hasWasmSimd, instantiate } from './wasmModule.js';

/** Kernels, and where their arrays come from. */
export interface KernelMemory {
  readonly kernels: Kernels;
  /** A new array of zeros, where the kernels are fastest while there is room. At most O(length). */
  readonly allocate: (length: number) => Float32Array;
  /**
   * Gives back an array of `allocate`: whoever drops one while the server goes on must, or its memory stays
   * taken. Exactly once, and REQUIRES that nobody uses it, or a part of it, any more.
   */
  readonly release: (array: Float32Array) => void;
}

/** What no limit on memory would set: the whole address space of a WASM memory. */
const ALL_BYTES = 2 ** 32;

/**
 * Loads the kernels. `reserveBytes` bounds the memory in which they work without copies, at most 4 GiB; it is
 * reserved, not used: what is not allocated costs address space only. Never throws.
 */
export function loadKernels(reserveBytes: number = ALL_BYTES): KernelMemory {
  const arena = hasWasmSimd() ? WasmArena.reserve(reserveBytes) : undefined;
  if (arena === undefined) return plainMemory();
  try {
    const kernels = new WasmKernels(instantiate(arena.memory), arena);
    return {
      kernels,
      allocate: (length) => arena.allocate(length),
      release: (array) => arena.release(array),
    };
  } catch {
    return plainMemory();
  }
}

function plainMemory(): KernelMemory {
  return { kernels: referenceKernels, allocate: (length) => new Float32Array(length), release: () => {} };
}
