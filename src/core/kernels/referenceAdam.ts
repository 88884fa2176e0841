/**
 * The kernel of Adam and AdamW in plain JavaScript, by the formula in `kernels.ts`. Every operation on
 * float32 values is rounded at once, by `fround` or by a store.
 */
import { type Kernels, SMALLEST_NORMAL } from './kernels.js';

const { fround } = Math;

/** See `Kernels.adam`. */
export const referenceAdam: Kernels['adam'] = (
  out,
  parameter,
  gradient,
  firstMoment,
  secondMoment,
  scalars,
) => {
  const beta1 = fround(scalars.beta1);
  const beta2 = fround(scalars.beta2);
  const taken1 = fround(1 - beta1);
  const taken2 = fround(1 - beta2);
  const stepSize = fround(scalars.stepSize);
  const correction = fround(scalars.rootCorrection);
  const epsilon = fround(scalars.epsilon);
  const decay = fround(scalars.decay);
  const length = out.length;
  for (let i = 0; i < length; i++) {
    const g = gradient[i] as number;
    let m = fround(fround(beta1 * (firstMoment[i] as number)) + fround(taken1 * g));
    let v = fround(fround(beta2 * (secondMoment[i] as number)) + fround(taken2 * fround(g * g)));
    if (Math.abs(m) < SMALLEST_NORMAL) m = 0;
    if (v < SMALLEST_NORMAL) v = 0;
    firstMoment[i] = m;
    secondMoment[i] = v;
    const root = fround(Math.sqrt(v));
    const move = fround(fround(stepSize * m) / fround(fround(root * correction) + epsilon));
    const p = parameter[i] as number;
    out[i] = p - (decay === 0 ? move : fround(fround(decay * p) + move));
  }
};
