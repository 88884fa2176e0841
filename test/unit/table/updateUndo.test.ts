import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referenceKernels as kernels } from '../../../src/core/kernels/reference.js';
import { adam } from '../../../src/core/optim/adam.js';
import type { UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { DenseTable } from '../../../src/core/table/denseTable.js';
import { runToEnd } from '../../../src/core/table/job.js';
import { Catalogue } from '../../../src/core/tensor/catalogue.js';

const UNLUCKY = 13;

/** Of the user's own, with two slots; throws at a gradient of 13, when it has changed what stands before. */
const fragile: UserOptimizer = {
  name: 'fragile',
  slots: ['sum', 'last'],
  learningRate: 1,
  apply(parameter, gradient, slots, { step }) {
    const [sum, last] = slots as readonly [Float32Array, Float32Array];
    for (let i = 0; i < parameter.length; i++) {
      const g = gradient[i] as number;
      sum[i] = (sum[i] as number) + g;
      parameter[i] = (parameter[i] as number) - (sum[i] as number) * step;
      if (g === UNLUCKY) throw new Error('unlucky');
      last[i] = g;
    }
  },
};

const catalogue = new Catalogue(
  [4, 3, 5].map((length, i) => ({ name: `t${i}`, shape: [length], dtype: 'float32', trainable: true })),
);

/** Tensor `t1` has an optimizer of pslib beside those of the user's. */
function newTable(): DenseTable {
  return new DenseTable({
    catalogue,
    values: Float32Array.from({ length: catalogue.length }, (_, i) => Math.cos(i)),
    optimizer: fragile,
    ownOptimizers: new Map([['t1', adam({ learningRate: 0.1 })]]),
    pinnedVersions: 2,
    kernels,
    allocate: (length) => new Float32Array(length),
  });
}

const stateOf = (table: DenseTable): unknown => ({
  values: [...table.versions.current],
  slots: table.slots.map((slot) => [...slot]),
  scalars: table.scalars.map((scalars) => [...scalars]),
  version: table.versions.version,
});

/** One update, cut by `budgets`; published, or given up as the server does. Returns whether it was applied. */
function push(table: DenseTable, gradient: readonly number[], budgets: readonly number[]): boolean {
  const how = { factor: 1, clipValue: Number.POSITIVE_INFINITY, rates: table.ratesNow(1) };
  const update = { selection: catalogue.select(), gradient: Float32Array.from(gradient), ...how };
  const job = table.update(update);
  try {
    if (!budgets.some((elements) => job.run({ elements }))) runToEnd(job);
  } catch {
    table.versions.abandon();
    return false;
  }
  table.versions.publish(table.versions.version + 1, 0);
  return true;
}

const gradients = fc
  .tuple(fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 12, maxLength: 12 }), fc.nat(30))
  .map(([values, unlucky]) => values.map((value, i) => (i === unlucky ? UNLUCKY : value)));

describe("an update at which the user's optimizer throws", () => {
  it('changes neither parameters nor slots nor scalars, in place or not, however it is cut', () => {
    const updates = fc.array(fc.record({ gradient: gradients, isRead: fc.boolean() }), { maxLength: 8 });
    const cuts = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 8 });
    fc.assert(
      fc.property(updates, cuts, fc.boolean(), (all, budgets, isUnread) => {
        const table = newTable();
        const spared = newTable();
        table.isUnread = isUnread;
        for (const { gradient, isRead } of all) {
          const pin = isRead ? table.versions.pin(0) : undefined;
          const before = stateOf(table);
          // Those of tensor t1, which are adam's, are lucky.
          if (push(table, gradient, budgets)) push(spared, gradient, []);
          else expect(stateOf(table)).toEqual(before);
          if (pin !== undefined) table.versions.release(pin);
        }
        expect(stateOf(table)).toEqual(stateOf(spared));
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('changes nothing where readers have left no other memory either', () => {
    const table = newTable();
    const pins = [1, 2].map((value) => {
      const pin = table.versions.pin(0);
      push(table, new Array<number>(12).fill(value), []);
      return pin;
    });
    expect(pins.every((pin) => pin !== undefined)).toBe(true);
    const before = stateOf(table);
    const gradient = new Array<number>(12).fill(1);
    gradient[10] = UNLUCKY;
    expect(push(table, gradient, [3])).toBe(false);
    expect(stateOf(table)).toEqual(before);
  });
});
