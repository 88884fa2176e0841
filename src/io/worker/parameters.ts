/** Parameters by name, as callers see them, and by position, as the core does. */
import { describe, invalidArgument, PsError } from '../../core/base/errors.js';
import type { Catalogue, CatalogueEntry } from '../../core/tensor/catalogue.js';
import type { Tensor } from '../../core/tensor/tensor.js';
import { isFloat32Array, type RowGradients } from '../../core/worker/gradients.js';

/** The tensors of a model described by `P` (any record with its names as keys; those of sparse tables have a `dim`). */
export type TensorsOf<P> = {
  readonly [Name in keyof P & string as P[Name] extends { readonly dim: number } ? never : Name]: Tensor;
};

/** Gradients by name, of a sparse table as ids and values; one that is left out is none. */
export type GradientsOf<P> = {
  readonly [Name in keyof P & string]?: string extends keyof P
    ? Float32Array | RowGradients
    : P[Name] extends { readonly dim: number }
      ? RowGradients
      : Float32Array;
};

/** Arrays, or tensors, to put pulled parameters into, by name. */
export type DestinationsOf<P> = { readonly [Name in keyof P & string]?: Tensor | Float32Array };

/** What to pull: tensors in catalogue order, and what goes on the wire for them. */
export interface Selected {
  readonly entries: readonly CatalogueEntry[];
  /** Undefined: all. */
  readonly tensors: readonly number[] | undefined;
}

/** The tensors called `names`, or all. Throws `PS_UNKNOWN_TENSOR`, `PS_INVALID_ARGUMENT`. */
export function selectNames(catalogue: Catalogue, names: readonly string[] | undefined): Selected {
  if (names === undefined) return { entries: catalogue.entries, tensors: undefined };
  if (!Array.isArray(names)) throw invalidArgument('names', names, 'an array of names');
  const chosen = new Set<CatalogueEntry>();
  for (const name of names as unknown[]) {
    if (typeof name !== 'string') throw invalidArgument('names', name, 'names of tensors');
    chosen.add(catalogue.get(name));
  }
  if (chosen.size === catalogue.entries.length) return { entries: catalogue.entries, tensors: undefined };
  const entries = [...chosen].sort((a, b) => a.index - b.index);
  return { entries, tensors: entries.map((entry) => entry.index) };
}

/**
 * The arrays of `into` for `entries`; undefined where there is none. Throws `PS_UNKNOWN_TENSOR`,
 * `PS_WRONG_LENGTH`, `PS_INVALID_ARGUMENT`.
 */
export function destinationsOf(
  catalogue: Catalogue,
  entries: readonly CatalogueEntry[],
  into: Readonly<Record<string, unknown>> | undefined,
): readonly (Float32Array | undefined)[] | undefined {
  if (into === undefined) return undefined;
  if (into === null || typeof into !== 'object') throw invalidArgument('into', into, 'an object by name');
  const arrays = new Map<CatalogueEntry, Float32Array>();
  for (const name of Object.keys(into)) {
    const given = into[name];
    if (given === undefined) continue;
    const entry = catalogue.get(name);
    arrays.set(entry, destinationOf(entry, given));
  }
  return entries.map((entry) => arrays.get(entry));
}

function destinationOf(entry: CatalogueEntry, given: unknown): Float32Array {
  const data = given !== null && typeof given === 'object' && 'data' in given ? given.data : given;
  if (!isFloat32Array(data)) {
    throw invalidArgument(`into.${entry.name}`, given, 'a Float32Array, or a tensor');
  }
  if (data.length === entry.length) return data;
  const text = `into.${entry.name} has ${data.length} elements, the tensor ${entry.length}`;
  throw new PsError('PS_WRONG_LENGTH', text, { details: { tensor: entry.name } });
}

/** Tensors by name over `arrays`, which stand in the order of `entries`. */
export function tensorsOf<P>(
  entries: readonly CatalogueEntry[],
  arrays: readonly Float32Array[],
): TensorsOf<P> {
  const tensors: Record<string, Tensor> = {};
  for (const [i, { name, shape, dtype }] of entries.entries()) {
    const data = arrays[i];
    if (data === undefined) throw new PsError('PS_INTERNAL', `no array for ${describe(name)}`);
    tensors[name] = { shape, dtype, data };
  }
  return tensors as TensorsOf<P>;
}
