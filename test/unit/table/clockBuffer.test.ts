import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referenceKernels as kernels } from '../../../src/core/kernels/reference.js';
import { ClockBuffer, type Contribution } from '../../../src/core/table/clockBuffer.js';
import { JobThen, runToEnd } from '../../../src/core/table/job.js';
import { Catalogue, type TensorSpec } from '../../../src/core/tensor/catalogue.js';

const { fround } = Math;
const tensor = (name: string, length: number): TensorSpec => ({
  name,
  shape: [length],
  dtype: 'float32',
  trainable: true,
});
const catalogue = new Catalogue([tensor('a', 2), tensor('b', 1), tensor('c', 3)]);
const PLAIN = { factor: 1, clipValue: Number.POSITIVE_INFINITY };

interface Push {
  readonly worker: string;
  readonly tensors?: readonly number[];
  readonly gradient: readonly number[];
}

const newBuffer = (): ClockBuffer =>
  new ClockBuffer(catalogue, [], kernels, (length) => new Float32Array(length));

function add(buffer: ClockBuffer, { worker, tensors, gradient }: Push, transform = PLAIN): void {
  runToEnd(
    buffer.add(
      worker,
      { selection: catalogue.select(tensors), dense: Float32Array.from(gradient), rows: [] },
      transform,
    ),
  );
}

/** The merged gradient, by tensor name. */
function merged(buffer: ClockBuffer, budget = Number.MAX_SAFE_INTEGER): Record<string, number[]> {
  const result: Record<string, number[]> = {};
  const job = buffer.merge(undefined, ({ selection, dense: gradient }) => {
    let at = 0;
    for (const { name, length } of selection.entries) {
      result[name] = [...gradient.subarray(at, at + length)];
      at += length;
    }
    return new JobThen(undefined, () => {});
  });
  while (!job.run({ elements: budget }));
  return result;
}

