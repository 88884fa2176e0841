/**
 * The kernels of the optimizers with at most one slot, in plain JavaScript, by the formulas in
 * `kernels.ts`. Every operation on float32 values is rounded at once, by `fround` or by a store.
 */
import { type Kernels, SMALLEST_NORMAL } from './kernels.js';

const { fround } = Math;

/** Kernels of SGD, momentum, Nesterov, Adagrad and RMSProp. */
export const referenceDescent: Pick<Kernels, 'sgd' | 'momentum' | 'nesterov' | 'adagrad' | 'rmsprop'> = {
  sgd(out, parameter, gradient, learningRate) {
    const rate = fround(learningRate);
    const length = out.length;
    for (let i = 0; i < length; i++) {
      out[i] = (parameter[i] as number) - fround(rate * (gradient[i] as number));
    }
  },

  momentum(out, parameter, gradient, velocity, learningRate, momentum) {
    const rate = fround(learningRate);
    const mu = fround(momentum);
    const length = out.length;
    for (let i = 0; i < length; i++) {
      let v = fround(fround(mu * (velocity[i] as number)) - fround(rate * (gradient[i] as number)));
      if (Math.abs(v) < SMALLEST_NORMAL) v = 0;
      velocity[i] = v;
      out[i] = (parameter[i] as number) + v;
    }
  },

  nesterov(out, parameter, gradient, velocity, learningRate, momentum) {
    const rate = fround(learningRate);
    const mu = fround(momentum);
    const length = out.length;
    for (let i = 0; i < length; i++) {
      const s = fround(rate * (gradient[i] as number));
      let v = fround(fround(mu * (velocity[i] as number)) - s);
      if (Math.abs(v) < SMALLEST_NORMAL) v = 0;
      velocity[i] = v;
      out[i] = (parameter[i] as number) + fround(fround(mu * v) - s);
    }
  },

  adagrad(out, parameter, gradient, accumulator, learningRate, epsilon) {
    const rate = fround(learningRate);
    const eps = fround(epsilon);
    const length = out.length;
    for (let i = 0; i < length; i++) {
      const g = gradient[i] as number;
      const a = fround((accumulator[i] as number) + fround(g * g));
      accumulator[i] = a;
      const root = fround(Math.sqrt(a));
      out[i] = (parameter[i] as number) - fround(fround(rate * g) / fround(root + eps));
    }
  },

  rmsprop(out, parameter, gradient, meanSquare, learningRate, rho, epsilon) {
    const rate = fround(learningRate);
    const kept = fround(rho);
    const taken = fround(1 - kept);
    const eps = fround(epsilon);
    const length = out.length;
    for (let i = 0; i < length; i++) {
      const g = gradient[i] as number;
      let a = fround(fround(kept * (meanSquare[i] as number)) + fround(taken * fround(g * g)));
      if (a < SMALLEST_NORMAL) a = 0;
      meanSquare[i] = a;
      const root = fround(Math.sqrt(a));
      out[i] = (parameter[i] as number) - fround(fround(rate * g) / fround(root + eps));
    }
  },
};
