import { describe, expect, it } from 'vitest';
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { BLOCK_ELEMENTS } from '../../../src/core/table/changeMarks.js';
import { DenseTable } from '../../../src/core/table/denseTable.js';
import { Catalogue } from '../../../src/core/tensor/catalogue.js';

const LENGTH = 2 * BLOCK_ELEMENTS + 5;
const catalogue = new Catalogue([{ name: 'w', shape: [LENGTH], dtype: 'float32', trainable: true }]);

function newTable(): DenseTable {
  return new DenseTable({
    catalogue,
    values: new Float32Array(LENGTH),
    optimizer: sgd({ learningRate: 1 }),
    ownOptimizers: new Map(),
    pinnedVersions: 2,
    kernels: referenceKernels,
    allocate: (length) => new Float32Array(length),
  });
}

/** An update whose gradient is 1 at `at`, in slices of so many elements. */
function update(table: DenseTable, at: readonly number[], slice: number, factor: number): void {
  const gradient = new Float32Array(LENGTH);
  for (const i of at) gradient[i] = 1;
  const { versions } = table;
  const before = versions.current;
  const job = table.update({
    selection: catalogue.select(),
    gradient,
    factor,
    clipValue: Number.POSITIVE_INFINITY,
    rates: [1],
  });
  while (!job.run({ elements: slice })) {
    // The next turn.
  }
  versions.publish(versions.version + 1, 0);
  expect(versions.current).toBe(before);
}

describe('an update in place', () => {
  it.each([
    ['as it is', 1],
    ['scaled', 0.5],
  ])('of a gradient that is applied %s marks the blocks that it changed', (_how, factor) => {
    const table = newTable();
    update(table, [0], LENGTH, factor);
    table.changes.watch(1);
    update(table, [BLOCK_ELEMENTS + 1], LENGTH, factor);
    const middle = [BLOCK_ELEMENTS, 2 * BLOCK_ELEMENTS];
    expect(table.changes.since(1, catalogue.select(), 9)).toEqual(middle);
    // Slices that end within blocks.
    update(table, [3, LENGTH - 1], 10_000, factor);
    expect(table.changes.since(2, catalogue.select(), 9)).toEqual([0, BLOCK_ELEMENTS, middle[1], LENGTH]);
    expect([0, 3, BLOCK_ELEMENTS + 1, LENGTH - 1].map((i) => table.versions.current[i])).toEqual(
      [-1, -1, -1, -1].map((value) => value * factor),
    );
  });

  it('marks all when somebody comes while it is under way', () => {
    const table = newTable();
    const job = table.update({
      selection: catalogue.select(),
      gradient: new Float32Array(LENGTH),
      factor: 1,
      clipValue: Number.POSITIVE_INFINITY,
      rates: [1],
    });
    job.run({ elements: 100 });
    table.changes.watch(0);
    while (!job.run({ elements: LENGTH })) {
      // The next turn.
    }
    table.versions.publish(1, 0);
    expect(table.changes.since(0, catalogue.select(), 9)).toEqual([0, LENGTH]);
  });
});