describe('ClockBuffer', () => {
  it('is the mean over the workers that pushed', () => {
    const buffer = newBuffer();
    add(buffer, { worker: 'x', gradient: [1, 2, 3, 4, 5, 6] });
    add(buffer, { worker: 'y', gradient: [3, 2, 1, 0, 1, 2] });
    expect(merged(buffer)).toEqual({ a: [2, 2], b: [2], c: [2, 3, 4] });
  });

  it("adds a worker's own pushes before anything else", () => {
    const buffer = newBuffer();
    add(buffer, { worker: 'x', gradient: [1, 0, 0, 0, 0, 0] });
    add(buffer, { worker: 'y', gradient: [8, 0, 0, 0, 0, 0] });
    add(buffer, { worker: 'x', gradient: [3, 0, 0, 0, 0, 0] });
    expect(buffer.contributions.map(({ worker, parts }) => [worker, parts.get(0)?.[0]])).toEqual([
      ['x', 4],
      ['y', 8],
    ]);
    expect(merged(buffer).a).toEqual([6, 0]);
  });

  it('adds in float32, in the order of ids by code units', () => {
    const gradients: Record<string, number> = { a: 1e8, Z: 3, '10': -1e8, '9': 7, é: 0.1 };
    const buffer = newBuffer();
    for (const [worker, value] of Object.entries(gradients)) {
      add(buffer, { worker, tensors: [1], gradient: [value] });
    }
    const order = ['10', '9', 'Z', 'a', 'é'];
    expect(buffer.contributions.map(({ worker }) => worker)).toEqual(order);
    const sum = order.reduce((total, worker) => fround(total + fround(gradients[worker] as number)), 0);
    expect(merged(buffer)).toEqual({ b: [fround(sum / 5)] });
  });

  it('a tensor that one left out counts as zeros for it; one that all left out is not updated', () => {
    const buffer = newBuffer();
    add(buffer, { worker: 'x', tensors: [0], gradient: [2, 4] });
    add(buffer, { worker: 'y', tensors: [2], gradient: [6, 6, 6] });
    expect(merged(buffer)).toEqual({ a: [1, 2], c: [3, 3, 3] });
  });

  it('one worker keeps its bits, −0 among them', () => {
    const buffer = newBuffer();
    add(buffer, { worker: 'x', gradient: [-0, 1e-45, 3.4e38, -0, 0, -1] });
    const { a, b, c } = merged(buffer) as { a: number[]; b: number[]; c: number[] };
    expect([...a, ...b, ...c].map((value) => Object.is(value, -0))).toEqual([
      true,
      false,
      false,
      true,
      false,
      false,
    ]);
    expect(a[1]).toBe(fround(1e-45));
  });

  it('clips and scales each push before it is added', () => {
    const buffer = newBuffer();
    add(buffer, { worker: 'x', tensors: [0], gradient: [10, -10] }, { factor: 0.5, clipValue: 3 });
    add(buffer, { worker: 'x', tensors: [0], gradient: [2, 2] }, { factor: 0.5, clipValue: 3 });
    expect(merged(buffer).a).toEqual([4, -2]);
  });

  it('leaves the gradient it is given alone', () => {
    const gradient = Float32Array.of(10, -10);
    runToEnd(
      newBuffer().add(
        'x',
        { selection: catalogue.select([0]), dense: gradient, rows: [] },
        { factor: 0.5, clipValue: 3 },
      ),
    );
    expect([...gradient]).toEqual([10, -10]);
  });

  it('takes memory for the tensors that were pushed alone, however many workers and pushes', () => {
    const buffer = newBuffer();
    for (const worker of ['x', 'y', 'z']) {
      for (let i = 0; i < 3; i++) add(buffer, { worker, tensors: [1], gradient: [1] });
    }
    expect(buffer.bytes).toBe(3 * 4);
    add(buffer, { worker: 'x', tensors: [0, 1], gradient: [1, 1, 1] });
    expect(buffer.bytes).toBe(3 * 4 + 2 * 4);
    // What merging takes is given back with the rest.
    expect(merged(buffer)).toEqual({ a: [fround(1 / 3), fround(1 / 3)], b: [fround(10 / 3)] });
    expect(buffer.areas.reduce((sum, { byteLength }) => sum + byteLength, 0)).toBe(3 * 4 + 2 * 4 + 3 * 4);
  });

  it('one that is missing some tensors is merged robustly with zeros for them', () => {
    const buffer = newBuffer();
    add(buffer, { worker: 'x', tensors: [0], gradient: [2, 4] });
    add(buffer, { worker: 'y', gradient: [6, 6, 6, 6, 6, 6] });
    add(buffer, { worker: 'z', tensors: [1, 2], gradient: [1, 9, 2, 3] });
    const found: number[] = [];
    const job = buffer.merge({ aggregate: 'median', faultyShare: 0.25 }, ({ dense }) => {
      found.push(...dense);
      return new JobThen(undefined, () => {});
    });
    runToEnd(job);
    expect(found).toEqual([2, 4, 1, 6, 2, 3]);
  });

  it('takes back what was saved', () => {
    const buffer = newBuffer();
    add(buffer, { worker: 'y', gradient: [1, 2, 3, 4, 5, 6] });
    add(buffer, { worker: 'x', tensors: [1], gradient: [9] });
    const copy = newBuffer();
    const parts = (each: Contribution) =>
      [...each.parts].map(([at, values]) => [at, values.slice()] as const);
    copy.restore(
      buffer.contributions.map((each) => {
        const kept = new Map(parts(each));
        return { ...each, parts: kept, areas: [...kept.values()] };
      }),
    );
    expect(merged(copy)).toEqual(merged(buffer));
  });
});

const push: fc.Arbitrary<Push> = fc
  .record({
    worker: fc.constantFrom('w1', 'w10', 'w2', 'W', 'ä'),
    tensors: fc.constantFrom([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2], []),
    values: fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 6, maxLength: 6 }),
  })
  .map(({ worker, tensors, values }) => ({
    worker,
    tensors,
    gradient: values.slice(0, catalogue.select(tensors).length),
  }));

describe('the bits', () => {
  it('do not depend on the order in which workers come, nor on how the work is cut', () => {
    const random = fc.array(push, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(random, fc.nat(), fc.integer({ min: 1, max: 9 }), (pushes, seed, budget) => {
        const inOrder = newBuffer();
        for (const each of pushes) add(inOrder, each);
        // Another order of workers, the same within each.
        const workers = [...new Set(pushes.map(({ worker }) => worker))];
        const turned = workers.map((_, i) => workers[(i + seed) % workers.length]);
        const other = newBuffer();
        for (const worker of turned) for (const each of pushes) if (each.worker === worker) add(other, each);
        expect(merged(other, budget)).toEqual(merged(inOrder));
      }),
    );
  });
});
