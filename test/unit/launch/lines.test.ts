import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from '../../../src/launch/local/lines.js';

function linesOf(pieces: readonly Buffer[]): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter((line) => lines.push(line));
  for (const piece of pieces) splitter.write(piece);
  splitter.end();
  return lines;
}

test('lines are the same however the bytes are cut', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '\n', '🙂', ' ') });
  fc.assert(
    fc.property(text, fc.array(fc.nat({ max: 40 })), (given, cuts) => {
      const bytes = Buffer.from(given);
      const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length].sort((a, b) => a - b);
      const pieces = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
      const expected = given.split('\n');
      if (expected.at(-1) === '') expected.pop();
      expect(linesOf(pieces)).toEqual(expected);
    }),
  );
});

test('a line that is written over shows as it was last', () => {
  expect(linesOf([Buffer.from('10 %\r50 %\r100 %\r\ndone')])).toEqual(['100 %', 'done']);
});

test('a line without an end is cut', () => {
  const lines = linesOf([Buffer.alloc(70_000, 'x'), Buffer.from('y\n')]);
  expect(lines.map(({ length }) => length)).toEqual([70_000, 1]);
});
