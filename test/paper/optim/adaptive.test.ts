/**
 * Adagrad, RMSProp, Adam and AdamW: what the papers state.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { adamw } from '../../../src/core/optim/adamw.js';
import type { Optimizer } from '../../../src/core/optim/optimizer.js';
import { rmsprop } from '../../../src/core/optim/rmsprop.js';
import { updateRuleOf } from '../../../src/core/optim/updateRule.js';
import { Trained } from '../../unit/optim/trained.js';

/** The path of one parameter from 0. */
function path(optimizer: Optimizer, gradients: readonly number[], learningRate: number): number[] {
  const trained = new Trained(updateRuleOf(optimizer), [0]);
  return gradients.map((gradient) => trained.update([gradient], learningRate).parameter[0] as number);
}

const constant = (gradient: number, steps: number): number[] => new Array<number>(steps).fill(gradient);

describe('gradients scaled by a constant give the same steps', () => {
  // Powers of two scale float32 numbers exactly; an ε of 1e-30 is lost in every sum.
  it.each([adagrad({ epsilon: 1e-30 }), rmsprop({ epsilon: 1e-30 }), adam({ epsilon: 1e-30 })])(
    '$name, to the bit',
    (optimizer) => {
      const gradient = fc.double({ min: 0.01, max: 10, noNaN: true }).map(Math.fround);
      fc.assert(
        fc.property(
          fc.array(gradient, { maxLength: 20 }),
          fc.integer({ min: -20, max: 20 }),
          (gradients, k) => {
            const scaled = gradients.map((g) => g * 2 ** k);
            expect(path(optimizer, scaled, 0.1)).toEqual(path(optimizer, gradients, 0.1));
          },
        ),
        { seed: 1, numRuns: 60 },
      );
    },
  );
});

describe('Duchi et al. 2011: Adagrad', () => {
  it('the first step is the learning rate, the t-th under a constant gradient lr/√t', () => {
    const found = path(adagrad(), constant(3, 100), 0.1);
    let expected = 0;
    found.forEach((value, t) => {
      expected -= 0.1 / Math.sqrt(t + 1);
      expect(Math.abs(value / expected - 1)).toBeLessThan(1e-6);
    });
  });

  it('gives features that are seen rarely larger steps than frequent ones', () => {
    const often = path(adagrad(), [...constant(1, 99), 1], 0.1);
    const rarely = path(adagrad(), [...constant(0, 99), 1], 0.1);
    const lastStep = (values: number[]): number => Math.abs((values[99] as number) - (values[98] as number));
    expect(lastStep(rarely)).toBeCloseTo(10 * lastStep(often), 5);
  });

  it('an initial accumulator makes the first steps smaller', () => {
    expect(path(adagrad({ initialAccumulator: 15 }), [1], 0.1)[0]).toBeCloseTo(-0.1 / 4, 7);
  });
});

describe('Tieleman & Hinton 2012: RMSProp', () => {
  it('divides by the root of a running mean: the first step is lr/√(1 − ρ), later ones tend to lr', () => {
    const found = path(rmsprop({ rho: 0.9 }), constant(5, 200), 0.01);
    expect(found[0]).toBeCloseTo(-0.01 / Math.sqrt(0.1), 6);
    expect((found[199] as number) - (found[198] as number)).toBeCloseTo(-0.01, 6);
  });

  it('forgets: after a change of scale the steps come back to lr, unlike those of Adagrad', () => {
    const gradients = [...constant(100, 50), ...constant(0.1, 300)];
    const lastStep = (values: number[]): number =>
      Math.abs((values[349] as number) - (values[348] as number));
    expect(lastStep(path(rmsprop(), gradients, 0.01))).toBeCloseTo(0.01, 5);
    expect(lastStep(path(adagrad(), gradients, 0.01))).toBeLessThan(1e-5);
  });
});

