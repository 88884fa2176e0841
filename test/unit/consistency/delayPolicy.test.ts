import { describe, expect, it } from 'vitest';
import { checkDelayOptions, decideDelay } from '../../../src/core/consistency/delayPolicy.js';

describe('decideDelay', () => {
  it('takes every update as it is by default', () => {
    const options = checkDelayOptions();
    expect(options).toEqual({ scale: 'none', max: Number.POSITIVE_INFINITY });
    for (const delay of [0, 1, 1e9])
      expect(decideDelay(options, delay)).toEqual({ isDropped: false, factor: 1 });
  });

  it("'inverse' is 1 / max(1, τ)", () => {
    const options = checkDelayOptions({ scale: 'inverse' });
    expect([0, 1, 2, 4].map((delay) => decideDelay(options, delay).factor)).toEqual([1, 1, 0.5, 0.25]);
  });

  it('drops what is over max, and nothing at max', () => {
    const options = checkDelayOptions({ max: 3 });
    expect([3, 4].map((delay) => decideDelay(options, delay).isDropped)).toEqual([false, true]);
    expect(decideDelay(checkDelayOptions({ max: 0 }), 1).isDropped).toBe(true);
  });

  it('asks the function of τ, but not about an update that is dropped', () => {
    const asked: number[] = [];
    const scale = (delay: number): number => {
      asked.push(delay);
      return 1 / (1 + delay) ** 2;
    };
    const options = checkDelayOptions({ scale, max: 5 });
    expect(decideDelay(options, 1)).toEqual({ isDropped: false, factor: 0.25 });
    expect(decideDelay(options, 6)).toEqual({ isDropped: true, factor: 0 });
    expect(asked).toEqual([1]);
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY, '1', undefined])(
    'refuses a function that gives %s',
    (given) => {
      const options = checkDelayOptions({ scale: () => given as number });
      expect(() => decideDelay(options, 2)).toThrow(/delay\.scale\(2\)/);
    },
  );

  it('names a function that throws', () => {
    const cause = new Error('mine');
    const scale = (): number => {
      throw cause;
    };
    expect(() => decideDelay(checkDelayOptions({ scale }), 2)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', cause, details: { option: 'delay.scale' } }),
    );
  });
});

describe('checkDelayOptions', () => {
  it.each([
    ['delay', null],
    ['delay', 5],
    ['delay', []],
    ['delay.scale', { scale: 'linear' }],
    ['delay.scale', { scale: 0.5 }],
    ['delay.max', { max: -1 }],
    ['delay.max', { max: Number.NaN }],
    ['delay.max', { max: '3' }],
    ['delay.scael', { scael: 'inverse' }],
  ])('refuses %s: %j', (option, given) => {
    expect(() => checkDelayOptions(given as never)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option } }),
    );
  });
});
