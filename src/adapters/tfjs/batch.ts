/** A batch of a layers model: tensors of the caller's, or flat arrays, which become tensors for one step. */
import { type LayersModel, type SymbolicTensor, Tensor, type TypedArray, tensor } from '@tensorflow/tfjs';
import { invalidArgument } from '../../core/base/errors.js';

/** Examples or targets: a tensor, or their numbers in one flat array. */
export type Examples = Tensor | TypedArray;

/**
 * A batch, as tf.data has it: inputs `xs` and targets `ys`, several of them for a model with several. Tensors stay
 * the caller's, who disposes of them. A flat array is cut into examples of the shape that the model says; one with a
 * number for each example, such as labels, is one-dimensional.
 */
export interface LayersBatch {
  readonly xs: Examples | readonly Examples[];
  readonly ys: Examples | readonly Examples[];
}

/** A batch as tensors. */
export interface BatchTensors {
  readonly xs: readonly Tensor[];
  readonly ys: readonly Tensor[];
  readonly examples: number;
  /** Those that were made here. */
  readonly own: readonly Tensor[];
}

/** The tensors of `batch`. Throws `PS_INVALID_ARGUMENT` for what is no batch of `model`, and keeps no tensor then. */
export function batchTensors(model: LayersModel, batch: LayersBatch): BatchTensors {
  const own: Tensor[] = [];
  try {
    const xs = tensorsOf('xs', batch?.xs, model.inputs, undefined, own);
    const examples = xs[0]?.shape[0] ?? 0;
    return { xs, ys: tensorsOf('ys', batch?.ys, model.outputs, examples, own), examples, own };
  } catch (error) {
    for (const each of own) each.dispose();
    throw error;
  }
}

/** The tensors for `ends` of the model; those that are made are put into `own`. `examples`: how many there must be. */
function tensorsOf(
  part: 'xs' | 'ys',
  given: LayersBatch['xs'],
  ends: readonly SymbolicTensor[],
  examples: number | undefined,
  own: Tensor[],
): Tensor[] {
  const list = listOf(given);
  if (list.length !== ends.length) {
    throw invalidArgument(`batch.${part}`, given, `${ends.length} of a tensor or a typed array`);
  }
  return list.map((each, i) => {
    if (each instanceof Tensor) return each;
    const made = tensorOf(part, each, ends[i]?.shape.slice(1) ?? [], examples);
    own.push(made);
    return made;
  });
}

function tensorOf(
  part: string,
  given: TypedArray | undefined,
  shape: readonly (number | null)[],
  examples: number | undefined,
): Tensor {
  if (!ArrayBuffer.isView(given)) throw invalidArgument(`batch.${part}`, given, 'a tensor or a typed array');
  if (given.length === examples) return tensor(given, [given.length]);
  const size = shape.reduce<number>((product, each) => product * (each ?? 1), 1);
  if (given.length % size !== 0 || (examples !== undefined && given.length !== examples * size)) {
    throw invalidArgument(
      `batch.${part}`,
      `${given.length} numbers`,
      `a multiple of ${size}, one example each`,
    );
  }
  return tensor(given, [given.length / size, ...shape.map((each) => each ?? 1)]);
}

function listOf<T>(given: T | readonly T[]): readonly T[] {
  return Array.isArray(given) ? given : [given as T];
}
