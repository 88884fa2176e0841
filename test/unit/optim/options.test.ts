import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { adam } from '../../../src/core/optim/adam.js';
import { adamw } from '../../../src/core/optim/adamw.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import { nesterov } from '../../../src/core/optim/nesterov.js';
import type { BuiltInOptimizer, Optimizer } from '../../../src/core/optim/optimizer.js';
import { rmsprop } from '../../../src/core/optim/rmsprop.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import {
  checkOptimizer,
  isUserOptimizer,
  learningRateOf,
  optimizerFromSpec,
  specOf,
  updateRuleOf,
  withLearningRate,
} from '../../../src/core/optim/updateRule.js';

type Make = (options?: object) => BuiltInOptimizer;
const makers: readonly Make[] = [sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, ftrl];

/** The option that the error which `act` throws is about. */
function refusedOption(act: () => unknown): string | undefined {
  try {
    act();
  } catch (error) {
    if (error instanceof PsError && error.code === 'PS_INVALID_ARGUMENT') return error.details.option;
    throw error;
  }
  return undefined;
}

describe('built-in optimizers', () => {
  it('have the defaults of the docs', () => {
    expect(sgd()).toEqual({ name: 'sgd', slots: [], learningRate: 0.01 });
    expect(momentum()).toEqual({ name: 'momentum', slots: ['velocity'], learningRate: 0.01, momentum: 0.9 });
    expect(nesterov()).toEqual({ name: 'nesterov', slots: ['velocity'], learningRate: 0.01, momentum: 0.9 });
    expect(adagrad()).toEqual({
      name: 'adagrad',
      slots: ['accumulator'],
      learningRate: 0.01,
      epsilon: 1e-10,
      initialAccumulator: 0,
    });
    expect(rmsprop()).toEqual({
      name: 'rmsprop',
      slots: ['meanSquare'],
      learningRate: 0.001,
      rho: 0.9,
      epsilon: 1e-8,
    });
    const moments = { slots: ['firstMoment', 'secondMoment'], beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    expect(adam()).toEqual({ name: 'adam', learningRate: 0.001, ...moments });
    expect(adamw()).toEqual({ name: 'adamw', learningRate: 0.001, ...moments, weightDecay: 0.01 });
    expect(ftrl()).toEqual({ name: 'ftrl', slots: ['z', 'n'], learningRate: 0.1, beta: 1, l1: 0, l2: 0 });
  });

  it.each(makers)('%o gives frozen data', (make) => {
    const optimizer = make();
    expect(Object.isFrozen(optimizer)).toBe(true);
    expect(Object.isFrozen(optimizer.slots)).toBe(true);
    expect(structuredClone(optimizer)).toEqual(optimizer);
  });

  it.each([
    [() => adam({ beta1: 1 }), 'adam.beta1'],
    [() => adam({ beta2: -0.1 }), 'adam.beta2'],
    [() => adam({ beta2: 1 - 1e-12 }), 'adam.beta2'],
    [() => adam({ epsilon: 0 }), 'adam.epsilon'],
    [() => adam({ epsilon: 1e-60 }), 'adam.epsilon'],
    [() => adam({ learningRate: -1 }), 'adam.learningRate'],
    [() => adam({ learningRate: Number.NaN }), 'adam.learningRate'],
    [() => adam({ learningRate: 1e39 }), 'adam.learningRate'],
    [() => adam({ learningRate: '0.1' as unknown as number }), 'adam.learningRate'],
    [() => adam({ beta1: '0.9' as unknown as number }), 'adam.beta1'],
    [() => adam({ beta1: null as unknown as number }), 'adam.beta1'],
    [() => adam({ learningrate: 1 } as object), 'adam option'],
    [() => adam(0.001 as unknown as object), 'adam()'],
    [() => adam(null as unknown as object), 'adam()'],
    [() => adamw({ weightDecay: -1 }), 'adamw.weightDecay'],
    [() => momentum({ momentum: 1 }), 'momentum.momentum'],
    [() => nesterov({ momentum: Infinity }), 'nesterov.momentum'],
    [() => adagrad({ initialAccumulator: -1 }), 'adagrad.initialAccumulator'],
    [() => adagrad({ epsilon: 0 }), 'adagrad.epsilon'],
    [() => rmsprop({ rho: 1.5 }), 'rmsprop.rho'],
    [() => ftrl({ l1: -1 }), 'ftrl.l1'],
    [() => ftrl({ l2: Infinity }), 'ftrl.l2'],
    [() => ftrl({ beta: Number.NaN }), 'ftrl.beta'],
    [() => sgd({ momentum: 0.9 } as object), 'sgd option'],
  ])('%o is refused', (make, option) => {
    expect(refusedOption(make)).toBe(option);
  });

  it('an error says what was given and what is expected', () => {
    expect(() => adam({ beta1: 1 })).toThrow('adam.beta1 must be a number in [0, 1), got 1');
  });

  it('options left undefined have their defaults', () => {
    expect(adam({ beta1: undefined, learningRate: undefined } as object)).toEqual(adam());
  });
});

describe('plain data', () => {
  it.each(makers)('%o comes back from JSON as it was', (make) => {
    const optimizer = make({ learningRate: 0.1 + 0.2 });
    const spec = specOf(optimizer);
    expect(spec).not.toHaveProperty('slots');
    expect(optimizerFromSpec(JSON.parse(JSON.stringify(spec)))).toEqual(optimizer);
    expect(checkOptimizer('optimizer', structuredClone(optimizer))).toEqual(optimizer);
  });

  it('a learning rate that is a function cannot be data', () => {
    expect(refusedOption(() => specOf(adam({ learningRate: () => 0.1 })))).toBe('adam.learningRate');
  });

  it("the user's code cannot be data", () => {
    const mine = { name: 'mine', slots: [], apply: () => undefined };
    expect(refusedOption(() => specOf(mine))).toBe('optimizer');
    expect(refusedOption(() => optimizerFromSpec(mine))).toBe('optimizer');
  });

  it.each([null, 1, 'adam', {}, { name: 'lion' }, [], { name: 'adam', lr: 1 }, { name: 'adam', beta1: 2 }])(
    'no optimizer comes from %j',
    (spec) => {
      expect(() => optimizerFromSpec(spec)).toThrow(expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' }));
    },
  );
});

describe('checkOptimizer', () => {
  const apply = (): void => undefined;

  it.each([
    [{ name: '', slots: [], apply }, 'optimizer.name'],
    [{ name: 'adam', slots: [], apply }, 'optimizer.name'],
    [{ slots: [], apply }, 'optimizer.name'],
    [{ name: 'mine', slots: [], apply: 1 }, 'optimizer.apply'],
    [{ name: 'mine', slots: 'v', apply }, 'optimizer.slots'],
    [{ name: 'mine', slots: ['v', 'v'], apply }, 'optimizer.slots'],
    [{ name: 'mine', slots: [''], apply }, 'optimizer.slots'],
    [{ name: 'mine', apply }, 'optimizer.slots'],
    [{ name: 'mine', slots: [], apply, learningRate: -1 }, 'optimizer.learningRate'],
    ['adam', 'optimizer'],
    [null, 'optimizer'],
    [adam, 'optimizer'],
    [{}, 'optimizer'],
  ])('refuses %j', (given, option) => {
    expect(refusedOption(() => checkOptimizer('optimizer', given))).toBe(option);
  });

  it('names the optimizers that there are', () => {
    expect(() => checkOptimizer('optimizer', 'lion')).toThrow(/adam\(\).*\{ name, slots, apply \}/);
  });

  it("returns the user's optimizer itself, so that its apply keeps its this", () => {
    const mine: Optimizer = { name: 'mine', slots: ['v'], apply };
    expect(checkOptimizer('optimizer', mine)).toBe(mine);
    expect(isUserOptimizer(mine)).toBe(true);
    expect(isUserOptimizer(adam())).toBe(false);
  });
});

describe('withLearningRate', () => {
  it('changes nothing else, and not the original', () => {
    const before = adam({ beta1: 0.5 });
    expect(withLearningRate(before, 0.5)).toEqual({ ...before, learningRate: 0.5 });
    expect(before.learningRate).toBe(0.001);
    expect(refusedOption(() => withLearningRate(before, -1))).toBe('learningRate');
  });

  it("works for an optimizer of the user's class", () => {
    class Mine {
      readonly name = 'mine';
      readonly slots = [];
      readonly #factor = 2;
      apply(
        parameter: Float32Array,
        gradient: Float32Array,
        _: unknown,
        info: { learningRate: number },
      ): void {
        for (let i = 0; i < parameter.length; i++) {
          parameter[i] =
            (parameter[i] as number) - this.#factor * info.learningRate * (gradient[i] as number);
        }
      }
    }
    expect(learningRateOf(new Mine())).toBe(0.01);
    const changed = withLearningRate(new Mine(), 0.5);
    expect(learningRateOf(changed)).toBe(0.5);
    const parameter = Float32Array.of(1);
    (changed as Mine).apply(parameter, Float32Array.of(1), [], { learningRate: 0.5 });
    expect(parameter[0]).toBe(0);
    expect(updateRuleOf(changed).name).toBe('mine');
  });
});
