/**
 * The weights of a layers model as pslib's parameters, and back. Names are those of the layers' places, such as
 * `0.dense/kernel`: tfjs numbers the layers of all models that a program makes, so its own names differ between a
 * server and its workers.
 */
import { type LayersModel, type Tensor as TfTensor, tensor, tidy, type Variable } from '@tensorflow/tfjs';
import { PsError } from '../../core/base/errors.js';
import type { Tensor } from '../../core/tensor/tensor.js';

/** One weight of a model. */
export interface Weight {
  /** Its name as a parameter. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly trainable: boolean;
  readonly variable: Variable;
}

/** Tensors by name, such as a pull's, a watch's or a snapshot's. */
export type TensorsByName = Readonly<Record<string, Pick<Tensor, 'shape' | 'data'>>>;

/** All weights of `model`, layer by layer. */
export function weightsOf(model: LayersModel): Weight[] {
  const weights: Weight[] = [];
  const taken = new Set<string>();
  model.layers.forEach((layer, i) => {
    for (const each of layer.weights) {
      const kind = layer.getClassName();
      const own = each.name.split('/').at(-1) ?? each.name;
      const base = `${i}.${kind.charAt(0).toLowerCase()}${kind.slice(1)}/${own}`;
      // A layer that holds layers has several weights of one name.
      let name = base;
      for (let n = 2; taken.has(name); n++) name = `${base}${n}`;
      taken.add(name);
      const shape = each.shape.map((size) => size ?? 1);
      weights.push({ name, shape, trainable: each.trainable, variable: each.read() as Variable });
    }
  });
  return weights;
}

/**
 * Puts `tensors` into the model's variables, as copies. Throws `PS_MODEL_MISMATCH`, and changes nothing, unless they
 * are exactly the model's, with its shapes.
 */
export function assignWeights(weights: readonly Weight[], tensors: TensorsByName): void {
  checkWeights(weights, tensors);
  tidy(() => {
    for (const { name, shape, variable } of weights) {
      // The CPU backend keeps the array it is given, and this one will be overwritten by the next pull.
      const data = (tensors[name] as Tensor).data.slice();
      variable.assign(tensor(data, [...shape]) as TfTensor);
    }
  });
}

function checkWeights(weights: readonly Weight[], tensors: TensorsByName): void {
  for (const { name, shape } of weights) {
    const given = tensors[name];
    if (given === undefined) {
      const names = Object.keys(tensors).slice(0, 8).join(', ');
      throw mismatch(name, `the model has "${name}", which is not among the server's parameters (${names})`);
    }
    if (given.shape.join() === shape.join()) continue;
    const [ours, theirs] = [shape, given.shape].map((sizes) => `[${sizes.join(', ')}]`);
    throw mismatch(name, `"${name}" has shape ${ours} in the model and ${theirs} on the server`);
  }
  const known = new Set(weights.map(({ name }) => name));
  const surplus = Object.keys(tensors).find((name) => !known.has(name));
  if (surplus !== undefined)
    throw mismatch(surplus, `the server has "${surplus}", which the model does not have`);
}

function mismatch(name: string, text: string): PsError {
  return new PsError('PS_MODEL_MISMATCH', text, { details: { tensor: name } });
}
