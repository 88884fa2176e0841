import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Kernels } from '../../../src/core/kernels/kernels.js';
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import { adam } from '../../../src/core/optim/adam.js';
import type { Optimizer, UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { DenseTable } from '../../../src/core/table/denseTable.js';
import { runToEnd } from '../../../src/core/table/job.js';
import { Catalogue } from '../../../src/core/tensor/catalogue.js';

interface Setup {
  readonly lengths: readonly number[];
  readonly optimizer: Optimizer;
  readonly own?: ReadonlyMap<string, Optimizer>;
}

/** A table whose kernel calls are counted. */
function tableOf({ lengths, optimizer, own = new Map() }: Setup): { table: DenseTable; calls: string[] } {
  const calls: string[] = [];
  const kernels = {
    ...referenceKernels,
    adam: (...args: Parameters<Kernels['adam']>) => {
      calls.push(`adam ${args[0].length}`);
      referenceKernels.adam(...args);
    },
    sgd: (...args: Parameters<Kernels['sgd']>) => {
      calls.push(`sgd ${args[0].length}`);
      referenceKernels.sgd(...args);
    },
  };
  const catalogue = new Catalogue(
    lengths.map((length, i) => ({ name: `t${i}`, shape: [length], dtype: 'float32', trainable: true })),
  );
  const table = new DenseTable({
    catalogue,
    values: Float32Array.from({ length: catalogue.length }, (_, i) => Math.cos(i)),
    optimizer,
    ownOptimizers: own,
    pinnedVersions: 2,
    kernels,
    allocate: (length) => new Float32Array(length),
  });
  return { table, calls };
}

/** Applies a gradient of the tensors at `indices` (all of them by default), which depends on the model's offsets only. */
function update(table: DenseTable, step: number, indices?: readonly number[]): void {
  const selection = table.catalogue.select(indices);
  const gradient = new Float32Array(selection.length);
  let at = 0;
  for (const { offset, length } of selection.entries) {
    for (let i = 0; i < length; i++) gradient[at++] = Math.sin(step * 100 + offset + i);
  }
  const rates = table.ratesNow(1);
  runToEnd(table.update({ selection, gradient, factor: 1, clipValue: Number.POSITIVE_INFINITY, rates }));
  table.versions.publish(table.versions.version + 1, 0);
}

describe('an update of many tensors', () => {
  it('is one call where all of them are updated alike', () => {
    const { table, calls } = tableOf({ lengths: new Array<number>(1000).fill(3), optimizer: adam() });
    update(table, 0);
    update(table, 1);
    expect(calls).toEqual(['adam 3000', 'adam 3000']);
    expect(table.scalars.every((scalars) => scalars[0] === 2)).toBe(true);
  });

  it('is cut where tensors have been updated differently often, and where there is no gradient', () => {
    const { table, calls } = tableOf({ lengths: [2, 3, 4, 5, 6], optimizer: adam() });
    update(table, 0, [1, 2]);
    update(table, 1);
    update(table, 2, [0, 1, 3, 4]);
    expect(calls).toEqual(['adam 7', 'adam 2', 'adam 7', 'adam 11', 'adam 2', 'adam 3', 'adam 11']);
  });

  it('is cut where optimizers change, also between two of the same kind', () => {
    const own = new Map([['t1', sgd({ learningRate: 0.5 })]]);
    const { table, calls } = tableOf({ lengths: [2, 3, 4, 5], optimizer: sgd(), own });
    update(table, 0);
    expect(calls).toEqual(['sgd 2', 'sgd 3', 'sgd 9']);
  });

  it("calls the user's own optimizer tensor by tensor", () => {
    const seen: number[] = [];
    const optimizer: UserOptimizer = { name: 'own', slots: [], apply: (p) => void seen.push(p.length) };
    const { table } = tableOf({ lengths: [2, 3, 4], optimizer });
    update(table, 0);
    expect(seen).toEqual([2, 3, 4]);
  });

  it('any selections: gives every tensor the bits that it has alone', () => {
    const lengths = [3, 0, 1, 4, 2];
    const selections = fc.array(fc.subarray([0, 1, 2, 3, 4]), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(selections, fc.boolean(), (all, isCopied) => {
        const { table } = tableOf({ lengths, optimizer: adam({ learningRate: 0.1 }) });
        const alone = lengths.map(() => tableOf({ lengths, optimizer: adam({ learningRate: 0.1 }) }).table);
        for (const [step, indices] of all.entries()) {
          const pin = isCopied ? table.versions.pin(0) : undefined;
          update(table, step, indices);
          for (const index of indices) update(alone[index] as DenseTable, step, [index]);
          if (pin !== undefined) table.versions.release(pin);
        }
        for (const { index, offset, length } of table.catalogue.entries) {
          const part = (array: Float32Array): Float32Array => array.subarray(offset, offset + length);
          const single = alone[index] as DenseTable;
          expect(part(table.versions.current)).toEqual(part(single.versions.current));
          for (const k of [0, 1]) {
            expect(part(table.slots[k] as Float32Array)).toEqual(part(single.slots[k] as Float32Array));
          }
          expect(table.scalars[index]).toEqual(single.scalars[index]);
        }
      }),
      { seed: 1, numRuns: 100 },
    );
  });
});
