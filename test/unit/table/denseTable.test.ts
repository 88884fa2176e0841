import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type KernelMemory, loadKernels } from '../../../src/core/kernels/loadKernels.js';
import { referenceKernels as kernels } from '../../../src/core/kernels/reference.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import type { Optimizer, UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { bytesOf } from '../../../src/core/protocol/modelStream.js';
import { DenseTable } from '../../../src/core/table/denseTable.js';
import { runToEnd } from '../../../src/core/table/job.js';
import type { Pin } from '../../../src/core/table/versionStore.js';
import { Catalogue } from '../../../src/core/tensor/catalogue.js';

const LENGTHS = { kernel: 7, bias: 1, empty: 0, scale: 5 };
const catalogue = new Catalogue(
  Object.entries(LENGTHS).map(([name, length]) => ({
    name,
    shape: [length],
    dtype: 'float32' as const,
    trainable: true,
  })),
);

/** The user's own, with a slot, element-wise. */
const sign: UserOptimizer = {
  name: 'sign',
  slots: ['count'],
  apply(parameter, gradient, [count], { learningRate, step }) {
    for (let i = 0; i < parameter.length; i++) {
      (count as Float32Array)[i] = step;
      parameter[i] = (parameter[i] as number) - learningRate * Math.sign(gradient[i] as number);
    }
  },
};

function newTable(optimizer: Optimizer, own: Record<string, Optimizer> = {}): DenseTable {
  return new DenseTable({
    catalogue,
    values: Float32Array.from({ length: catalogue.length }, (_, i) => Math.cos(i)),
    optimizer,
    ownOptimizers: new Map(Object.entries(own)),
    pinnedVersions: 2,
    kernels,
    allocate: (length) => new Float32Array(length),
  });
}

interface Update {
  readonly tensors?: readonly number[] | undefined;
  readonly gradient: readonly number[];
  readonly factor?: number;
  readonly clipValue?: number;
}

/** Applies one update with jobs cut by `budgets`. */
function apply(table: DenseTable, update: Update, budgets: readonly number[] = []): void {
  const { tensors, gradient, factor = 1, clipValue = Number.POSITIVE_INFINITY } = update;
  const selection = catalogue.select(tensors);
  const rates = table.ratesNow(1);
  const job = table.update({ selection, gradient: Float32Array.from(gradient), factor, clipValue, rates });
  const isDone = budgets.some((elements) => job.run({ elements }));
  if (!isDone) runToEnd(job);
  table.versions.publish(table.versions.version + 1, 0);
}

const stateOf = (table: DenseTable): unknown => ({
  values: [...table.versions.current],
  slots: table.slots.map((slot) => [...slot]),
  scalars: table.scalars,
  version: table.versions.version,
});

const OPTIMIZERS: Record<string, () => Optimizer> = {
  sgd: () => sgd({ learningRate: 0.1 }),
  momentum: () => momentum({ learningRate: 0.1 }),
  adam: () => adam({ learningRate: 0.01 }),
  ftrl: () => ftrl({ learningRate: 0.1 }),
  'the user’s own': () => sign,
};

const update: fc.Arbitrary<Update> = fc
  .record({
    tensors: fc.constantFrom(undefined, [0], [1], [2], [3], [0, 2], [1, 3], [0, 1, 2], []),
    values: fc.array(fc.float({ noNaN: true, min: -4, max: 4 }), { minLength: 13, maxLength: 13 }),
    factor: fc.constantFrom(1, 0.5),
    clipValue: fc.constantFrom(Number.POSITIVE_INFINITY, 1),
  })
  .map(({ tensors, values, factor, clipValue }) => ({
    tensors,
    gradient: values.slice(0, catalogue.select(tensors).length),
    factor,
    clipValue,
  }));

describe('the bits of an update', () => {
  it.each(Object.entries(OPTIMIZERS))(
    '%s: are the same in place and copied, however the job is cut',
    (_name, optimizer) => {
      const updates = fc.array(update, { minLength: 1, maxLength: 5 });
      const cuts = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 10 });
      fc.assert(
        fc.property(updates, cuts, (all, budgets) => {
          const whole = newTable(optimizer());
          const cut = newTable(optimizer());
          const copied = newTable(optimizer());
          for (const each of all) {
            apply(whole, each);
            apply(cut, each, budgets);
            const pin = copied.versions.pin(0);
            apply(copied, each, budgets);
            if (pin !== undefined) copied.versions.release(pin);
          }
          expect(stateOf(cut)).toEqual(stateOf(whole));
          expect(stateOf(copied)).toEqual(stateOf(whole));
        }),
        { numRuns: 60 },
      );
    },
  );
});

