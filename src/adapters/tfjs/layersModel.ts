/**
 * A TensorFlow.js layers model as a model of pslib: first values for the server, a gradient function for workers,
 * and the parameters back in the model. tfjs is the caller's copy. The optimizer runs on the server, so nothing of
 * the model's own training (`compile`, `fit`) is used.
 */
import {
  type LayersModel,
  mean,
  type Scalar,
  type Tensor as TfTensor,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs';
import { invalidArgument } from '../../core/base/errors.js';
import { adam } from '../../core/optim/adam.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import type { Tensor } from '../../core/tensor/tensor.js';
import type { GradientFunction, GradientResult } from '../../io/worker/training.js';
import { type BatchTensors, batchTensors, type LayersBatch } from './batch.js';
import { type LossFunction, type LossName, lossFunctionOf } from './losses.js';
import { optimizerOf } from './optimizers.js';
import { assignWeights, type TensorsByName, type Weight, weightsOf } from './weights.js';

/** How a layers model is trained. */
export interface LayersModelOptions {
  /**
   * What is minimised: a name, or a function of targets and outputs, such as `tf.losses.softmaxCrossEntropy`. For a
   * model with several outputs a list of them; the sum is minimised.
   */
  readonly loss: LossName | LossFunction | readonly (LossName | LossFunction)[];
  /** pslib's, or one of `tf.train`, which is translated. It runs on the server. Default `adam()`. */
  readonly optimizer?: Optimizer | { getClassName(): string; getConfig(): object };
}

/** A layers model as pslib sees it. */
export interface LayersTraining {
  /** For `new ParameterServer({ parameters })`: the shapes and present values of all weights, by their places. */
  readonly parameters: ParameterSpecs;
  /** For the server too. */
  readonly optimizer: Optimizer;
  /**
   * For `worker.run`: puts the parameters into the model, and returns the gradients of the trainable weights, the
   * metric `loss` and the number of examples. Keeps no tensors. Throws `PS_MODEL_MISMATCH` if the server's model is
   * another, `PS_INVALID_ARGUMENT` for what is no batch of this one.
   */
  readonly gradientFn: GradientFunction<Record<string, Tensor>, LayersBatch>;
  /** Puts a snapshot, or what was pulled, into the model. Throws `PS_MODEL_MISMATCH` if it does not fit. */
  load(snapshot: { readonly tensors: TensorsByName }): void;
  /** The model's weights as they are now, for `server.load`. */
  snapshot(): { readonly tensors: Record<string, Tensor> };
}

/** Makes a layers model trainable by pslib. Throws `PS_INVALID_ARGUMENT` for a wrong model or option. */
export function fromLayersModel(model: LayersModel, options: LayersModelOptions): LayersTraining {
  if (typeof model?.apply !== 'function' || !Array.isArray(model.layers)) {
    throw invalidArgument('model', model, 'a LayersModel of TensorFlow.js');
  }
  const { loss, optimizer = adam() } = options ?? {};
  const losses = (Array.isArray(loss) ? loss : model.outputs.map(() => loss)).map(lossFunctionOf);
  if (losses.length !== model.outputs.length) {
    throw invalidArgument('loss', loss, `${model.outputs.length} losses, one for each output`);
  }
  const weights = weightsOf(model);
  return {
    get parameters() {
      return specsOf(weights);
    },
    optimizer: optimizerOf(optimizer as Optimizer),
    gradientFn: (parameters, batch) => {
      assignWeights(weights, parameters);
      return gradientsOf(model, weights, losses, batch);
    },
    load: ({ tensors }) => assignWeights(weights, tensors),
    snapshot: () => ({ tensors: tensorsOf(weights) }),
  };
}

/** The gradients at the model's present weights. */
async function gradientsOf(
  model: LayersModel,
  weights: readonly Weight[],
  losses: readonly LossFunction[],
  batch: LayersBatch,
): Promise<GradientResult<Record<string, Tensor>>> {
  const tensors = batchTensors(model, batch);
  const trained = weights.filter(({ trainable }) => trainable);
  const variables = trained.map(({ variable }) => variable);
  try {
    const { value, grads } = variableGrads(() => lossOf(model, losses, tensors), variables);
    const [loss, ...values] = await readAll([value, ...variables.map(({ name }) => grads[name])]);
    const gradients: Record<string, Float32Array> = {};
    trained.forEach(({ name }, i) => {
      // A weight that the loss does not depend on has no gradient.
      const gradient = values[i];
      if (gradient !== undefined) gradients[name] = gradient;
    });
    return { gradients, metrics: { loss: loss?.[0] ?? Number.NaN }, examples: tensors.examples };
  } finally {
    for (const each of tensors.own) each.dispose();
  }
}

/** What is minimised: the losses of all outputs, and what the layers' regularizers add. */
function lossOf(model: LayersModel, losses: readonly LossFunction[], { xs, ys }: BatchTensors): Scalar {
  const outputs = model.apply([...xs], { training: true }) as TfTensor | TfTensor[];
  const list = Array.isArray(outputs) ? outputs : [outputs];
  const terms = losses.map((loss, i) => mean(loss(ys[i] as TfTensor, list[i] as TfTensor)));
  for (const penalty of model.calculateLosses()) terms.push(mean(penalty));
  return terms.reduce((sum, term) => sum.add(term)) as Scalar;
}

/** The numbers of `tensors`, which are disposed of, whether or not they can be read. */
async function readAll(tensors: readonly (TfTensor | undefined)[]): Promise<(Float32Array | undefined)[]> {
  try {
    return (await Promise.all(tensors.map((each) => each?.data()))) as (Float32Array | undefined)[];
  } finally {
    for (const each of tensors) each?.dispose();
  }
}

function specsOf(weights: readonly Weight[]): ParameterSpecs {
  const specs = weights.map(({ name, shape, trainable, variable }) => {
    return [name, { shape, trainable, data: valuesOf(variable) }] as const;
  });
  return Object.fromEntries(specs);
}

function tensorsOf(weights: readonly Weight[]): Record<string, Tensor> {
  const tensors = weights.map(({ name, shape, variable }) => {
    return [name, { shape, dtype: 'float32', data: valuesOf(variable) }] as const;
  });
  return Object.fromEntries(tensors);
}

/** A copy of a variable's values. */
function valuesOf(variable: Variable): Float32Array {
  return (variable.dataSync() as Float32Array).slice();
}
