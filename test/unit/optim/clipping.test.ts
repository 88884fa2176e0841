import { describe, expect, it } from 'vitest';
import { referenceKernels } from '../../../src/core/kernels/reference.js';
import { checkClip, clipFactor } from '../../../src/core/optim/clipping.js';

describe('clipFactor', () => {
  it('is 1 up to the norm that is allowed', () => {
    expect(clipFactor(0, 1)).toBe(1);
    expect(clipFactor(4, 2)).toBe(1);
    expect(clipFactor(3.99, 2)).toBe(1);
  });

  it('brings a longer gradient to the norm that is allowed', () => {
    expect(clipFactor(16, 2)).toBe(0.5);
    const gradient = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i) * 7);
    referenceKernels.scale(gradient, clipFactor(referenceKernels.sumSquares(gradient), 0.3));
    expect(Math.sqrt(referenceKernels.sumSquares(gradient))).toBeCloseTo(0.3, 6);
  });

  it('is a float32', () => {
    const factor = clipFactor(9, 1);
    expect(factor).toBe(Math.fround(1 / 3));
  });

  it('works for norms whose squares exceed float32', () => {
    expect(clipFactor(1e76, 1e30)).toBe(Math.fround(1e-8));
  });

  it.each([Infinity, Number.NaN])('leaves a norm of %d alone', (square) => {
    expect(clipFactor(square, 1)).toBe(1);
  });
});

describe('checkClip', () => {
  it.each([{}, { value: 1 }, { norm: 0.5 }, { value: 1, norm: undefined }])('passes %j', (clip) => {
    expect(checkClip(clip)).toBe(clip);
  });

  it.each([
    [{ value: 0 }, 'clip.value'],
    [{ value: -1 }, 'clip.value'],
    [{ norm: Number.NaN }, 'clip.norm'],
    [{ norm: Infinity }, 'clip.norm'],
    [{ norm: 1e39 }, 'clip.norm'],
    [{ norm: 1e-60 }, 'clip.norm'],
    [{ norm: '1' }, 'clip.norm'],
    [{ nrom: 1 }, 'clip option'],
    [5, 'clip'],
    [null, 'clip'],
  ])('refuses %j', (clip, option) => {
    expect(() => checkClip(clip)).toThrow(expect.objectContaining({ details: { option } }));
  });
});
