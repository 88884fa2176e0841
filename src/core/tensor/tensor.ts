/**
 * The plain tensor of pslib: a shape and a flat Float32Array in row-major order. There is no
 * tensor library behind it; any library's arrays can be viewed as this and back.
 */

/** Element type; float32 is the only one that is stored. */
export type Dtype = 'float32';

/** A named value of the model, as `pull` returns it. */
export interface Tensor {
  /** Sizes of the dimensions, outermost first; [] is a scalar. */
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  /** The elements in row-major order; length is the product of `shape`. */
  readonly data: Float32Array;
}

/** The number of elements of a shape: the product of its sizes, 1 for a scalar. */
export function lengthOfShape(shape: readonly number[]): number {
  let length = 1;
  for (const size of shape) length *= size;
  return length;
}
