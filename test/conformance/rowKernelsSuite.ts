/**
 * What every implementation must do with rows of a store: move their bits and nothing else, whatever their length,
 * wherever they and what they are moved to stand.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RowStore } from '../../src/core/kernels/kernels.js';
import { RowPlane } from '../../src/core/table/rowPlane.js';
import type { KernelsUnderTest } from './kernelsSuite.js';

const MARGIN = 5;
/** What stands where nothing may be written: the bits of a number, and of a NaN that no arithmetic makes. */
const UNTOUCHED = 0x4148_0000;
const ODD_NAN = 0x7fa1_2345;

/** The bits of an array, to read and to write. */
function wordsOf(array: Float32Array): Uint32Array {
  return new Uint32Array(array.buffer, array.byteOffset, array.length);
}

/** Bits of every kind: numbers, subnormal ones, infinities, NaN. */
function bitsAt(row: number, k: number): number {
  return (row * 7 + k) % 11 === 0 ? ODD_NAN : Math.imul(row * 4_099 + k + 1, 0x9e37_79b1) >>> 0;
}

/** `bits` without what tells one NaN from another: implementations may lose that. */
function comparable(bits: ArrayLike<number>): number[] {
  return Array.from(bits, (word) => ((word & 0x7fff_ffff) > 0x7f80_0000 ? 0x7fc0_0000 : word));
}

/** Declares the tests of one implementation. */
export function describeRows({ kernels, allocate }: KernelsUnderTest): void {
  /** A store of at least `rows` rows; everything in its blocks is a row. */
  const storeOf = (dim: number, rows: number): RowPlane => {
    const plane = new RowPlane(dim, allocate);
    plane.reach(rows - 1);
    plane.blocks.forEach((block, k) => {
      const words = wordsOf(block);
      const first = k * plane.blockRows * dim;
      for (let i = 0; i < words.length; i++) {
        words[i] = bitsAt(Math.floor((first + i) / dim), (first + i) % dim);
      }
    });
    return plane;
  };

  /** `length` elements at an offset of `at`, and whether nothing around them has changed. */
  const place = (length: number, at: number): { view: Float32Array; isIntact: () => boolean } => {
    const base = allocate(length + at + 2 * MARGIN);
    const words = wordsOf(base).fill(UNTOUCHED);
    const begin = MARGIN + at;
    const isIntact = (): boolean =>
      words.every((word, i) => (i >= begin && i < begin + length) || word === UNTOUCHED);
    return { view: base.subarray(begin, begin + length), isIntact };
  };

  const checkGather = (store: RowStore, rows: Int32Array, count: number, at: number): void => {
    const { dim } = store;
    const { view, isIntact } = place(count * dim, at);
    kernels.gatherRows(view, store, rows, count);
    const expected = Array.from({ length: count * dim }, (_, i) =>
      bitsAt(rows[Math.floor(i / dim)] as number, i % dim),
    );
    expect(comparable(wordsOf(view))).toEqual(comparable(expected));
    expect(isIntact(), 'around what was gathered').toBe(true);
  };

  const checkScatter = (store: RowPlane, rows: Int32Array, count: number, at: number): void => {
    const { dim } = store;
    const { view } = place(count * dim, at);
    const words = wordsOf(view);
    for (let i = 0; i < words.length; i++) words[i] = bitsAt(Math.floor(i / dim) + 1_000_003, i % dim);
    const expected = store.blocks.map((block) => [...wordsOf(block)]);
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      const block = expected[row >> store.shift] as number[];
      const begin = (row % store.blockRows) * dim;
      for (let k = 0; k < dim; k++) block[begin + k] = words[i * dim + k] as number;
    }
    kernels.scatterRows(store, rows, count, view);
    store.blocks.forEach((block, k) => {
      // One comparison by the engine: a block has 65,536 elements.
      const found = comparable(wordsOf(block)).join();
      expect(found === comparable(expected[k] as number[]).join(), `block ${k}`).toBe(true);
    });
  };

  describe('rows', () => {
    it.each([1, 2, 3, 4, 5, 6, 7, 8, 13, 15, 16, 17, 31, 32, 63, 64, 65, 100, 4_096])(
      'of %i numbers, forwards and back, each row and several times',
      (dim) => {
        const store = storeOf(dim, 3);
        const last = store.capacity - 1;
        const rows = Int32Array.of(last, 0, 1, 1, last - 1, 0, 2);
        for (let count = 0; count <= rows.length; count++) checkGather(store, rows, count, count % 4);
        checkScatter(store, rows, rows.length, dim % 4);
      },
    );

    it.each([1, 16, 20])('of %i numbers: more of them than a block takes', (dim) => {
      const store = storeOf(dim, 3 * (1 << Math.floor(Math.log2(65_536 / dim))));
      const rows = Int32Array.from({ length: 2_600 }, (_, i) => (i * 7_919) % store.capacity);
      checkGather(store, rows, rows.length, 1);
      checkScatter(store, rows, rows.length, 2);
    });

    it('any rows of any length, at any place', () => {
      const cases = fc.integer({ min: 1, max: 40 }).chain((dim) =>
        fc.record({
          dim: fc.constant(dim),
          rows: fc.array(fc.nat(1_599), { maxLength: 30 }),
          at: fc.nat(4),
        }),
      );
      const stores = new Map<number, RowPlane>();
      fc.assert(
        fc.property(cases, ({ dim, rows, at }) => {
          const store = stores.get(dim) ?? storeOf(dim, 1_600);
          stores.set(dim, store);
          checkGather(store, Int32Array.from(rows), rows.length, at);
        }),
        { seed: 5, numRuns: 200 },
      );
    });
  });
}
