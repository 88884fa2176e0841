/**
 * What simulated workers train: the user's model with the user's gradient function, or a stand-in of a few
 * zeros that weighs on the network as much as the model it stands for.
 */
import { PsError } from '../../core/base/errors.js';
import type { Random } from '../../core/base/random.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import { sgd } from '../../core/optim/sgd.js';
import { checkOptimizer } from '../../core/optim/updateRule.js';
import { modelOf, type ParameterSpecs } from '../../core/table/model.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import { checkGradientResult, checkGradients } from '../../core/worker/gradients.js';
import { type TensorsOf, tensorsOf } from '../../io/worker/parameters.js';
import type { RowsOf } from '../../io/worker/rows.js';
import type { PushContent } from '../programs/trainingProgram.js';
import type { SimulatedPlace, SimulatedTraining } from './simulationOptions.js';

const STAND_IN_BYTES = 1_024;
const DEFAULT_MODEL_BYTES = 1_000_000;

/** A worker as its model sees it. */
export interface StepPlace {
  readonly worker: string;
  readonly index: number;
  readonly random: Random;
  readonly step: number;
  readonly clock: number;
}

/** The model of a simulation. */
export class SimulatedModel<P extends ParameterSpecs, B> {
  readonly parameters: ParameterSpecs;
  readonly optimizer: Optimizer;
  /** Bytes on the line for each byte of parameters. */
  readonly bytesFactor: number;
  readonly #training: SimulatedTraining<P, B> | undefined;
  readonly #catalogue: Catalogue;
  readonly #zeros: PushContent;
  readonly #signal = new AbortController().signal;

  /** Throws `PS_INVALID_ARGUMENT` if the user's model is none. */
  constructor(training: SimulatedTraining<P, B> | undefined, modelBytes: number | undefined, seed: number) {
    const wanted = modelBytes ?? DEFAULT_MODEL_BYTES;
    const length = Math.ceil(Math.min(wanted, STAND_IN_BYTES) / Float32Array.BYTES_PER_ELEMENT);
    this.parameters = training?.parameters ?? { standIn: { shape: [length] } };
    this.optimizer = checkOptimizer('training.optimizer', training?.optimizer ?? sgd());
    this.#training = training;
    this.#catalogue = modelOf(this.parameters, seed).catalogue;
    const bytes = this.#catalogue.length * Float32Array.BYTES_PER_ELEMENT;
    this.bytesFactor = training !== undefined && modelBytes === undefined ? 1 : wanted / bytes;
    this.#zeros = { tensors: undefined, values: [new Float32Array(length)] };
  }

  /** The push of one step, computed from `arrays`. Throws what the user's functions throw. */
  computes(arrays: readonly Float32Array[], { step, clock, ...place }: StepPlace): PushContent {
    const training = this.#training;
    if (training === undefined) return this.#zeros;
    const batch = training.batch?.(step, place as SimulatedPlace) as B;
    const context = { step, clock, signal: this.#signal };
    const result = training.gradient(this.tensors(arrays) as TensorsOf<P> & RowsOf<P>, batch, context);
    if (typeof (result as PromiseLike<unknown>).then === 'function') {
      throw new PsError('PS_GRADIENT_INVALID', 'a gradient function may not be asynchronous in a simulation');
    }
    return checkGradients(this.#catalogue, checkGradientResult(result).gradients);
  }

  /** Tensors by name over `arrays`, one for each. */
  tensors(arrays: readonly Float32Array[]): TensorsOf<P> {
    return tensorsOf<P>(this.#catalogue.entries, arrays);
  }

  /** Tensors by name over the whole model, flat. */
  tensorsIn(values: Float32Array): TensorsOf<P> {
    return this.tensors(
      this.#catalogue.entries.map(({ offset, length }) => values.subarray(offset, offset + length)),
    );
  }

  /** The user's loss at `values`; undefined if there is none. */
  lossAt(values: Float32Array): number | undefined {
    return this.#training?.loss?.(this.tensorsIn(values));
  }
}
