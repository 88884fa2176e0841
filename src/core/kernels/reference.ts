/**
 * The reference implementation of the kernels, in plain JavaScript: what the bits of every other
 * implementation are compared with, and what runs where there is no WASM SIMD.
 *
 * A float32 operation is the float64 one, rounded: for + − × ÷ √ of float32 values the two roundings
 * always give what one would (Figueroa 1995), since 53 ≥ 2 · 24 + 2.
 */
import type { Kernels } from './kernels.js';
import { referenceAdam } from './referenceAdam.js';
import { referenceDescent } from './referenceDescent.js';
import { referenceFtrl } from './referenceFtrl.js';
import { referenceHalfFloats } from './referenceHalfFloats.js';
import { referenceRows } from './referenceRows.js';
import { referenceSumSquares } from './referenceSumSquares.js';
import { referenceVector } from './referenceVector.js';

/** The kernels in plain JavaScript. */
export const referenceKernels: Kernels = Object.freeze({
  name: 'javascript',
  ...referenceVector,
  ...referenceRows,
  ...referenceHalfFloats,
  sumSquares: referenceSumSquares,
  ...referenceDescent,
  adam: referenceAdam,
  ftrl: referenceFtrl,
});
