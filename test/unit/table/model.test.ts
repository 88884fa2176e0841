import { describe, expect, it } from 'vitest';
import { adam } from '../../../src/core/optim/adam.js';
import { modelOf } from '../../../src/core/table/model.js';

describe('modelOf', () => {
  it('lays the tensors end to end in the order given, with their first values', () => {
    const model = modelOf(
      {
        kernel: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
        bias: { shape: [2] },
        gain: { shape: [], init: 'ones', trainable: false },
        ramp: { shape: [3], init: (i: number) => i / 2, optimizer: adam() },
        none: { shape: [0, 5] },
      },
      0,
    );
    const values = new Float32Array(model.catalogue.length).fill(Number.NaN);
    model.initialise(values);
    expect([...values]).toEqual([1, 2, 3, 4, 0, 0, 1, 0, 0.5, 1]);
    expect(
      model.catalogue.entries.map(({ name, offset, length, trainable }) => [name, offset, length, trainable]),
    ).toEqual([
      ['kernel', 0, 4, true],
      ['bias', 4, 2, true],
      ['gain', 6, 1, false],
      ['ramp', 7, 3, true],
      ['none', 10, 0, true],
    ]);
    expect([...model.ownOptimizers.keys()]).toEqual(['ramp']);
  });

  it('copies the data that it is given', () => {
    const data = Float32Array.of(1, 2);
    const model = modelOf({ w: { shape: [2], data } }, 0);
    const values = new Float32Array(2);
    model.initialise(values);
    data[0] = 9;
    expect([...values]).toEqual([1, 2]);
  });

  it('makes values that depend on the seed and the name alone', () => {
    const valuesOf = (parameters: object, seed: number): number[] => {
      const model = modelOf(parameters, seed);
      const values = new Float32Array(model.catalogue.length);
      model.initialise(values);
      return [...values];
    };
    const alone = valuesOf({ w: { shape: [5], init: 'normal' } }, 7);
    const among = valuesOf({ v: { shape: [3] }, w: { shape: [5], init: 'normal' } }, 7);
    expect(among.slice(3)).toEqual(alone);
    expect(valuesOf({ w: { shape: [5], init: 'normal' } }, 8)).not.toEqual(alone);
  });

  it.each([
    ['parameters', undefined, 'undefined'],
    ['parameters', null, 'null'],
    ['parameters', [], '[]'],
    ['parameters', {}, 'an object with keys (none)'],
    ['parameters', { '': { shape: [1] } }, '""'],
    ['parameters', { ['x'.repeat(257)]: { shape: [1] } }, '"xxx'],
    ['parameters', JSON.parse('{"__proto__":{"shape":[1]}}'), '"__proto__"'],
    ['parameters.w', { w: null }, 'null'],
    ['parameters.w', { w: undefined }, 'undefined'],
    ['parameters.w', { w: 5 }, '5'],
    ['parameters.w.shap', { w: { shap: [1] } }, '"shap"'],
    ['parameters.w.shape', { w: {} }, 'undefined'],
    ['parameters.w.shape', { w: { shape: 4 } }, '4'],
    ['parameters.w.shape', { w: { shape: [-1] } }, '[-1]'],
    ['parameters.w.shape', { w: { shape: [1.5] } }, '[1.5]'],
    ['parameters.w.shape', { w: { shape: ['4'] } }, '["4"]'],
    ['parameters.w.shape', { w: { shape: [2 ** 30, 2 ** 30] } }, '[1073741824, 1073741824]'],
    ['parameters.w.dtype', { w: { shape: [1], dtype: 'float64' } }, '"float64"'],
    ['parameters.w.trainable', { w: { shape: [1], trainable: 'no' } }, '"no"'],
    ['parameters.w.init', { w: { shape: [1], init: 'glorot' } }, '"glorot"'],
    ['parameters.w.data', { w: { shape: [2], data: [1, 2] } }, '[1, 2]'],
    ['parameters.w.data', { w: { shape: [2], data: new Float32Array(3) } }, 'Float32Array(3)'],
    ['parameters.w.data[1]', { w: { shape: [2], data: Float32Array.of(0, Number.NaN) } }, 'NaN'],
    ['parameters.w.optimizer', { w: { shape: [2], optimizer: 'adam' } }, '"adam"'],
  ])('refuses %s: %j', (option, parameters, given) => {
    let error: unknown;
    try {
      modelOf(parameters, 0);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option } });
    expect((error as Error).message).toContain(option);
    expect((error as Error).message).toContain(given);
  });

  it('refuses init and data together, naming the parameter', () => {
    expect(() => modelOf({ w: { shape: [1], init: 'ones', data: Float32Array.of(1) } }, 0)).toThrow(
      /parameters\.w/,
    );
  });

  it('refuses more tensors than a set in a header can name', () => {
    const many = Object.fromEntries(Array.from({ length: 65_537 }, (_, i) => [`t${i}`, { shape: [] }]));
    expect(() => modelOf(many, 0)).toThrow(expect.objectContaining({ code: 'PS_LIMIT' }));
  });
});
