/**
 * Gradient clipping: by the global norm (Pascanu et al. 2013, algorithm 1), then by value.
 *
 * The norm comes first: it is that of the push as it came, taken while it was checked (in a group, by the
 * worker, over all shards), and needs no pass of its own. Both bounds hold afterwards, since clipping values
 * only lowers a norm.
 */
import { invalidArgument } from '../base/errors.js';

/** How gradients are clipped; what is left out is off. */
export interface Clip {
  /** Each element is brought into [−value, value]; > 0. */
  readonly value?: number | undefined;
  /** A push whose norm over all its tensors is larger is scaled down to this norm; > 0. */
  readonly norm?: number | undefined;
}

/** Returns `clip` if it can be used; throws `PS_INVALID_ARGUMENT` that names `clip.value` or `clip.norm` otherwise. */
export function checkClip(clip: unknown): Clip {
  if (typeof clip !== 'object' || clip === null) throw invalidArgument('clip', clip, '{ value?, norm? }');
  for (const [key, bound] of Object.entries(clip)) {
    if (key !== 'value' && key !== 'norm') throw invalidArgument('clip option', key, 'one of value, norm');
    if (bound === undefined) continue;
    const rounded = typeof bound === 'number' ? Math.fround(bound) : Number.NaN;
    if (!(rounded > 0) || rounded === Infinity) {
      throw invalidArgument(`clip.${key}`, bound, 'a finite number > 0 in float32');
    }
  }
  return clip;
}

/**
 * The factor by which a push is scaled, min(1, maxNorm / ‖g‖): taken in float64 from the square of the norm,
 * rounded to float32. 1 if the norm is not finite: scaling would not make it so.
 */
export function clipFactor(normSquared: number, maxNorm: number): number {
  const norm = Math.sqrt(normSquared);
  return norm > maxNorm && Number.isFinite(norm) ? Math.fround(maxNorm / norm) : 1;
}
