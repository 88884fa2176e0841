/** Snapshots: the model's tensors in memory, copied out of a running server and back into one. */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { CoreContext } from '../../core/server/context.js';
import type { LoadRecord } from '../../core/server/records.js';
import type { Job } from '../../core/table/job.js';
import { JobThen, RangeJob } from '../../core/table/job.js';
import { type Catalogue, heldShape } from '../../core/tensor/catalogue.js';
import type { RowCount } from '../../core/tensor/rowLayout.js';
import type { Tensor } from '../../core/tensor/tensor.js';
import type { LoadedState } from '../storage/groupManifest.js';

/** All tensors of a model at one version. */
export interface Snapshot<Name extends string = string> {
  readonly version: number;
  readonly tensors: Readonly<Record<Name, Tensor>>;
}

/** Copies the current version in slices, between updates; `done` gets it. */
export function copyJob(context: CoreContext, done: (snapshot: Snapshot) => void): Job {
  const { table, version } = context.state;
  const values = new Float32Array(table.catalogue.length);
  const copy = new RangeJob(values.length, (begin, end) => {
    table.kernels.copy(values.subarray(begin, end), table.versions.current.subarray(begin, end));
  });
  return new JobThen(copy, () => done({ version, tensors: tensorsOf(table.catalogue, values) }));
}

/** A model that was read. */
export interface LoadedModel extends LoadedState {
  /** The rows of tables whose values stand behind all others. */
  readonly rows?: readonly RowCount[] | undefined;
}

/** The record that makes `loaded` the state. Should another optimizer have been set meanwhile, its slots start anew. */
export function loadRecord({ state }: CoreContext, loaded: LoadedModel): LoadRecord {
  const { table } = state;
  const { values, rows, state: optimizers } = loaded;
  const isFitting =
    optimizers === undefined ||
    (optimizers.slots === table.slotCount &&
      optimizers.scalars.every((each, i) => each.length === table.scalars[i]?.length));
  if (isFitting) return { kind: 'load', values, state: optimizers, rows };
  const { length } = table.catalogue;
  const others = values.subarray(length * (1 + optimizers.slots));
  const withoutSlots = new Float32Array(length + others.length);
  withoutSlots.set(values.subarray(0, length));
  withoutSlots.set(others, length);
  return { kind: 'load', values: withoutSlots, rows };
}

/** The tensors of a model whose values stand flat in `values`, as views. */
export function tensorsOf(catalogue: Catalogue, values: Float32Array): Record<string, Tensor> {
  const tensors: Record<string, Tensor> = {};
  for (const entry of catalogue.entries) {
    const { name, dtype, offset, length } = entry;
    tensors[name] = { shape: heldShape(entry), dtype, data: values.subarray(offset, offset + length) };
  }
  return tensors;
}

/**
 * The flat values of `snapshot`, which must have exactly the tensors of `catalogue`.
 * Throws `PS_INVALID_ARGUMENT` that names the tensor.
 */
export function flatValues(catalogue: Catalogue, snapshot: Pick<Snapshot, 'tensors'>): Float32Array {
  const tensors: Readonly<Record<string, Tensor>> | undefined = snapshot?.tensors;
  if (tensors === null || typeof tensors !== 'object') {
    throw invalidArgument('snapshot', snapshot, 'a snapshot { tensors }');
  }
  for (const name of Object.keys(tensors)) catalogue.get(name);
  const values = new Float32Array(catalogue.length);
  for (const entry of catalogue.entries) {
    const { name, offset, length } = entry;
    const shape = heldShape(entry);
    const tensor = tensors[name];
    const { shape: given, data } = tensor ?? {};
    const isOfShape = Array.isArray(given) && given.join() === shape.join();
    if (!isOfShape || !(data instanceof Float32Array) || data.length !== length) {
      throw invalidArgument(
        `snapshot.tensors.${name}`,
        isOfShape ? data : given,
        `a tensor of shape [${shape.join(', ')}]`,
      );
    }
    if (!data.every(Number.isFinite)) {
      throw new PsError('PS_NOT_FINITE', `the snapshot's "${name}" holds a value that is not finite`, {
        details: { tensor: name },
      });
    }
    values.set(data, offset);
  }
  return values;
}
