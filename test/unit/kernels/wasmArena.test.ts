import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WasmArena } from '../../../src/core/kernels/wasmArena.js';

const MIB = 2 ** 20;

function arenaOf(bytes: number): WasmArena {
  const arena = WasmArena.reserve(bytes);
  if (arena === undefined) throw new Error('no WebAssembly memory here');
  return arena;
}

/** A WebAssembly whose memories may have at most `bytes`. */
function withMemoryUpTo(bytes: number): void {
  const { Memory } = WebAssembly;
  class BoundedMemory extends Memory {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      if (descriptor.initial * 65_536 > bytes) throw new RangeError('could not allocate memory');
      super(descriptor);
    }
  }
  vi.stubGlobal('WebAssembly', { Memory: BoundedMemory });
}

describe('WasmArena', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('lays aligned arrays of zeros into one memory of fixed size', () => {
    const arena = arenaOf(MIB);
    for (const length of [1, 16, 17, 0, 1000]) {
      const array = arena.allocate(length);
      expect(array.buffer).toBe(arena.buffer);
      expect(array.byteOffset % 64).toBe(0);
      expect(array).toEqual(new Float32Array(length));
    }
    expect(arena.memory.buffer).toBe(arena.buffer);
    expect(() => arena.memory.grow(1)).toThrow(RangeError);
  });

  it('gives arrays of their own when it is full, and never the last bytes of the memory', () => {
    const arena = arenaOf(MIB);
    const arrays = Array.from({ length: 20 }, () => arena.allocate(16_384));
    const inside = arrays.filter(({ buffer }) => buffer === arena.buffer);
    expect(inside).toHaveLength(15);
    const last = arena.allocate((arena.buffer.byteLength - (inside[14] as Float32Array).byteOffset) / 4);
    expect(last.buffer).not.toBe(arena.buffer);
    expect(arrays[19]).toEqual(new Float32Array(16_384));
    const end = Math.max(...inside.map(({ byteOffset, byteLength }) => byteOffset + byteLength));
    expect(arena.buffer.byteLength - end).toBeGreaterThanOrEqual(32);
  });

  it('uses memory that was given back again, as zeros, and joins neighbours', () => {
    const arena = arenaOf(MIB);
    const [a, b, c] = [arena.allocate(60_000), arena.allocate(60_000), arena.allocate(60_000)];
    for (const array of [a, b, c]) array.fill(7);
    arena.release(a);
    arena.release(c);
    arena.release(b);
    const all = arena.allocate(180_000);
    expect(all.byteOffset).toBe(a.byteOffset);
    expect(all.every((value) => value === 0)).toBe(true);
  });

  it('any sequence: arrays in use do not overlap, and everything given back is room again', () => {
    const step = fc.oneof(fc.record({ length: fc.nat(40_000) }), fc.record({ give: fc.nat() }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const arena = arenaOf(MIB);
        const inUse: Float32Array[] = [];
        const isIntact = (array: Float32Array): boolean => {
          const mark = array.byteOffset % 1_000_003;
          return array.every((value) => value === mark);
        };
        for (const each of steps) {
          if ('length' in each) {
            const array = arena.allocate(each.length);
            expect(array.every((value) => value === 0)).toBe(true);
            array.fill(array.byteOffset % 1_000_003);
            inUse.push(array);
          } else if (inUse.length > 0) {
            const [array] = inUse.splice(each.give % inUse.length, 1) as [Float32Array];
            expect(isIntact(array)).toBe(true);
            arena.release(array);
          }
        }
        expect(inUse.every(isIntact)).toBe(true);
        for (const array of inUse) arena.release(array);
        expect(arena.allocate((arena.buffer.byteLength - 256 - 64) / 4).buffer).toBe(arena.buffer);
      }),
      { seed: 1, numRuns: 100 },
    );
  });

  it('finds out when an array is given back twice, and leaves arrays of others alone', () => {
    const arena = arenaOf(MIB);
    const array = arena.allocate(100);
    arena.allocate(100);
    arena.release(new Float32Array(100));
    arena.release(array);
    expect(() => arena.release(array)).toThrow('released twice');
  });

  it('takes less when the system gives less, down to 1 MiB', () => {
    withMemoryUpTo(3 * MIB);
    expect(arenaOf(16 * MIB).buffer.byteLength).toBe(2 * MIB);
    expect(arenaOf(3 * MIB).buffer.byteLength).toBe(3 * MIB);
    withMemoryUpTo(MIB / 2);
    expect(WasmArena.reserve(16 * MIB)).toBeUndefined();
  });

  it('has at least 1 MiB, and in whole pages', () => {
    expect(arenaOf(0).buffer.byteLength).toBe(MIB);
    expect(arenaOf(MIB + 1).buffer.byteLength).toBe(MIB + 65_536);
  });
});
