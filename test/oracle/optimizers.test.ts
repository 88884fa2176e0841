/**
 * The optimizers against `optimizers.json`, which `optimizers.py` makes in decimal arithmetic of 60 digits from
 * the papers' formulas: 24 updates, gradients of sizes from 1e-6 to 100, constant, rising and falling rates.
 *
 * Tolerance: float32 rounds each update to 2^-24 of the parameter and of what moves it. Over 24 updates we allow
 * 6e-7 of the largest value the parameter has had and 2e-6 of the distance it has gone (for FTRL, whose
 * parameters are differences of z and l1, also 6e-7 of what l1 alone would make); 1e-6 of the
 * largest value of a slot, for mean squares 1.5e-5, since a β of 0.999 in float32 makes 1 − β 1.3e-5 smaller.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { referenceKernels } from '../../src/core/kernels/reference.js';
import { optimizerFromSpec, updateRuleOf } from '../../src/core/optim/updateRule.js';

interface Case {
  optimizer: string;
  options: Record<string, number>;
  learningRates: number[];
  start: number[];
  gradients: number[][];
  parameters: Record<string, number[]>;
  slots: (number[] | null)[];
}

const OF_VALUE = 6e-7;
const OF_WAY = 2e-6;
const OF_SLOT = 1e-6;
const OF_MEAN_SQUARE = 1.5e-5;

const cases = JSON.parse(readFileSync(new URL('optimizers.json', import.meta.url), 'utf8')) as Case[];

/** Runs all updates; returns the parameters after each, and the slots. */
function run({ optimizer, options, learningRates, start, gradients }: Case) {
  const rule = updateRuleOf(optimizerFromSpec({ name: optimizer, ...options }));
  const parameter = Float32Array.from(start);
  const slots = rule.slotStart.map((value) => new Float32Array(start.length).fill(value));
  const scalars = rule.newScalars();
  const history = [[...parameter]];
  const largestSlots = slots.map((slot) => [...slot]);
  gradients.forEach((row, step) => {
    const learningRate = learningRates[step] as number;
    const gradient = Float32Array.from(row);
    rule.advance(scalars, learningRate);
    rule.update({
      kernels: referenceKernels,
      out: parameter,
      parameter,
      gradient,
      slots,
      scalars,
      learningRate,
    });
    history.push([...parameter]);
    slots.forEach((slot, k) => {
      const largest = largestSlots[k] as number[];
      slot.forEach((value, i) => {
        largest[i] = Math.max(largest[i] as number, Math.abs(value));
      });
    });
  });
  return { history, slots, largestSlots };
}

describe.each(cases.map((each) => ({ ...each, title: `${each.optimizer} ${JSON.stringify(each.options)}` })))(
  '$title, first rate $learningRates.0',
  (each) => {
    const { history, slots, largestSlots } = run(each);
    const { l1 = 0, beta = 1 } = each.options;
    const ofThreshold = each.optimizer === 'ftrl' ? (l1 * Math.max(...each.learningRates)) / beta : 0;

    it.each(Object.keys(each.parameters).map(Number))(
      'has the parameters of the table after %i updates',
      (step) => {
        const exact = each.parameters[step] as number[];
        exact.forEach((value, i) => {
          const path = history.slice(0, step + 1).map((row) => row[i] as number);
          const largest = Math.max(...path.map(Math.abs));
          const way = path.slice(1).reduce((sum, at, t) => sum + Math.abs(at - (path[t] as number)), 0);
          const error = Math.abs((path.at(-1) as number) - value);
          expect(error, `element ${i}`).toBeLessThanOrEqual(
            OF_VALUE * (largest + ofThreshold) + OF_WAY * way,
          );
        });
      },
    );

    it('has the slots of the table at the end', () => {
      each.slots.forEach((exact, i) => {
        exact?.forEach((value, slot) => {
          const ours = (slots[slot] as Float32Array)[i] as number;
          const largest = (largestSlots[slot] as number[])[i] as number;
          const allowed = 'beta2' in each.options && slot === 1 ? OF_MEAN_SQUARE : OF_SLOT;
          expect(Math.abs(ours - value), `element ${i}, slot ${slot}`).toBeLessThanOrEqual(allowed * largest);
        });
      });
    });
  },
);

it('tries every built-in optimizer', () => {
  const names = ['sgd', 'momentum', 'nesterov', 'adagrad', 'rmsprop', 'adam', 'adamw', 'ftrl'];
  expect(new Set(cases.map((each) => each.optimizer))).toEqual(new Set(names));
});
