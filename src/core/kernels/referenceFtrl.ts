/**
 * The kernel of FTRL-Proximal in plain JavaScript, by the formula in `kernels.ts`. Every operation on
 * float32 values is rounded at once, by `fround` or by a store.
 */
import type { Kernels } from './kernels.js';

const { fround } = Math;

/** See `Kernels.ftrl`. */
export const referenceFtrl: Kernels['ftrl'] = (out, parameter, gradient, zs, ns, scalars) => {
  const inverseRate = fround(scalars.inverseRate);
  const change = fround(scalars.inverseRateChange);
  const beta = fround(scalars.beta);
  const l1 = fround(scalars.l1);
  const l2 = fround(scalars.l2);
  const firstWeight = fround(fround(beta * inverseRate) + l2);
  const length = out.length;
  for (let i = 0; i < length; i++) {
    const p = parameter[i] as number;
    const g = gradient[i] as number;
    const nBefore = ns[i] as number;
    const n = fround(nBefore + fround(g * g));
    const rootBefore = fround(Math.sqrt(nBefore));
    const root = fround(Math.sqrt(n));
    const start =
      rootBefore === 0
        ? fround(0 - fround(fround(p * firstWeight) + signed(p, l1)))
        : fround((zs[i] as number) - fround(fround(fround(beta + rootBefore) * change) * p));
    const sigma = fround(fround(root - rootBefore) * inverseRate);
    const z = fround(fround(start + g) - fround(sigma * p));
    ns[i] = n;
    zs[i] = z;
    if (root === 0) out[i] = p;
    else if (Math.abs(z) <= l1) out[i] = 0;
    else out[i] = fround(signed(z, l1) - z) / fround(fround(fround(beta + root) * inverseRate) + l2);
  }
};

/** sgn(x)·magnitude; +0 for 0. */
function signed(x: number, magnitude: number): number {
  if (x > 0) return magnitude;
  return x < 0 ? -magnitude : 0;
}
