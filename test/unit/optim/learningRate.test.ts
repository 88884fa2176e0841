import { describe, expect, it } from 'vitest';
import { checkLearningRate, learningRateAt } from '../../../src/core/optim/learningRate.js';

describe('learningRateAt', () => {
  it('is the number, whatever the version', () => {
    expect(learningRateAt(0.1, 0)).toBe(0.1);
    expect(learningRateAt(0.1, 1e9)).toBe(0.1);
  });

  it("is what the user's function gives for the version", () => {
    expect(learningRateAt((version) => 1 / (1 + version), 3)).toBe(0.25);
    expect(learningRateAt(() => 0, 3)).toBe(0);
  });

  it.each([-0.1, Number.NaN, Infinity, 1e39, '0.1', undefined, null])(
    'refuses a function that gives %s',
    (given) => {
      expect(() => learningRateAt(() => given as number, 12)).toThrow(
        expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option: 'learningRate(12)' } }),
      );
    },
  );

  it('lets through what the function throws', () => {
    const failure = new Error('mine');
    expect(() =>
      learningRateAt(() => {
        throw failure;
      }, 0),
    ).toThrow(failure);
  });
});

describe('checkLearningRate', () => {
  it.each([0, 1e-9, 5, () => 1])('passes %s', (rate) => {
    expect(checkLearningRate('learningRate', rate)).toBe(rate);
  });

  it.each([-1, Number.NaN, Infinity, '1', null, {}])('refuses %s', (rate) => {
    expect(() => checkLearningRate('sgd.learningRate', rate)).toThrow(
      'sgd.learningRate must be a finite number ≥ 0',
    );
  });
});
