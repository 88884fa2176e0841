import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstElsewhere, shardOfRow, slicesOfRows } from '../../../src/core/partition/rowShards.js';
import { idAt, sortIds } from '../../../src/core/tensor/rowIds.js';
import { readPage, tableUnder } from '../../docs/markdown.js';

const COUNTS = [1, 2, 3, 5, 64, 1024];
const anyIds = fc.array(fc.oneof(fc.nat(300), fc.maxSafeNat()), { maxLength: 80 });

describe('the shards of rows', () => {
  test('hold every row once, in the order of their ids', () => {
    fc.assert(
      fc.property(anyIds, fc.constantFrom(...COUNTS), (ids, count) => {
        const { words } = sortIds('ids', ids);
        const found: number[] = [];
        for (const [shard, slice] of slicesOfRows(words, count).entries()) {
          expect(firstElsewhere(slice.words, shard, count)).toBe(-1);
          slice.positions.forEach((position, i) => {
            expect(idAt(slice.words, i)).toBe(idAt(words, position));
            found.push(position);
          });
          expect([...slice.positions]).toEqual([...slice.positions].sort((a, b) => a - b));
        }
        expect(found.sort((a, b) => a - b)).toEqual(Array.from({ length: words.length / 2 }, (_, i) => i));
      }),
      { seed: 7, numRuns: 300 },
    );
  });

  test.each([
    ['that follow each other', (i: number) => i],
    ['far apart', (i: number) => i * 2 ** 36],
    ['with the same low words', (i: number) => i * 2 ** 32 + 12],
  ])('are balanced for ids %s', (_, idOf) => {
    const rows = 60_000;
    for (const count of [2, 3, 5]) {
      const sizes = Array<number>(count).fill(0);
      for (let i = 0; i < rows; i++) {
        const id = idOf(i);
        const shard = shardOfRow(id % 2 ** 32, Math.floor(id / 2 ** 32), count);
        sizes[shard] = (sizes[shard] as number) + 1;
      }
      // Five standard deviations of so many throws.
      const bound = 5 * Math.sqrt((rows / count) * (1 - 1 / count));
      for (const size of sizes) expect(Math.abs(size - rows / count)).toBeLessThan(bound);
    }
  });

  test('are those of the protocol page', () => {
    const rows = tableUnder(readPage('docs/protocol.md'), 'Groups of servers');
    expect(rows.length).toBeGreaterThan(4);
    for (const [id = '', , ...shards] of rows) {
      const number = Number(id);
      const found = [2, 3, 5].map((n) => shardOfRow(number % 2 ** 32, Math.floor(number / 2 ** 32), n));
      expect(found.map(String)).toEqual(shards);
    }
  });
});