describe('an update', () => {
  it('does not touch what readers hold, nor the gradient, nor tensors that it leaves out', () => {
    const table = newTable(momentum({ learningRate: 1, momentum: 0.5 }));
    const pin = table.versions.pin(0);
    const before = [...table.versions.current];
    const gradient = Float32Array.of(8);
    const job = table.update({
      selection: catalogue.select([1]),
      gradient,
      factor: 0.5,
      clipValue: 3,
      rates: table.ratesNow(1),
    });
    runToEnd(job);
    table.versions.publish(1, 0);
    expect([...(pin?.values ?? [])]).toEqual(before);
    expect([...gradient]).toEqual([8]);
    const expected = before.map((value, i) => (i === 7 ? Math.fround(value - 3) : value));
    expect([...table.versions.current]).toEqual(expected);
    expect([...(table.slots[0] as Float32Array)]).toEqual(expected.map((_, i) => (i === 7 ? -3 : 0)));
  });

  it('clips by norm first, then by value', () => {
    const table = newTable(sgd({ learningRate: 1 }));
    const before = [...table.versions.current];
    apply(table, { tensors: [0], gradient: [10, -10, 2, 0, 0, 0, 0], factor: 0.5, clipValue: 4 });
    const moved = [...table.versions.current].map((value, i) => Math.round((before[i] as number) - value));
    expect(moved.slice(0, 4)).toEqual([4, -4, 1, 0]);
  });

  it('counts steps tensor by tensor', () => {
    const table = newTable(sign);
    apply(table, { tensors: [1], gradient: [1] });
    apply(table, { gradient: Array.from({ length: 13 }, () => 1) });
    expect([...(table.slots[0] as Float32Array)]).toEqual(
      Array.from({ length: 13 }, (_, i) => (i === 7 ? 2 : 1)),
    );
  });

  it('uses the optimizer and the rate of each tensor', () => {
    const table = newTable(sgd({ learningRate: 1 }), {
      bias: sgd({ learningRate: (version) => 10 + version }),
    });
    expect(table.ratesNow(0.5)).toEqual([0.5, 5]);
    const before = [...table.versions.current];
    apply(table, { gradient: Array.from({ length: 13 }, () => 1) });
    expect(table.versions.current[0]).toBe(Math.fround((before[0] as number) - 1));
    expect(table.versions.current[7]).toBe(Math.fround((before[7] as number) - 10));
    expect(table.ratesNow(1)).toEqual([1, 11]);
  });
});

describe('a table larger than the memory of its kernels', () => {
  it.each(Object.entries(OPTIMIZERS))(
    '%s: has the bits of the reference, wherever an array stands',
    (_name, optimizer) => {
      const length = 100_003;
      const large = new Catalogue([{ name: 'w', shape: [length], dtype: 'float32', trainable: true }]);
      const tableOf = (memory: Pick<KernelMemory, 'kernels' | 'allocate'>): DenseTable => {
        const values = memory.allocate(length);
        values.forEach((_, i) => {
          values[i] = Math.cos(i);
        });
        const options = { catalogue: large, values, optimizer: optimizer(), ownOptimizers: new Map() };
        return new DenseTable({ ...options, ...memory, pinnedVersions: 2 });
      };
      // Room for two arrays of this length, and a server needs up to five.
      const small = tableOf(loadKernels(2 ** 20));
      const reference = tableOf({ kernels, allocate: (elements) => new Float32Array(elements) });
      const pins: Pin[] = [];
      for (let round = 0; round < 4; round++) {
        const gradient = Float32Array.from({ length }, (_, i) => Math.sin(i + round));
        pins.push(small.versions.pin(0) as Pin);
        for (const table of [small, reference]) {
          const how = { factor: 0.5, clipValue: 0.4, rates: table.ratesNow(1) };
          runToEnd(table.update({ selection: large.select(undefined), gradient, ...how }));
          table.versions.publish(round + 1, 0);
        }
        if (pins.length === 2) small.versions.release(pins.shift() as Pin);
        expect(bytesOf(small.versions.current)).toEqual(bytesOf(reference.versions.current));
        small.slots.forEach((slot, i) => {
          expect(bytesOf(slot)).toEqual(bytesOf(reference.slots[i] as Float32Array));
        });
      }
      const buffers = new Set(
        [small.scratch, small.versions.current, ...small.slots, ...pins.map((pin) => pin.values)].map(
          ({ buffer }) => buffer,
        ),
      );
      expect(buffers.size).toBeGreaterThan(1);
    },
  );
});

