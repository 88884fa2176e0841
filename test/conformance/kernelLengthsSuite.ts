/**
 * Every length from 0 to 67 at every position against the alignment of vectors, in place and not: where an
 * implementation changes from whole vectors to single elements, and what stands around its arrays.
 */
import { describe, expect, it } from 'vitest';
import { UPDATE_KERNELS, type UpdateKernel, VECTOR_KERNELS } from './kernelDefinitions.js';
import type { KernelsUnderTest } from './kernelsSuite.js';

const LONGEST = 67;
const MARGIN = 9;
const UNTOUCHED = 12.5;

/** Ordinary numbers, another for each array and element; squares where slots need them. */
function valueAt(array: number, i: number): number {
  return Math.fround(0.1 + ((i * 7 + array * 5) % 23) / 8);
}

/** Declares the tests of one implementation. */
export function describeLengths({ kernels, allocate }: KernelsUnderTest): void {
  /** One array of each kind, used again for every length: allocating so many would fill a bounded memory. */
  const bases = Array.from({ length: 5 }, () => allocate(LONGEST + 4 + 2 * MARGIN));

  const place = (array: number, at: number, length: number): Float32Array => {
    const base = bases[array] as Float32Array;
    base.fill(UNTOUCHED);
    const view = base.subarray(MARGIN + at, MARGIN + at + length);
    for (let i = 0; i < length; i++) view[i] = array === 0 ? 99 : valueAt(array, i);
    return view;
  };

  /** Whether nothing but the elements of `view` has changed. */
  const isIntact = (array: number, view: Float32Array): boolean => {
    const base = bases[array] as Float32Array;
    const begin = (view.byteOffset - base.byteOffset) / 4;
    return base.every((value, i) => (i >= begin && i < begin + view.length) || value === UNTOUCHED);
  };

  const checkUpdate = (kernel: UpdateKernel, length: number, at: number, inPlace: boolean): void => {
    // Each array at another distance from a multiple of 16 bytes.
    const views = bases.map((_, array) => place(array, (at + array * at) % 4, length));
    const [first, p, g, ...slots] = views as [Float32Array, Float32Array, Float32Array, ...Float32Array[]];
    const out = inPlace ? p : first;
    kernel.call(kernels, out, p, g, slots.slice(0, kernel.slotCount));
    for (let i = 0; i < length; i++) {
      const before = slots.slice(0, kernel.slotCount).map((_, k) => valueAt(3 + k, i));
      const expected = kernel.define(valueAt(1, i), valueAt(2, i), before);
      const found = { p: out[i], slots: before.map((_, k) => slots[k]?.[i]) };
      if (found.p !== expected.p || found.slots.some((value, k) => value !== expected.slots[k])) {
        expect(found, `element ${i} of ${length}, at ${at}`).toEqual(expected);
      }
    }
    expect(views.map((view, array) => isIntact(array, view)).every(Boolean), `around ${length}`).toBe(true);
  };

  describe.each(UPDATE_KERNELS)('$name', (kernel) => {
    it.each([false, true])('every length at every alignment, in place: %s', (inPlace) => {
      for (let length = 0; length <= LONGEST; length++) {
        for (let at = 0; at < 4; at++) checkUpdate(kernel, length, at, inPlace);
      }
    });
  });

  it.each(VECTOR_KERNELS)('$name: every length at every alignment', (kernel) => {
    for (let length = 0; length <= LONGEST; length++) {
      for (let at = 0; at < 4; at++) {
        const [values, others] = [place(1, at, length), place(2, (3 * at) % 4, length)];
        kernel.call(kernels, values, others);
        const expected = Array.from({ length }, (_, i) => kernel.define(valueAt(1, i), valueAt(2, i)));
        expect([...values]).toEqual(expected);
        expect(isIntact(1, values) && isIntact(2, others), `around ${length}`).toBe(true);
      }
    }
  });
}
