/**
 * The model as its owner describes it (`parameters` of a server) → catalogue, first values and
 * optimizers. Everything is checked here, with the name of the parameter that is wrong.
 */
import { invalidArgument, PsError } from '../base/errors.js';
import type { Optimizer } from '../optim/optimizer.js';
import { checkOptimizer } from '../optim/updateRule.js';
import { keyRangeOf, type Shard, WHOLE } from '../partition/keyRange.js';
import { MAX_TENSORS } from '../protocol/limits.js';
import { Catalogue, type TensorSpec } from '../tensor/catalogue.js';
import { checkInitialValues, type Initialiser, initialise } from '../tensor/initialise.js';
import { type Dtype, lengthOfShape } from '../tensor/tensor.js';

/** One parameter as its owner describes it. */
export interface ParameterSpec {
  /** Sizes of the dimensions, outermost first; [] is a scalar. Sizes are integers from 0. */
  readonly shape: readonly number[];
  /** Default, and only choice, `'float32'`. */
  readonly dtype?: Dtype;
  /** How the first values are made, from the server's `seed`. Default `'zeros'`. Not with `data`. */
  readonly init?: Initialiser;
  /** The first values; copied. Not with `init`. */
  readonly data?: Float32Array;
  /** Its own optimizer; default the server's. */
  readonly optimizer?: Optimizer;
  /** False: it is pulled but never pushed. Default true. */
  readonly trainable?: boolean;
}

/** A model's parameters, by name. */
export type ParameterSpecs = Readonly<Record<string, ParameterSpec>>;

/** A checked model, or a shard's part of it, before its memory is made. */
export interface Model {
  /** Of the whole model. */
  readonly whole: Catalogue;
  /** Of what this shard holds. */
  readonly catalogue: Catalogue;
  readonly ownOptimizers: ReadonlyMap<string, Optimizer>;
  /** Fills `values` (what is held, flat) with the first values. */
  initialise(values: Float32Array): void;
}

const KEYS = ['shape', 'dtype', 'init', 'data', 'optimizer', 'trainable'];
/** Names that objects of JavaScript, or checkpoint files, have another use for. */
const RESERVED_NAMES = new Set(['__proto__', '__metadata__']);
/** Longest name of a tensor. */
const MAX_NAME_LENGTH = 256;

/**
 * Checks `parameters`. Throws `PS_INVALID_ARGUMENT` that names the option. All shards of a model get the values
 * that one server would have.
 */
export function modelOf(parameters: unknown, seed: number, shard: Shard = WHOLE, mayBeEmpty = false): Model {
  if (parameters === null || typeof parameters !== 'object' || Array.isArray(parameters)) {
    throw invalidArgument('parameters', parameters, 'an object of { shape, … } by name');
  }
  const given = Object.entries(parameters as ParameterSpecs);
  if (given.length === 0 && !mayBeEmpty)
    throw invalidArgument('parameters', parameters, 'an object with at least one parameter');
  if (given.length > MAX_TENSORS) {
    throw new PsError('PS_LIMIT', `a model has at most ${MAX_TENSORS} tensors, this one has ${given.length}`);
  }
  const ownOptimizers = new Map<string, Optimizer>();
  const specs = given.map(([name, spec]) => {
    if (spec?.optimizer !== undefined) {
      ownOptimizers.set(name, checkOptimizer(`parameters.${name}.optimizer`, spec.optimizer));
    }
    return checkSpec(name, spec);
  });
  const whole = new Catalogue(specs);
  const catalogue = shard.count === 1 ? whole : whole.part(keyRangeOf(whole.length, shard));
  return {
    whole,
    catalogue,
    ownOptimizers,
    initialise(values) {
      for (const [name, { shape, init, data }] of given) {
        const { offset, length, start } = catalogue.get(name);
        initialise(values.subarray(offset, offset + length), { name, shape, init, data }, seed, start);
      }
    },
  };
}

function checkSpec(name: string, spec: ParameterSpec | undefined): TensorSpec {
  const option = `parameters.${name}`;
  if (name.length === 0 || name.length > MAX_NAME_LENGTH || RESERVED_NAMES.has(name)) {
    const reserved = [...RESERVED_NAMES].join(' or ');
    throw invalidArgument('parameters', name, `names of 1 to ${MAX_NAME_LENGTH} characters, not ${reserved}`);
  }
  if (spec === null || typeof spec !== 'object')
    throw invalidArgument(option, spec, 'an object { shape, … }');
  for (const key of Object.keys(spec)) {
    if (!KEYS.includes(key)) throw invalidArgument(`${option}.${key}`, key, `one of ${KEYS.join(', ')}`);
  }
  const { shape, dtype = 'float32', init, data, trainable = true } = spec;
  const isShape =
    Array.isArray(shape) &&
    shape.length <= 64 &&
    shape.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (!isShape || !Number.isSafeInteger(lengthOfShape(shape) * 4)) {
    throw invalidArgument(`${option}.shape`, shape, 'an array of integers from 0');
  }
  if (dtype !== 'float32') throw invalidArgument(`${option}.dtype`, dtype, "'float32'");
  if (typeof trainable !== 'boolean')
    throw invalidArgument(`${option}.trainable`, trainable, 'true or false');
  checkInitialValues({ name, shape, init, data });
  return { name, shape, dtype, trainable };
}
