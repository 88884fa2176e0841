import { describe, expect, it } from 'vitest';
import { BLOCK_ELEMENTS, ChangeMarks } from '../../../src/core/table/changeMarks.js';
import { Catalogue } from '../../../src/core/tensor/catalogue.js';

const LARGE = 2 * BLOCK_ELEMENTS + 5;

/** a: 3 elements, none: 0, large: three blocks, last: 2. */
const catalogue = new Catalogue(
  [
    { name: 'a', shape: [3] },
    { name: 'none', shape: [0] },
    { name: 'large', shape: [LARGE] },
    { name: 'last', shape: [2] },
  ].map((each) => ({ ...each, dtype: 'float32' as const, trainable: true })),
);
const all = catalogue.select();

function watched(version = 0): ChangeMarks {
  const marks = new ChangeMarks(catalogue);
  marks.watch(version);
  return marks;
}

/** An update that changes the elements `at`, of the tensors `changed`. */
function update(
  marks: ChangeMarks,
  version: number,
  at: readonly number[],
  changed?: readonly number[],
): void {
  const source = new Float32Array(catalogue.length);
  const target = source.slice();
  for (const i of at) target[i] = 1;
  marks.begin(true);
  // In two slices that are cut within a block; the second as in place, where a part of what was is kept.
  const cut = 3 + BLOCK_ELEMENTS + 7;
  marks.compare(source, target, 0, cut);
  marks.compare(source.slice(cut), target, cut, source.length, cut);
  marks.published(version, changed);
}

describe('change marks', () => {
  it('know nothing before somebody asks, and then of what follows', () => {
    const marks = new ChangeMarks(catalogue);
    marks.begin(false);
    marks.published(1, [0]);
    expect(marks.since(0, all, 9)).toBeUndefined();
    marks.watch(1);
    expect(marks.since(0, all, 9)).toEqual([0, catalogue.length]);
    expect(marks.since(1, all, 9)).toEqual([]);
    marks.begin(false);
    marks.published(2, [3]);
    expect(marks.since(1, all, 9)).toEqual([LARGE + 3, LARGE + 5]);
  });

  it('say which tensors a change had that nobody compared, and all blocks of them', () => {
    const marks = watched();
    marks.begin(false);
    marks.published(1, [0, 1]);
    marks.begin(false);
    marks.published(2, [2]);
    expect(marks.since(0, all, 9)).toEqual([0, 3 + LARGE]);
    expect(marks.since(1, all, 9)).toEqual([3, 3 + LARGE]);
    expect(marks.since(2, all, 9)).toEqual([]);
    marks.published(3, undefined);
    expect(marks.since(2, all, 9)).toEqual([0, catalogue.length]);
  });

  it('say which blocks were found to differ, whichever tensors had a gradient', () => {
    const marks = watched();
    update(marks, 1, [3 + BLOCK_ELEMENTS], undefined);
    expect(marks.since(0, all, 9)).toEqual([3 + BLOCK_ELEMENTS, 3 + 2 * BLOCK_ELEMENTS]);
    update(marks, 2, [3 + LARGE - 1], [2]);
    expect(marks.since(1, all, 9)).toEqual([3 + 2 * BLOCK_ELEMENTS, 3 + LARGE]);
    // What is compared of the next update is not what was found in this one.
    update(marks, 3, [], [2]);
    expect(marks.since(2, all, 9)).toEqual([]);
  });

  it('count ranges among what is selected', () => {
    const marks = watched();
    update(marks, 1, [0, 3 + 2 * BLOCK_ELEMENTS, 3 + LARGE + 1]);
    expect(marks.since(0, catalogue.select([2, 3]), 9)).toEqual([2 * BLOCK_ELEMENTS, LARGE + 2]);
    expect(marks.since(0, catalogue.select([3]), 9)).toEqual([0, 2]);
    expect(marks.since(0, catalogue.select([1]), 9)).toEqual([]);
  });

  it('give at most so many ranges, and join those that are near', () => {
    const marks = watched();
    update(marks, 1, [0, 3 + BLOCK_ELEMENTS, 3 + LARGE]);
    const second = [3 + BLOCK_ELEMENTS, 3 + 2 * BLOCK_ELEMENTS];
    expect(marks.since(0, all, 3)).toEqual([0, 3, ...second, 3 + LARGE, 5 + LARGE]);
    expect(marks.since(0, all, 2)).toEqual([0, 3, second[0], 5 + LARGE]);
    expect(marks.since(0, all, 1)).toEqual([0, 5 + LARGE]);
  });

  it('see the sign of a zero, and what is not a number', () => {
    for (const [before, after, isChanged] of [
      [0, -0, true],
      [Number.NaN, Number.NaN, false],
      [Number.NaN, 1, true],
    ] as const) {
      const marks = watched();
      const source = new Float32Array(catalogue.length);
      source[1] = before;
      const target = source.slice();
      target[1] = after;
      marks.begin(true);
      marks.compare(source, target, 0, source.length);
      marks.published(1, undefined);
      expect(marks.since(0, all, 9)?.length).toBe(isChanged ? 2 : 0);
    }
  });
});
