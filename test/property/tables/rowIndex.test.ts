import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { RowIndex } from '../../../src/core/table/rowIndex.js';
import { idAt, sortIds } from '../../../src/core/tensor/rowIds.js';
import { spreadRows, sumByRow } from '../../../src/core/tensor/rowMoves.js';

const wordsOf = (id: number): [number, number] => [id % 2 ** 32, Math.floor(id / 2 ** 32)];

/** All ids that are in `index`, with their rows. */
function contents(index: RowIndex): Map<number, number> {
  return new Map([...index.entries()].map(([row, low, high]) => [high * 2 ** 32 + low, row]));
}

describe('the row index', () => {
  it('equals a Map through growth, splits and removals', () => {
    // Few distances between ids, so that they fall into the same leaves, or into many.
    const anyScript = fc.record({
      stride: fc.constantFrom(1, 16, 4096, 2 ** 32 - 1, 2 ** 33),
      steps: fc.array(fc.record({ from: fc.nat(60_000), count: fc.nat(9000), isRemoval: fc.boolean() }), {
        minLength: 1,
        maxLength: 8,
      }),
    });
    fc.assert(
      fc.property(anyScript, ({ stride, steps }) => {
        const index = new RowIndex();
        const model = new Map<number, number>();
        let next = 0;
        for (const { from, count, isRemoval } of steps) {
          for (let k = from; k < from + count; k++) {
            const id = k * stride;
            if (isRemoval && model.has(id)) {
              expect(index.remove(...wordsOf(id))).toBe(model.get(id));
              model.delete(id);
            } else if (!isRemoval && !model.has(id)) {
              index.add(...wordsOf(id), next);
              model.set(id, next++);
            }
          }
          expect(index.count).toBe(model.size);
          const asked = sortIds('ids', [...model.keys(), from * stride, (from + count) * stride + 1]);
          const rows = new Int32Array(asked.count);
          index.find(asked.words, 0, asked.count, rows);
          const wrong = rows.findIndex((row, i) => row !== (model.get(idAt(asked.words, i)) ?? -1));
          expect(wrong).toBe(-1);
        }
        expect(contents(index)).toEqual(model);
      }),
      { seed: 2, numRuns: 40 },
    );
  });

  it('equals a Map where ids crowd in a leaf that had them evenly, and where whole leaves go', () => {
    const anyRun = fc.record({
      // A run of ids that lie close together somewhere, among others that are far apart.
      from: fc.nat(2 ** 32),
      count: fc.nat(15_000),
      stride: fc.constantFrom(1, 3, 2 ** 20, 2 ** 34),
      isRemoval: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(anyRun, { minLength: 2, maxLength: 6 }), fc.nat(1000), (runs, seed) => {
        const random = new Random(seed);
        const index = new RowIndex();
        const model = new Map<number, number>();
        const put = (id: number): void => {
          if (model.has(id)) return;
          index.add(...wordsOf(id), model.size);
          model.set(id, model.size);
        };
        const drop = (id: number): void => {
          if (!model.has(id)) return;
          expect(index.remove(...wordsOf(id))).toBe(model.get(id));
          model.delete(id);
        };
        for (let k = 0; k < 20_000; k++) put(random.nextUint32());
        for (const { from, count, stride, isRemoval } of runs) {
          for (let k = 0; k < count; k++) put(from + k * stride);
          if (isRemoval) for (const id of [...model.keys()]) if (id >= from) drop(id);
        }
        const asked = sortIds('ids', [...model.keys(), ...runs.map(({ from }) => from + 1)]);
        const rows = new Int32Array(asked.count);
        index.find(asked.words, 0, asked.count, rows);
        expect(rows.findIndex((row, i) => row !== (model.get(idAt(asked.words, i)) ?? -1))).toBe(-1);
        expect(contents(index)).toEqual(model);
      }),
      { seed: 5, numRuns: 8 },
    );
  });

  it('takes at most 13 bytes for an id below 2^32', () => {
    const index = new RowIndex();
    for (let id = 0; id < 100_000; id++) index.add(id * 7, 0, id);
    expect(index.bytes / index.count).toBeLessThan(13);
  });
});

