/**
 * FTRL-Proximal: what McMahan et al. 2013 state, and the two cases that they leave open.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import { updateRuleOf } from '../../../src/core/optim/updateRule.js';
import { Trained } from '../../unit/optim/trained.js';

const number = fc.double({ min: -3, max: 3, noNaN: true }).map(Math.fround);
const rate = fc.oneof(
  { weight: 5, arbitrary: fc.double({ min: 0.01, max: 1, noNaN: true }) },
  fc.constant(0),
);

describe('McMahan et al. 2013: FTRL-Proximal', () => {
  it('without regularisation is online gradient descent with the rates α/(β + √Σg²), from any start, at any rates', () => {
    const round = fc.record({ gradient: number, learningRate: rate });
    fc.assert(
      fc.property(number, fc.array(round, { maxLength: 15 }), (start, rounds) => {
        const trained = new Trained(updateRuleOf(ftrl({ beta: 1 })), [start]);
        let [expected, squares] = [start, 0];
        let scale = Math.abs(start);
        for (const { gradient, learningRate } of rounds) {
          // At rate 0 a gradient is not taken in at all.
          if (learningRate > 0) squares += gradient ** 2;
          expected -= (gradient * learningRate) / (1 + Math.sqrt(squares));
          trained.update([gradient], learningRate);
          scale = Math.max(scale, Math.abs(expected));
        }
        // z is the parameter times (β + √n)/α, so its rounding weighs as much as the rates have moved.
        expect(Math.abs((trained.parameter[0] as number) - expected)).toBeLessThan(1e-4 * scale + 1e-9);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('algorithm 1: the weight follows from z and n alone', () => {
    const options = { beta: 0.5, l1: 0.3, l2: 0.2 };
    const trained = new Trained(updateRuleOf(ftrl(options)), [0, 0, 0]);
    for (let t = 0; t < 50; t++) {
      trained.update([Math.sin(t * t), Math.cos(3 * t) * 2, 0.01 * Math.sin(t)], 0.1);
      const [z, n] = trained.slots as [Float32Array, Float32Array];
      trained.parameter.forEach((weight, i) => {
        const [zi, ni] = [z[i] as number, n[i] as number];
        const solved = -(zi - Math.sign(zi) * 0.3) / ((0.5 + Math.sqrt(ni)) / 0.1 + 0.2);
        expect(Math.abs(weight - (Math.abs(zi) <= Math.fround(0.3) ? 0 : solved))).toBeLessThan(1e-7);
      });
    }
  });

  it('λ1 holds the weights of features that are only noise at exactly 0', () => {
    const width = 200;
    const random = new Random(1);
    const trained = new Trained(updateRuleOf(ftrl({ l1: 8 })), new Array<number>(width).fill(0));
    for (let t = 0; t < 300; t++) {
      const noise = Array.from({ length: width }, () => random.nextNormal() * 0.1);
      // The first ten features matter: their gradient pulls the weight to 1.
      trained.update(
        noise.map((value, i) => (i < 10 ? value + (trained.parameter[i] as number) - 1 : value)),
        0.1,
      );
    }
    expect([...trained.parameter.subarray(0, 10)].every((weight) => weight > 0.3)).toBe(true);
    const zeros = trained.parameter.subarray(10).filter((weight) => Object.is(weight, 0)).length;
    expect(zeros).toBe(width - 10);
  });

  it('λ2 makes weights smaller', () => {
    const weightOf = (l2: number): number => {
      const trained = new Trained(updateRuleOf(ftrl({ l2 })), [0]);
      for (let t = 0; t < 100; t++) trained.update([-1], 0.1);
      return trained.parameter[0] as number;
    };
    expect(weightOf(0)).toBeGreaterThan(weightOf(10));
    expect(weightOf(10)).toBeGreaterThan(weightOf(1000));
    expect(weightOf(1000)).toBeGreaterThan(0);
  });

  it('per-coordinate rates: the weight of a rare feature moves further by one gradient than that of a frequent one', () => {
    const trained = new Trained(updateRuleOf(ftrl()), [0, 0]);
    for (let t = 0; t < 100; t++) trained.update([t % 2 === 0 ? 1 : -1, 0], 0.1);
    const before = [...trained.parameter];
    trained.update([1, 1], 0.1);
    const moved = before.map((value, i) => Math.abs(value - (trained.parameter[i] as number)));
    expect(moved[1]).toBeGreaterThan(4 * (moved[0] as number));
  });
});

describe('what the paper leaves open', () => {
  it('an element without gradients keeps its value, whatever the regularisation', () => {
    const trained = new Trained(updateRuleOf(ftrl({ beta: 0, l1: 1, l2: 1 })), [0.7, -0.7, 0]);
    for (let t = 0; t < 10; t++) trained.update([0, 0, 0], 0.1);
    expect(trained.parameter).toEqual(Float32Array.of(0.7, -0.7, 0));
  });

  it('a trained model that is handed to it goes on from where it is', () => {
    const trained = new Trained(updateRuleOf(ftrl({ l1: 0.5, l2: 0.1 })), [2, -1]);
    trained.update([1e-6, -1e-6], 0.1);
    expect(trained.parameter[0]).toBeCloseTo(2, 5);
    expect(trained.parameter[1]).toBeCloseTo(-1, 5);
  });

  it('a change of the learning rate moves no weight by itself', () => {
    const trained = new Trained(updateRuleOf(ftrl({ l1: 0.01 })), [0]);
    for (let t = 0; t < 20; t++) trained.update([-1], 0.5);
    const before = trained.parameter[0] as number;
    trained.update([1e-9], 0.005);
    expect(trained.parameter[0]).toBeCloseTo(before, 2);
    trained.update([1e-9], 0.5);
    expect(trained.parameter[0]).toBeCloseTo(before, 2);
  });
});
