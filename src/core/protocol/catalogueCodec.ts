/**
 * The payload of Welcome: the model's tensors in order, as a msgpack array of
 * `[name, shape, dtype, trainable]`. It has no natural bound, so it travels as payload, with the
 * bounds of `limits.ts` checked on both ends.
 */
import { PsError } from '../base/errors.js';
import { Catalogue, type TensorSpec } from '../tensor/catalogue.js';
import { lengthOfShape } from '../tensor/tensor.js';
import { MAX_TENSORS } from './limits.js';
import { MsgpackReader } from './msgpackReader.js';
import { MsgpackWriter } from './msgpackWriter.js';

const MAX_RANK = 64;
const MAX_NAME_LENGTH = 1024;
/** The list, a tensor in it, its shape. */
const DEPTH = 3;

/** The bytes of `catalogue`. */
export function encodeCatalogue(catalogue: Catalogue): Uint8Array {
  const specs = catalogue.entries.map((entry) => [entry.name, entry.shape, entry.dtype, entry.trainable]);
  return new MsgpackWriter(DEPTH).encode(specs);
}

/** The catalogue in `bytes`. Throws `PS_PROTOCOL` if it is not one. O(tensors). */
export function decodeCatalogue(bytes: Uint8Array): Catalogue {
  const bounds = { what: 'catalogue:', maxDepth: DEPTH, maxArray: MAX_TENSORS, maxMap: 0 };
  const value = new MsgpackReader(bytes, bounds).whole();
  if (!Array.isArray(value)) throw malformed('not a list');
  const names = new Set<string>();
  const specs = value.map((each, index) => {
    const spec = decodeSpec(each);
    if (spec === undefined) throw malformed(`tensor ${index}`);
    if (names.has(spec.name)) throw malformed(`tensor ${index} repeats a name`);
    names.add(spec.name);
    return spec;
  });
  return new Catalogue(specs);
}

function decodeSpec(value: unknown): TensorSpec | undefined {
  if (!Array.isArray(value)) return undefined;
  const [name, shape, dtype, trainable] = value as unknown[];
  if (typeof name !== 'string' || name.length === 0 || name.length > MAX_NAME_LENGTH) return undefined;
  if (!Array.isArray(shape) || shape.length > MAX_RANK) return undefined;
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) return undefined;
  if (!Number.isSafeInteger(lengthOfShape(shape as number[]))) return undefined;
  if (dtype !== 'float32' || typeof trainable !== 'boolean') return undefined;
  return { name, shape: shape as number[], dtype, trainable };
}

function malformed(what: string): PsError {
  return new PsError('PS_PROTOCOL', `malformed catalogue: ${what}`);
}