describe('an update into other memory', () => {
  it('copies what that memory lacks, not the whole model', () => {
    const length = 100_000;
    const big = new Catalogue(
      ['large', 'small'].map((name, i) => ({
        name,
        shape: [i === 0 ? length : 3],
        dtype: 'float32' as const,
        trainable: true,
      })),
    );
    const table = new DenseTable({
      catalogue: big,
      values: new Float32Array(big.length),
      optimizer: sgd({ learningRate: 1 }),
      ownOptimizers: new Map(),
      pinnedVersions: 2,
      kernels,
      allocate: (elements) => new Float32Array(elements).fill(Number.NaN),
    });
    /** Pushes to the small tensor while a reader holds the version before; returns what that took. */
    const cost = (): number => {
      const pin = table.versions.pin(0) as Pin;
      const gradient = new Float32Array(3).fill(-1);
      const update = { factor: 1, clipValue: Number.POSITIVE_INFINITY, rates: table.ratesNow(1) };
      const job = table.update({ selection: big.select([1]), gradient, ...update });
      const budget = { elements: 2 * length };
      expect(job.run(budget)).toBe(true);
      table.versions.publish(table.versions.version + 1, 0);
      table.versions.release(pin);
      return 2 * length - budget.elements;
    };
    expect(cost()).toBe(length + 3);
    expect([cost(), cost(), cost()]).toEqual([3, 3, 3]);
    expect(table.versions.current.every((value, i) => value === (i < length ? 0 : 4))).toBe(true);
  });

  it('gives every version its values, whoever reads and whatever is pushed', () => {
    const push = fc.record({ kind: fc.constant('push' as const), tensors: fc.subarray([0, 1, 2, 3]) });
    const pin = fc.record({ kind: fc.constant('pin' as const) });
    const release = fc.record({ kind: fc.constant('release' as const), which: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(fc.oneof(push, pin, release), { maxLength: 60 }), fc.boolean(), (steps, isOwn) => {
        const optimizer = () => (isOwn ? sign : sgd({ learningRate: 0.5 }));
        // The other is never read: it always writes in place.
        const [table, other] = [newTable(optimizer()), newTable(optimizer())];
        other.isUnread = true;
        const held: { pin: Pin; values: number[] }[] = [];
        for (const step of steps) {
          if (step.kind === 'push') {
            const tensors = step.tensors.length === 4 ? undefined : step.tensors;
            const { length } = catalogue.select(tensors);
            const gradient = Array.from({ length }, (_, i) => Math.sin(i + table.versions.version));
            for (const each of [table, other]) apply(each, { tensors, gradient }, [4]);
          } else if (step.kind === 'pin') {
            const taken = table.versions.pin(0);
            if (taken !== undefined) held.push({ pin: taken, values: [...taken.values] });
          } else if (held.length > 0) {
            const [{ pin: done }] = held.splice(step.which % held.length, 1) as unknown as [{ pin: Pin }];
            table.versions.release(done);
          }
          expect([...table.versions.current]).toEqual([...other.versions.current]);
          for (const each of held) expect([...each.pin.values]).toEqual(each.values);
        }
      }),
    );
  });
});

describe('changing the optimizer', () => {
  it('starts the slots anew of the tensors without one of their own, and of no others', () => {
    const table = newTable(momentum({ learningRate: 1 }), { bias: momentum({ learningRate: 1 }) });
    apply(table, { gradient: Array.from({ length: 13 }, () => 1) });
    table.setOptimizer(adam({ learningRate: 1 }));
    expect(table.slots.length).toBe(2);
    expect([...table.slotOf(catalogue.get('kernel'), 0)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect([...table.slotOf(catalogue.get('bias'), 0)]).toEqual([-1]);
    expect(table.ruleOf(catalogue.get('kernel')).name).toBe('adam');
    expect(table.ruleOf(catalogue.get('bias')).name).toBe('momentum');
    expect(table.scalars[0]?.[0]).toBe(0);
    expect(table.scalars[1]?.[0]).toBe(1);
  });

  it('fills slots with what the rule says', () => {
    const table = newTable(sgd());
    table.setOptimizer(adagrad({ learningRate: 0.1, initialAccumulator: 0.25 }));
    expect(table.slots.map((slot) => [...slot])).toEqual([Array.from({ length: 13 }, () => 0.25)]);
    apply(table, { tensors: [1], gradient: [2] });
    expect(table.slots[0]?.[7]).toBe(4.25);
    table.restartSlots();
    expect(table.slots[0]?.[7]).toBe(0.25);
    expect(table.scalars[1]?.[0]).toBe(0);
  });
});
