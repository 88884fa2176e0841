/**
 * The random streams against `random.json`, which `random.py` makes with code of its own. These streams are part
 * of what a seed means: the table is never edited.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Random } from '../../src/core/base/random.js';

interface Stream {
  seed: number;
  labels: (string | number)[];
  words: number[];
  normals: number[];
}

const streams = JSON.parse(readFileSync(new URL('random.json', import.meta.url), 'utf8')) as Stream[];

describe.each(streams)('seed $seed, labels $labels', ({ seed, labels, words, normals }) => {
  const stream = () => labels.reduce((random, label) => random.fork(label), new Random(seed));

  it('draws the words of the table', () => {
    const random = stream();
    expect(words.map(() => random.nextUint32())).toEqual(words);
  });

  it('draws the normal numbers of the table, but for what float64 loses near the unit circle', () => {
    const random = stream();
    for (const exact of normals) {
      expect(Math.abs(random.nextNormal() / exact - 1)).toBeLessThan(1e-13);
    }
  });
});

it("agrees with xoshiro128**'s published first words from the state 1, 2, 3, 4", () => {
  const random = new Random(Uint32Array.of(1, 2, 3, 4));
  const first = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849];
  expect(first.map(() => random.nextUint32())).toEqual(first);
});
