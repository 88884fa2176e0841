/**
 * What a late update is worth. The delay τ of an update is the number of updates applied between the
 * pull that it was computed from and itself (Agarwal & Duchi 2011; Zheng et al. 2017). Scaling the
 * learning rate by 1/τ follows Zhang et al., "Staleness-aware Async-SGD", IJCAI 2016, section 2.3.
 */
import { invalidArgument, PsError } from '../base/errors.js';
import { checkOptionObject } from '../base/optionObject.js';

/** The `delay` option of a server. */
export interface DelayOptions {
  /**
   * What the learning rate is multiplied with: 1 (`'none'`), 1/max(1, τ) (`'inverse'`), or the user's
   * function of τ, which must give a finite number ≥ 0. Default `'none'`.
   */
  readonly scale?: 'none' | 'inverse' | ((delay: number) => number);
  /** An update with a larger τ is dropped, and its acknowledgement says so. Default Infinity: never. */
  readonly max?: number;
}

/** What is to be done with one update. */
export interface DelayDecision {
  readonly isDropped: boolean;
  /** Multiplies the learning rate. */
  readonly factor: number;
}

/** Returns `options` with defaults; throws `PS_INVALID_ARGUMENT` naming the option. */
export function checkDelayOptions(options: DelayOptions = {}): Required<DelayOptions> {
  const { scale = 'none', max = Number.POSITIVE_INFINITY } = checkOptionObject('delay', options, [
    'scale',
    'max',
  ]);
  if (scale !== 'none' && scale !== 'inverse' && typeof scale !== 'function') {
    throw invalidArgument('delay.scale', scale, "'none', 'inverse' or a function of τ");
  }
  if (typeof max !== 'number' || !(max >= 0)) throw invalidArgument('delay.max', max, 'a number from 0');
  return { scale, max };
}

/** Decides about an update with delay `delay`. Throws `PS_INVALID_ARGUMENT` if the user's function fails. */
export function decideDelay(options: Required<DelayOptions>, delay: number): DelayDecision {
  if (delay > options.max) return { isDropped: true, factor: 0 };
  if (options.scale === 'none') return { isDropped: false, factor: 1 };
  if (options.scale === 'inverse') return { isDropped: false, factor: 1 / Math.max(1, delay) };
  let factor: unknown;
  try {
    factor = options.scale(delay);
  } catch (cause) {
    throw new PsError('PS_INVALID_ARGUMENT', `delay.scale(${delay}) threw`, {
      cause,
      details: { option: 'delay.scale' },
    });
  }
  if (typeof factor !== 'number' || !Number.isFinite(factor) || factor < 0) {
    throw invalidArgument(`delay.scale(${delay})`, factor, 'a finite number ≥ 0');
  }
  return { isDropped: false, factor };
}
