import { describe, expect, it } from 'vitest';
import { SUM_SQUARES_BLOCK } from '../../../src/core/kernels/kernels.js';
import { loadKernels } from '../../../src/core/kernels/loadKernels.js';
import { referenceKernels } from '../../../src/core/kernels/reference.js';

const ADAM = { beta1: 0.9, beta2: 0.999, stepSize: 0.01, rootCorrection: 31.6, epsilon: 1e-8, decay: 1e-5 };
const GIB = 2 ** 30;

function wave(length: number, scale: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => scale * Math.sin(i * 1.7 + scale));
}

/** Parameter, gradient and two slots. */
function arraysOf(length: number): [Float32Array, Float32Array, Float32Array, Float32Array] {
  return [wave(length, 1), wave(length, 0.1), wave(length, 0.01), wave(length, 0.02).map(Math.abs)];
}

/** The bits, in a form that compares quickly. */
function bitsOf(arrays: readonly Float32Array[]): string[] {
  return arrays.map(({ buffer, byteOffset, byteLength }) =>
    Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
  );
}

describe('WasmKernels', () => {
  const memory = loadKernels(64 * 2 ** 20);
  const here = (array: Float32Array): Float32Array => {
    const copy = memory.allocate(array.length);
    copy.set(array);
    return copy;
  };

  it('takes arrays from outside in any number of blocks, beside arrays that are inside', () => {
    for (const length of [4_095, 4_096, 4_097, 20_001]) {
      const expected = arraysOf(length);
      referenceKernels.adam(expected[0], ...expected, ADAM);
      for (let mixture = 0; mixture < 16; mixture++) {
        const arrays = arraysOf(length).map((array, k) => ((mixture >> k) & 1 ? here(array) : array));
        const [p, g, m, v] = arrays as ReturnType<typeof arraysOf>;
        memory.kernels.adam(p, p, g, m, v, ADAM);
        expect(bitsOf(arrays), `${length}, mixture ${mixture}`).toEqual(bitsOf(expected));
        for (const array of arrays) memory.release(array);
      }
    }
  });

  it('sums squares from outside in the blocks that are laid down', () => {
    for (const length of [0, 1, SUM_SQUARES_BLOCK - 1, SUM_SQUARES_BLOCK, 3 * SUM_SQUARES_BLOCK + 700]) {
      const values = wave(length, 3);
      const sum = referenceKernels.sumSquares(values, 0.5);
      expect(memory.kernels.sumSquares(values, 0.5)).toBe(sum);
      expect(memory.kernels.sumSquares(here(values), 0.5)).toBe(sum);
    }
  });

  it('does not touch memory when arrays have different lengths', () => {
    const [long, short, behind] = [memory.allocate(64), memory.allocate(16), memory.allocate(16)];
    expect(() => memory.kernels.sgd(long, long, short, 1)).toThrow('different lengths');
    expect(() => memory.kernels.add(long, short)).toThrow('different lengths');
    expect(() => memory.kernels.add(short, long)).toThrow('different lengths');
    expect([...long, ...behind].every((value) => value === 0)).toBe(true);
  });

  it('reaches arrays beyond 2 GiB, up to the last one', (context) => {
    const large = loadKernels(4 * GIB);
    const whole = large.allocate(16).buffer.byteLength;
    if (whole < 4 * GIB) context.skip('the system does not let 4 GiB be reserved');
    large.allocate((3 * GIB) / 4);
    const [p, g] = [large.allocate(67), large.allocate(67)];
    // All that is left but the 64 bytes that are never given; the arrays before it take five lines of 64 bytes each.
    const last = large.allocate((whole - 64 - (g.byteOffset + 320)) / 4);
    expect(last.byteOffset + last.byteLength).toBe(whole - 64);
    const expected = wave(67, 1);
    referenceKernels.sgd(expected, expected, wave(67, 2), 0.1);
    for (const at of [p, last.subarray(0, 67), last.subarray(last.length - 67)]) {
      at.set(wave(67, 1));
      g.set(wave(67, 2));
      large.kernels.sgd(at, at, g, 0.1);
      expect(at).toEqual(expected);
    }
    large.kernels.toFloat16(new Uint16Array(p.buffer, p.byteOffset, 3), last.subarray(last.length - 3));
    expect(large.kernels.sumSquares(last.subarray(last.length - 1))).toBeGreaterThan(0);
  });
});