describe('Kingma & Ba 2015: Adam', () => {
  it('corrects the bias of the zeros it starts from: under a constant gradient every step is lr', () => {
    const found = path(adam(), constant(0.3, 50), 0.01);
    found.forEach((value, t) => {
      expect(Math.abs(value / (-0.01 * (t + 1)) - 1)).toBeLessThan(1e-5);
    });
  });

  it('section 2.1: a step is at most lr·(1 − β1)/√(1 − β2), reached by a gradient after none but zeros', () => {
    const bound = (0.01 * (1 - 0.9)) / Math.sqrt(1 - 0.999);
    const found = path(adam(), [...constant(0, 5000), 1], 0.01);
    expect(found[4999]).toBe(0);
    expect(found[5000]).toBeLessThan(-0.99 * bound);
    expect(found[5000]).toBeGreaterThan(-1.01 * bound);
  });

  it('section 2.1: in less sparse cases a step is at most lr', () => {
    const gradients = Array.from({ length: 300 }, (_, t) => Math.sin(t * t) + 0.5);
    const found = path(adam(), gradients, 0.01);
    found.slice(1).forEach((value, t) => {
      expect(Math.abs(value - (found[t] as number))).toBeLessThan(0.011);
    });
  });

  it('section 2.1: steps get smaller as the gradients’ signal-to-noise ratio falls', () => {
    const noisy = Array.from({ length: 400 }, (_, t) => (t % 2 === 0 ? 1 : -0.9));
    const found = path(adam(), noisy, 0.01);
    const way = Math.abs((found[399] as number) - (found[199] as number));
    expect(way).toBeLessThan(0.1 * 0.01 * 200);
  });

  it('section 3: with β1 = 0 and the sparsest gradients the correction of β2 is what bounds the first step', () => {
    for (const beta2 of [0.9, 0.999, 0.99999]) {
      expect(path(adam({ beta1: 0, beta2 }), [7], 0.01)[0]).toBeCloseTo(-0.01, 5);
    }
  });

  it('finds the minimum of a quadratic of condition number 1000', () => {
    const trained = new Trained(updateRuleOf(adam()), [1, 1]);
    for (let t = 0; t < 1500; t++) {
      const [x, y] = trained.parameter as unknown as [number, number];
      trained.update([x, 0.001 * y], 0.1 / (1 + t / 50));
    }
    expect(Math.abs(trained.parameter[0] as number)).toBeLessThan(1e-3);
    expect(Math.abs(trained.parameter[1] as number)).toBeLessThan(1e-3);
  });
});

describe('Loshchilov & Hutter 2019: AdamW', () => {
  it('without gradients the parameters decay by (1 − lr·weightDecay) per step', () => {
    const trained = new Trained(updateRuleOf(adamw({ weightDecay: 0.1 })), [1, -2]);
    for (let t = 0; t < 100; t++) trained.update([0, 0], 0.5);
    expect(trained.parameter[0]).toBeCloseTo(0.95 ** 100, 6);
    expect(trained.parameter[1]).toBeCloseTo(-2 * 0.95 ** 100, 6);
  });

  it('the decay is decoupled: large gradients do not weaken it, as they do that of an L2 term', () => {
    const decayOf = (optimizer: Optimizer, size: number, l2: number): number => {
      const [zero, one] = [0, 1].map((start) => {
        const trained = new Trained(updateRuleOf(optimizer), [start]);
        for (let t = 0; t < 50; t++) {
          const gradient = size * (t % 2 === 0 ? 1 : -1) + l2 * (trained.parameter[0] as number);
          trained.update([gradient], 0.01);
        }
        return trained.parameter[0] as number;
      });
      return (one as number) - (zero as number);
    };
    const decoupled = adamw({ weightDecay: 1 });
    expect(decayOf(decoupled, 100, 0)).toBeCloseTo(0.99 ** 50, 4);
    expect(decayOf(decoupled, 1, 0)).toBeCloseTo(0.99 ** 50, 4);
    expect(decayOf(adam(), 100, 1)).toBeGreaterThan(0.99);
  });

  it('without decay is Adam, to the bit', () => {
    const gradients = Array.from({ length: 50 }, (_, t) => Math.sin(t * t));
    expect(path(adamw({ weightDecay: 0 }), gradients, 0.01)).toEqual(path(adam(), gradients, 0.01));
  });
});