describe('row ids', () => {
  const anyId = fc.oneof(fc.nat(20), fc.maxSafeNat());

  it('are sorted and united, and each of the caller’s is found at its position', () => {
    fc.assert(
      fc.property(fc.array(anyId, { maxLength: 50 }), (ids) => {
        const sorted = sortIds('ids', ids);
        const expected = [...new Set(ids)].sort((a, b) => a - b);
        expect(Array.from({ length: sorted.count }, (_, i) => idAt(sorted.words, i))).toEqual(expected);
        expect(sorted.given).toBe(ids.length);
        const { positions, starts } = sorted.grouped ?? {};
        expected.forEach((id, row) => {
          const own = positions?.slice(starts?.[row], starts?.[row + 1]) ?? [row];
          expect([...own]).toEqual(ids.flatMap((each, i) => (each === id ? [i] : [])));
        });
        const big = sortIds('ids', BigUint64Array.from(ids, BigInt));
        expect([...big.words]).toEqual([...sorted.words]);
      }),
      { seed: 3, numRuns: 500 },
    );
  });

  it.each([
    ['short, low words', 100, 1, 300],
    ['long, low words', 20_000, 211, 30_000],
    ['long, few bits', 6_000, 1, 7],
    ['long, all low words', 20_000, 214, 20_000_000],
    ['long, low words alike', 20_000, 2 ** 32, 9_000],
    ['long, high words', 20_000, 2 ** 39 + 2 ** 31 + 5, 9_000],
    ['so long that no memory is kept for it', 1_100_000, 3, 2_000_000],
  ])('a list that is %s is grouped as a sort of numbers would do it', (_, length, stride, below) => {
    const random = new Random(length + below);
    const ids = Array.from({ length }, () => stride * random.nextInt(below));
    const { words, count, grouped } = sortIds('ids', ids);
    const sorted = [...ids.keys()].sort((a, b) => (ids[a] as number) - (ids[b] as number) || a - b);
    expect([...(grouped?.positions ?? [])]).toEqual(sorted);
    expect(Array.from({ length: count }, (_, i) => idAt(words, i))).toEqual([
      ...new Set(sorted.map((i) => ids[i])),
    ]);
  });

  it('that are there twice have their gradients summed in order, and rows are spread back', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(8), { maxLength: 30 }), fc.constantFrom(1, 3), (ids, dim) => {
        const sorted = sortIds('ids', ids);
        const values = Float32Array.from({ length: ids.length * dim }, (_, i) => 1 / (i + 3));
        const expected = new Map<string, number>();
        ids.forEach((id, i) => {
          for (let k = 0; k < dim; k++) {
            const sum = expected.get(`${id} ${k}`) ?? 0;
            expected.set(`${id} ${k}`, Math.fround(sum + (values[i * dim + k] as number)));
          }
        });
        const sums = sumByRow(sorted, values, dim);
        const spread = new Float32Array(ids.length * dim);
        spreadRows(sorted, sums, dim, spread);
        ids.forEach((id, i) => {
          for (let k = 0; k < dim; k++) expect(spread[i * dim + k]).toBe(expected.get(`${id} ${k}`));
        });
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it.each([[-1], [1.5], [2 ** 53], [Number.NaN], [Number.POSITIVE_INFINITY], ['7'], [undefined]])(
    'refuses %s',
    (id) => {
      expect(() => sortIds('ids', [3, id])).toThrow(/^ids\[1\]/);
    },
  );

  it('refuses a BigUint64Array with an id of 2^53, and what is no list', () => {
    expect(() => sortIds('ids', BigUint64Array.of(1n, 2n ** 53n))).toThrow(/^ids\[1\]/);
    expect(() => sortIds('ids', new Set([1]))).toThrow(/^ids/);
  });
});
