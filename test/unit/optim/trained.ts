/**
 * One tensor that is trained in place by a rule: what the server does for each tensor, for tests of optimizers.
 */
import { referenceKernels as kernels } from '../../../src/core/kernels/reference.js';
import type { ScalarState, UpdateRule } from '../../../src/core/optim/optimizer.js';

/** One tensor under a rule. */
export class Trained {
  readonly rule: UpdateRule;
  parameter: Float32Array;
  readonly slots: Float32Array[];
  scalars: ScalarState;

  constructor(rule: UpdateRule, start: readonly number[]) {
    this.rule = rule;
    this.parameter = Float32Array.from(start);
    this.slots = rule.slotStart.map((value) => new Float32Array(start.length).fill(value));
    this.scalars = rule.newScalars();
  }

  update(gradient: readonly number[], learningRate: number): this {
    const { rule, parameter, slots, scalars } = this;
    rule.advance(scalars, learningRate);
    rule.update({
      kernels,
      out: parameter,
      parameter,
      gradient: Float32Array.from(gradient),
      slots,
      scalars,
      learningRate,
    });
    return this;
  }
}
