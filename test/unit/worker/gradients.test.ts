import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { Catalogue } from '../../../src/core/tensor/catalogue.js';
import {
  checkExamples,
  checkGradientResult,
  checkGradients,
  checkMetrics,
} from '../../../src/core/worker/gradients.js';
import { SPECS } from './coreHarness.js';

const catalogue = new Catalogue(SPECS);

function errorOf(action: () => unknown): PsError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(PsError);
    return error as PsError;
  }
  throw new Error('nothing was thrown');
}

describe('gradients', () => {
  it('are put into catalogue order; those left out, or undefined, are none', () => {
    const [a, b] = [new Float32Array(6), new Float32Array(4)];
    expect(checkGradients(catalogue, { b, a })).toEqual({ tensors: [0, 1], values: [a, b], bytes: 40 });
    expect(checkGradients(catalogue, { b, a: undefined })).toEqual({ tensors: [1], values: [b], bytes: 16 });
    expect(checkGradients(catalogue, {})).toEqual({ tensors: [], values: [], bytes: 0 });
    const all = new Catalogue(SPECS.slice(0, 2));
    expect(checkGradients(all, { b, a }).tensors).toBeUndefined();
  });

  it('may come from another realm', () => {
    const b = runInNewContext('new Float32Array(4)') as Float32Array;
    expect(checkGradients(catalogue, { b }).values).toEqual([b]);
  });

  it.each([
    ['an unknown name', { d: new Float32Array(1) }, 'PS_UNKNOWN_TENSOR', /"d".*a, b, c/],
    ['a wrong length', { a: new Float32Array(7) }, 'PS_WRONG_LENGTH', /"a" has 7 elements.*\[2, 3\] has 6/],
    ['another array type', { a: new Float64Array(6) }, 'PS_GRADIENT_INVALID', /"a".*Float64Array\(6\)/],
    ['a plain array', { a: [1, 2, 3, 4, 5, 6] }, 'PS_GRADIENT_INVALID', /"a".*\[1, 2, 3, 4, 5, 6\]/],
    ['a tensor', { a: { data: new Float32Array(6) } }, 'PS_GRADIENT_INVALID', /"a".*keys data/],
    ['a tensor that takes none', { c: new Float32Array(1) }, 'PS_NOT_TRAINABLE', /"c"/],
    ['no object', new Float32Array(6), 'PS_GRADIENT_INVALID', /by name/],
    ['nothing', undefined, 'PS_GRADIENT_INVALID', /undefined/],
  ])('with %s are refused', (_what, given, code, message) => {
    const error = errorOf(() => checkGradients(catalogue, given));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it('name the tensor that is wrong', () => {
    expect(errorOf(() => checkGradients(catalogue, { a: new Float32Array(7) })).details.tensor).toBe('a');
  });
});

describe('what a gradient function returns', () => {
  it('has gradients, and may have metrics and examples', () => {
    expect(checkGradientResult({ gradients: 1, metrics: 2, examples: 3 })).toEqual({
      gradients: 1,
      metrics: 2,
      examples: 3,
    });
  });

  it.each([undefined, null, 5, 'x', [], new Float32Array(1), {}, { gradient: {} }])(
    '%s is refused, and what is expected is said',
    (given) => {
      const error = errorOf(() => checkGradientResult(given));
      expect(error.code).toBe('PS_GRADIENT_INVALID');
      expect(error.message).toContain('{ gradients, metrics?, examples? }');
    },
  );

  it('has at most 32 metrics, all of them numbers', () => {
    expect(checkMetrics(undefined)).toBeUndefined();
    expect(checkMetrics({ loss: Number.NaN })).toEqual({ loss: Number.NaN });
    const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`m${i}`, i]));
    expect(errorOf(() => checkMetrics(many)).message).toContain('32');
    expect(errorOf(() => checkMetrics({ loss: '1' })).message).toContain('"loss"');
    expect(errorOf(() => checkMetrics([1])).code).toBe('PS_GRADIENT_INVALID');
    expect(errorOf(() => checkMetrics({ ['x'.repeat(129)]: 1 })).message).toContain('128');
  });

  it('counts examples with an integer from 0', () => {
    expect([checkExamples(undefined), checkExamples(0), checkExamples(32)]).toEqual([undefined, 0, 32]);
    for (const given of [-1, 1.5, Number.NaN, '3', null]) {
      expect(errorOf(() => checkExamples(given)).message).toContain('examples');
    }
  });
});
