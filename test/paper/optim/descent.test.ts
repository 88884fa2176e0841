/**
 * Gradient descent and momentum: what the papers state, on quadratics, whose paths are known.
 */
import { describe, expect, it } from 'vitest';
import { momentum } from '../../../src/core/optim/momentum.js';
import { nesterov } from '../../../src/core/optim/nesterov.js';
import type { Optimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { updateRuleOf } from '../../../src/core/optim/updateRule.js';
import { Trained } from '../../unit/optim/trained.js';

/** Curvatures of f(x) = ½ Σ a·x², whose gradient is a·x; condition number 1000. */
const CURVATURES = [1, 0.1, 0.001];

/** Minimises f from (1, 1, 1); returns the path of x. */
function descend(optimizer: Optimizer, learningRate: number, steps: number): number[][] {
  const trained = new Trained(updateRuleOf(optimizer), [1, 1, 1]);
  return Array.from({ length: steps }, () => {
    trained.update(
      CURVATURES.map((a, i) => a * (trained.parameter[i] as number)),
      learningRate,
    );
    return [...trained.parameter];
  });
}

const valueAt = (x: readonly number[]): number =>
  CURVATURES.reduce((sum, a, i) => sum + (a * (x[i] as number) ** 2) / 2, 0);

describe('Robbins & Monro 1951: stochastic gradient descent', () => {
  it('on a quadratic, x after t steps is (1 − lr·a)^t', () => {
    descend(sgd(), 0.5, 60).forEach((x, t) => {
      CURVATURES.forEach((a, i) => {
        expect(Math.abs((x[i] as number) - (1 - 0.5 * a) ** (t + 1))).toBeLessThan(60 * 2 ** -24);
      });
    });
  });

  it('with rates 1/t, x is the mean of what was observed', () => {
    const trained = new Trained(updateRuleOf(sgd()), [0]);
    const observed = Array.from({ length: 500 }, (_, t) => 3 + Math.sin(t * t));
    for (const [t, y] of observed.entries()) {
      trained.update([(trained.parameter[0] as number) - y], 1 / (t + 1));
    }
    const mean = observed.reduce((sum, y) => sum + y, 0) / observed.length;
    expect(trained.parameter[0]).toBeCloseTo(mean, 4);
  });
});

describe('Polyak 1964; Sutskever et al. 2013: momentum', () => {
  it('with μ = 0 is gradient descent', () => {
    expect(descend(momentum({ momentum: 0 }), 0.3, 50)).toEqual(descend(sgd(), 0.3, 50));
  });

  it('under a constant gradient the velocity becomes lr·g / (1 − μ)', () => {
    const trained = new Trained(updateRuleOf(momentum({ momentum: 0.9 })), [0]);
    for (let t = 0; t < 300; t++) trained.update([2], 0.01);
    expect(trained.slots[0]?.[0]).toBeCloseTo((-0.01 * 2) / (1 - 0.9), 6);
  });

  it('a gradient moves the parameter by lr·g·(1 + μ + μ² + …) in all', () => {
    const trained = new Trained(updateRuleOf(momentum({ momentum: 0.5 })), [0]);
    trained.update([1], 0.1);
    for (let t = 0; t < 60; t++) trained.update([0], 0.1);
    expect(trained.parameter[0]).toBeCloseTo(-0.2, 7);
  });

  it('crosses a long valley faster than gradient descent', () => {
    const steps = 200;
    const slow = valueAt(descend(sgd(), 1, steps).at(-1) as number[]);
    expect(valueAt(descend(momentum({ momentum: 0.9 }), 1, steps).at(-1) as number[])).toBeLessThan(
      slow / 10,
    );
  });

  it('a velocity without gradients ends at 0, not among the subnormal numbers', () => {
    const trained = new Trained(updateRuleOf(momentum({ momentum: 0.9 })), [1]);
    trained.update([1], 0.1);
    for (let t = 0; t < 1000; t++) trained.update([0], 0.1);
    expect(trained.slots[0]?.[0]).toBe(0);
  });
});

describe('Nesterov 1983; Sutskever et al. 2013; Bengio et al. 2013: accelerated gradient', () => {
  it('with μ = 0 is gradient descent', () => {
    expect(descend(nesterov({ momentum: 0 }), 0.3, 50)).toEqual(descend(sgd(), 0.3, 50));
  });

  it('is the two sequences of Sutskever et al., seen where they take the gradient, at θ + μ·v', () => {
    const [mu, rate] = [0.9, 0.7];
    const path = descend(nesterov({ momentum: mu }), rate, 80);
    CURVATURES.forEach((a, i) => {
      let [theta, v] = [1, 0];
      for (const x of path) {
        v = mu * v - rate * a * (theta + mu * v);
        theta += v;
        expect(Math.abs((x[i] as number) - (theta + mu * v))).toBeLessThan(2e-6);
      }
    });
  });

  it('is more stable than momentum where the curvature is high: it damps what momentum makes oscillate', () => {
    const late = (optimizer: Optimizer): number =>
      Math.max(
        ...descend(optimizer, 1, 60)
          .slice(30)
          .map(([x]) => Math.abs(x as number)),
      );
    expect(late(nesterov({ momentum: 0.95 }))).toBeLessThan(late(momentum({ momentum: 0.95 })) / 100);
  });
});
