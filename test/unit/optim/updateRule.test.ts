import { describe, expect, it } from 'vitest';
import { referenceKernels as kernels } from '../../../src/core/kernels/reference.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { adamw } from '../../../src/core/optim/adamw.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import type { ApplyInfo, ScalarState, UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { updateRuleOf } from '../../../src/core/optim/updateRule.js';
import { Trained } from './trained.js';

describe('scalars', () => {
  it.each([adam(), adamw(), adagrad(), ftrl()])('$name: [0] counts the updates', (optimizer) => {
    const trained = new Trained(updateRuleOf(optimizer), [1]);
    expect(trained.scalars[0]).toBe(0);
    trained.update([1], 0.1).update([1], 0.1).update([1], 0);
    expect(trained.scalars[0]).toBe(3);
  });

  it("Adam's are the running products of its betas", () => {
    const trained = new Trained(updateRuleOf(adam({ beta1: 0.5, beta2: 0.75 })), [1]);
    trained.update([1], 0.1).update([1], 0.1).update([1], 0.1);
    expect(trained.scalars).toEqual([3, 0.125, 0.421875]);
  });

  it.each([adam(), adamw(), ftrl({ l1: 0.1 })])(
    '$name goes on with the same bits from a state that went through JSON',
    (optimizer) => {
      const rates = Array.from({ length: 40 }, (_, t) => 0.1 / (1 + t / 7));
      const gradientAt = (t: number): number[] => [Math.sin(t * 7), Math.cos(t), 1e-4];
      const straight = new Trained(updateRuleOf(optimizer), [1, -2, 0.3]);
      const first = new Trained(updateRuleOf(optimizer), [1, -2, 0.3]);
      rates.slice(0, 23).forEach((rate, t) => {
        straight.update(gradientAt(t), rate);
        first.update(gradientAt(t), rate);
      });
      const saved = JSON.parse(JSON.stringify({ ...first, slots: first.slots.map((slot) => [...slot]) })) as {
        scalars: ScalarState;
        slots: number[][];
      };
      const second = new Trained(updateRuleOf(optimizer), [...first.parameter]);
      second.scalars = saved.scalars;
      saved.slots.forEach((slot, k) => {
        second.slots[k]?.set(slot);
      });
      rates.slice(23).forEach((rate, t) => {
        straight.update(gradientAt(t + 23), rate);
        second.update(gradientAt(t + 23), rate);
      });
      expect(second.parameter).toEqual(straight.parameter);
      expect(second.slots).toEqual(straight.slots);
      expect(second.scalars).toEqual(straight.scalars);
    },
  );
});

describe("the user's optimizer", () => {
  /** Signed descent with a slot that counts updates; remembers what it was told. */
  function recording(): UserOptimizer & { seen: ApplyInfo[] } {
    const seen: ApplyInfo[] = [];
    return {
      name: 'signed',
      slots: ['first', 'count'],
      seen,
      apply(parameter, gradient, [, count], info) {
        seen.push(info);
        for (let i = 0; i < parameter.length; i++) {
          parameter[i] = (parameter[i] as number) - info.learningRate * Math.sign(gradient[i] as number);
          (count as Float32Array)[i] = ((count as Float32Array)[i] as number) + 1;
        }
      },
    };
  }

  it('is called with the learning rate, the step, and the slots in the order of their names', () => {
    const optimizer = recording();
    const trained = new Trained(updateRuleOf(optimizer), [1, 1]);
    trained.update([5, -5], 0.5).update([5, 0], 0.25);
    expect([...trained.parameter]).toEqual([0.25, 1.5]);
    expect(trained.slots.map((slot) => [...slot])).toEqual([
      [0, 0],
      [2, 2],
    ]);
    expect(optimizer.seen).toEqual([
      { learningRate: 0.5, step: 1 },
      { learningRate: 0.25, step: 2 },
    ]);
  });

  it('is given the new array, filled from the old, where the update copies', () => {
    const rule = updateRuleOf(recording());
    const parameter = Float32Array.of(1, 2);
    const out = new Float32Array(2);
    const slots = [new Float32Array(2), new Float32Array(2)];
    const scalars = rule.newScalars();
    rule.advance(scalars, 1);
    rule.update({
      kernels,
      out,
      parameter,
      gradient: Float32Array.of(1, -1),
      slots,
      scalars,
      learningRate: 1,
    });
    expect([...parameter]).toEqual([1, 2]);
    expect([...out]).toEqual([0, 3]);
  });

  it('sees one step for all parts of an update', () => {
    const optimizer = recording();
    const rule = updateRuleOf(optimizer);
    const scalars = rule.newScalars();
    const [parameter, gradient] = [new Float32Array(6), new Float32Array(6).fill(1)];
    const slots = [new Float32Array(6), new Float32Array(6)];
    rule.advance(scalars, 1);
    for (const [begin, end] of [
      [4, 6],
      [0, 1],
      [1, 4],
    ]) {
      const part = (array: Float32Array): Float32Array => array.subarray(begin, end);
      rule.update({
        kernels,
        out: part(parameter),
        parameter: part(parameter),
        gradient: part(gradient),
        slots: slots.map(part),
        scalars,
        learningRate: 1,
      });
    }
    expect(optimizer.seen.map(({ step }) => step)).toEqual([1, 1, 1]);
    expect([...parameter]).toEqual([-1, -1, -1, -1, -1, -1]);
  });

  it('may throw, and the error passes through', () => {
    const failure = new Error('mine');
    const rule = updateRuleOf({
      name: 'broken',
      slots: [],
      apply() {
        throw failure;
      },
    });
    expect(() => new Trained(rule, [1]).update([1], 1)).toThrow(failure);
  });
});

describe('a learning rate of 0', () => {
  it.each([adagrad(), adam(), adamw(), ftrl({ l1: 0.1, l2: 0.2 })])(
    'moves no parameter: $name',
    (optimizer) => {
      const start = [0.5, -0.25, 0, 3];
      const trained = new Trained(updateRuleOf(optimizer), start)
        .update([1, 2, 3, 0], 0)
        .update([1, 0, -3, 0], 0);
      expect([...trained.parameter]).toEqual(start);
      trained.update([1, 1, 1, 1], 0.1);
      trained.parameter.forEach((value, i) => {
        expect(Number.isFinite(value)).toBe(true);
        expect(value).not.toBe(start[i]);
      });
    },
  );

  it('ftrl copies where the update copies', () => {
    const rule = updateRuleOf(ftrl());
    const scalars = rule.newScalars();
    rule.advance(scalars, 0);
    const out = new Float32Array(2);
    rule.update({
      kernels,
      out,
      parameter: Float32Array.of(1, 2),
      gradient: Float32Array.of(3, 4),
      slots: [new Float32Array(2), new Float32Array(2)],
      scalars,
      learningRate: 0,
    });
    expect([...out]).toEqual([1, 2]);
  });
});
