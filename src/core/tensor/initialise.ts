/**
 * First values of the parameters: by a named rule, by the user's function of the index, or given. A random
 * value depends on the seed, the tensor's name and the element's index only, so that any part of any tensor
 * can be made alone: on the shard that holds it, or in slices.
 */
import { invalidArgument } from '../base/errors.js';
import { Random } from '../base/random.js';
import { lengthOfShape } from './tensor.js';

/** The named rules. Fans as `fansOf` counts them. */
export const INITIALISERS = ['zeros', 'ones', 'normal', 'uniform', 'glorotUniform', 'heNormal'] as const;

/**
 * A rule for first values:
 * - `'zeros'`, `'ones'`;
 * - `'normal'`: mean 0, standard deviation 0.05; `'uniform'`: from [−0.05, 0.05] (both as in Keras);
 * - `'glorotUniform'`: from ±√(6 / (fanIn + fanOut)) (Glorot & Bengio 2010, eq. 16);
 * - `'heNormal'`: standard deviation √(2 / fanIn), not truncated (He et al. 2015, eq. 10);
 * - a function of the element's index in row-major order, which gives a finite number.
 */
export type Initialiser = (typeof INITIALISERS)[number] | ((index: number) => number);

/** Where a tensor's first values come from: at most one of the two; neither is `'zeros'`. */
export interface InitialValues {
  readonly init?: Initialiser | undefined;
  /** The values themselves, of the tensor's length, finite; they are copied. */
  readonly data?: Float32Array | undefined;
}

/** What `initialise` needs to know of a tensor. */
export interface TensorStart extends InitialValues {
  readonly name: string;
  readonly shape: readonly number[];
}

/** Standard deviation of 'normal', bound of 'uniform'. */
const DEFAULT_SCALE = 0.05;
/** Elements that share a random stream: large enough that starting one costs little beside filling it. */
const BLOCK = 1024;

/** Throws `PS_INVALID_ARGUMENT` unless `tensor`'s `init` or `data` can be used. O(1), or O(length) with `data`. */
export function checkInitialValues(tensor: TensorStart): void {
  const { name, shape, init, data } = tensor;
  if (init !== undefined && data !== undefined) {
    throw invalidArgument(`parameters.${name}`, tensor, 'given init or data, not both');
  }
  if (init !== undefined && typeof init !== 'function' && !INITIALISERS.includes(init)) {
    throw invalidArgument(`parameters.${name}.init`, init, `a function or one of ${INITIALISERS.join(', ')}`);
  }
  if (data === undefined) return;
  const length = lengthOfShape(shape);
  if (!(data instanceof Float32Array) || data.length !== length) {
    throw invalidArgument(
      `parameters.${name}.data`,
      data,
      `a Float32Array of ${length} for shape [${shape.join(', ')}]`,
    );
  }
  const wrong = data.findIndex((value) => !Number.isFinite(value));
  if (wrong >= 0) throw invalidArgument(`parameters.${name}.data[${wrong}]`, data[wrong], 'finite');
}

/**
 * Writes the first values of the elements [begin, begin + target.length) of `tensor` into `target`.
 * Throws `PS_INVALID_ARGUMENT` that names `parameters.<name>` as `checkInitialValues` does, and
 * when the user's function gives anything but a finite float32. O(length).
 */
export function initialise(target: Float32Array, tensor: TensorStart, seed: number, begin = 0): void {
  checkInitialValues(tensor);
  const { name, shape, init = 'zeros', data } = tensor;
  if (data !== undefined) {
    target.set(data.subarray(begin, begin + target.length));
    return;
  }
  if (typeof init === 'function') {
    fillByFunction(target, name, init, begin);
    return;
  }
  const { fanIn, fanOut } = fansOf(shape);
  const random = new Random(seed).fork('init').fork(name);
  switch (init) {
    case 'zeros':
      target.fill(0);
      return;
    case 'ones':
      target.fill(1);
      return;
    case 'normal':
      fillNormal(target, random, DEFAULT_SCALE, begin);
      return;
    case 'uniform':
      fillUniform(target, random, DEFAULT_SCALE, begin);
      return;
    case 'glorotUniform':
      fillUniform(target, random, Math.sqrt(6 / (fanIn + fanOut)), begin);
      return;
    case 'heNormal':
      fillNormal(target, random, Math.sqrt(2 / fanIn), begin);
      return;
  }
}

/**
 * How many inputs an output of the tensor depends on, and how many outputs an input reaches. The last two
 * dimensions are in and out, those before them a receptive field ([in, out]; [height, width, in, out]);
 * a vector of n counts n and n, a scalar 1 and 1.
 */
export function fansOf(shape: readonly number[]): { fanIn: number; fanOut: number } {
  if (shape.length < 2) {
    const only = shape[0] ?? 1;
    return { fanIn: only, fanOut: only };
  }
  const field = lengthOfShape(shape.slice(0, -2));
  return { fanIn: field * (shape.at(-2) as number), fanOut: field * (shape.at(-1) as number) };
}

function fillByFunction(
  target: Float32Array,
  name: string,
  init: (index: number) => number,
  begin: number,
): void {
  for (let i = 0; i < target.length; i++) {
    const value: unknown = init(begin + i);
    if (typeof value !== 'number' || !Number.isFinite(Math.fround(value))) {
      throw invalidArgument(`parameters.${name}.init(${begin + i})`, value, 'a finite number');
    }
    target[i] = value;
  }
}

function fillUniform(target: Float32Array, random: Random, bound: number, begin: number): void {
  forEachDraw(target.length, random, begin, (stream, at) => {
    const value = bound * (2 * stream.nextFloat() - 1);
    if (at >= 0) target[at] = value;
  });
}

function fillNormal(target: Float32Array, random: Random, deviation: number, begin: number): void {
  forEachDraw(target.length, random, begin, (stream, at) => {
    const value = deviation * stream.nextNormal();
    if (at >= 0) target[at] = value;
  });
}

/** Calls `draw` for each element, in blocks with a stream each; before the first, `at` < 0: drawn in vain. */
function forEachDraw(
  length: number,
  random: Random,
  begin: number,
  draw: (stream: Random, at: number) => void,
): void {
  const end = begin + length;
  for (let block = Math.floor(begin / BLOCK); block * BLOCK < end; block++) {
    const stream = random.fork(block);
    const last = Math.min(end, (block + 1) * BLOCK);
    for (let i = block * BLOCK; i < last; i++) draw(stream, i - begin);
  }
}
