import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TensorRange } from '../../../src/core/worker/tensorRange.js';

const lengths = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 6 });

/** Arrays of `lengths` whose bytes count up from 0; in one buffer, one behind the other, or each of its own. */
function arraysOf(sizes: readonly number[], isOne: boolean): Float32Array[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const bytes = Uint8Array.from({ length: total * 4 }, (_, i) => i);
  let at = 0;
  return sizes.map((size) => {
    const begin = at;
    at += size;
    if (isOne) return new Float32Array(bytes.buffer, begin * 4, size);
    return new Float32Array(bytes.slice(begin * 4, at * 4).buffer);
  });
}

describe('a range over arrays', () => {
  it('reads any bytes, in any order of accesses', () => {
    fc.assert(
      fc.property(lengths, fc.boolean(), fc.array(fc.tuple(fc.nat(), fc.nat())), (sizes, isOne, cuts) => {
        const range = new TensorRange(arraysOf(sizes, isOne));
        for (const [x, y] of cuts) {
          const [begin, end] = [x % (range.byteLength + 1), y % (range.byteLength + 1)].sort((a, b) => a - b);
          const read = range.read(begin as number, end as number, () => new Uint8Array(range.byteLength));
          const expected = Array.from(
            { length: (end as number) - (begin as number) },
            (_, i) => (begin as number) + i,
          );
          expect([...read]).toEqual(expected);
        }
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it('has its bytes in pieces where those are large, of its own memory', () => {
    const sizes = [10_000, 0, 5000, 1, 9000, 8000];
    const arrays = arraysOf(sizes, false);
    const range = new TensorRange(arrays);
    const whole = range.read(0, range.byteLength, () => new Uint8Array(range.byteLength)).slice();
    for (const [begin, end, count] of [
      [0, range.byteLength, 5],
      [36_000, 80_000, 1],
      [36_000, 124_000, 5],
      [100, 39_000, 1],
    ] as const) {
      const pieces = range.pieces(begin, end);
      // Four of 4 bytes to 36 KB, or two, where the average is less than 16 KiB: copied.
      if (count === 1) expect(pieces === undefined || pieces.length <= (end - begin) / 16_384).toBe(true);
      else expect(pieces).toHaveLength(count);
      for (const piece of pieces ?? []) {
        expect(arrays.some(({ buffer }) => buffer === piece.buffer)).toBe(true);
      }
      if (pieces !== undefined) expect(Buffer.concat(pieces).equals(whole.subarray(begin, end))).toBe(true);
    }
    expect(range.pieces(0, 1000)).toBeUndefined();
    expect(range.pieces(7, 7)).toBeUndefined();
    const many = new TensorRange(Array.from({ length: 50 }, () => new Float32Array(1000)));
    expect(many.pieces(0, many.byteLength)).toBeUndefined();
  });

  it('writes any bytes to their place, and no others', () => {
    fc.assert(
      fc.property(lengths, fc.boolean(), fc.nat(), fc.nat(), (sizes, isOne, x, y) => {
        const range = new TensorRange(arraysOf(sizes, isOne));
        const [begin, end] = [x % (range.byteLength + 1), y % (range.byteLength + 1)].sort(
          (a, b) => a - b,
        ) as [number, number];
        range.write(begin, new Uint8Array(end - begin).fill(255));
        const all = range.read(0, range.byteLength, () => new Uint8Array(range.byteLength));
        const expected = Array.from({ length: range.byteLength }, (_, i) =>
          i >= begin && i < end ? 255 : i,
        );
        expect([...all]).toEqual(expected);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it('shows a place as a view only where it is one piece of memory', () => {
    const apart = new TensorRange(arraysOf([2, 2], false));
    expect(apart.view(4, 12)).toBeUndefined();
    apart.view(8, 16)?.fill(9);
    expect([...apart.read(6, 10, () => new Uint8Array(4))]).toEqual([6, 7, 9, 9]);
    const together = new TensorRange(arraysOf([2, 2], true));
    expect([...(together.view(4, 12) ?? [])]).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
    expect(together.view(4, 17)).toBeUndefined();
  });

  it('leaves bytes alone that stand in their place already', () => {
    const range = new TensorRange(arraysOf([3], false));
    const view = range.view(4, 8) as Uint8Array;
    view.fill(1);
    range.write(4, view);
    expect([...range.read(0, 12, () => new Uint8Array(0))]).toEqual([0, 1, 2, 3, 1, 1, 1, 1, 8, 9, 10, 11]);
  });

  it('without arrays is empty', () => {
    expect(new TensorRange([]).read(0, 0, () => new Uint8Array(0))).toHaveLength(0);
  });
});
