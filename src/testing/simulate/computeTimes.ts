/**
 * How long gradients take, for people who describe simulated workers. A plain number is always the same; these
 * draw. They use `Math.exp` and `Math.log`, whose last bits differ between engines.
 */
import { invalidArgument } from '../../core/base/errors.js';

/** Where random numbers come from: a stream of its own for each worker, from the simulation's seed. */
export interface RandomSource {
  /** In [0, 1). */
  nextFloat(): number;
  /** An integer in [0, bound). */
  nextInt(bound: number): number;
  /** Standard normal. */
  nextNormal(): number;
}

/** Milliseconds that one gradient takes: a number, or a function that is asked before each. Both from 0. */
export type ComputeMs = number | ((random: RandomSource, step: number) => number);

/** Anything between `leastMs` and `mostMs`, all equally likely. */
export function between(leastMs: number, mostMs: number): ComputeMs {
  if (!(leastMs >= 0)) throw invalidArgument('between.leastMs', leastMs, 'a number from 0');
  if (!(mostMs >= leastMs)) throw invalidArgument('between.mostMs', mostMs, 'a number from leastMs');
  return (random) => leastMs + (mostMs - leastMs) * random.nextFloat();
}

/**
 * Log-normal, the usual shape of step times: half of them take less than `medianMs`, and about two thirds lie
 * between `medianMs` / `spread` and `medianMs` × `spread`. `spread`: from 1; default 1.2.
 */
export function logNormal(options: { medianMs: number; spread?: number }): ComputeMs {
  const { medianMs, spread = 1.2 } = options;
  if (!(medianMs >= 0)) throw invalidArgument('logNormal.medianMs', medianMs, 'a number from 0');
  if (!(spread >= 1)) throw invalidArgument('logNormal.spread', spread, 'a number from 1');
  const sigma = Math.log(spread);
  return (random) => medianMs * Math.exp(sigma * random.nextNormal());
}

/**
 * Like `usual`, but a `share` of the steps takes `factor` times as long: garbage collection, other users of the
 * machine, a throttled laptop. `share`: 0 to 1; default 0.02. `factor`: default 10.
 */
export function withStalls(usual: ComputeMs, options: { share?: number; factor?: number } = {}): ComputeMs {
  const { share = 0.02, factor = 10 } = options;
  if (!(share >= 0 && share <= 1)) throw invalidArgument('withStalls.share', share, 'a number from 0 to 1');
  if (!(factor >= 0)) throw invalidArgument('withStalls.factor', factor, 'a number from 0');
  return (random, step) => {
    const ms = typeof usual === 'number' ? usual : usual(random, step);
    return random.nextFloat() < share ? ms * factor : ms;
  };
}
