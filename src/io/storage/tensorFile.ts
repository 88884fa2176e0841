/**
 * The tensors of a model out of a safetensors file, one of pslib's checkpoints or another tool's: every
 * tensor of the model must be there, in its shape; others are passed over.
 */
import { PsError } from '../../core/base/errors.js';
import { bytesOf } from '../../core/protocol/modelStream.js';
import type { OptimizerState } from '../../core/server/records.js';
import type { StateMeta } from '../../core/server/stateImage.js';
import { type Catalogue, heldShape } from '../../core/tensor/catalogue.js';
import { tensorsOfState, unflattenScalars } from './checkpointFormat.js';
import { readData, withCheckpoint } from './checkpointReader.js';
import type { Disk } from './disk.js';
import { inFile } from './storageError.js';
import type { Task } from './task.js';

/**
 * The values of the whole model, flat. Throws `PS_CORRUPT` if the file is none or damaged,
 * `PS_UNKNOWN_TENSOR`, `PS_WRONG_LENGTH` or `PS_NOT_FINITE` if it does not fit.
 */
export function* readTensors(disk: Disk, path: string, catalogue: Catalogue): Task<Float32Array> {
  const values = new Float32Array(catalogue.length);
  try {
    yield* withCheckpoint(disk, path, function* (open): Task<void> {
      const entries = new Map(open.header.entries.map((entry) => [entry.name, entry]));
      const destinations = new Map<string, Uint8Array>();
      for (const entry of catalogue.entries) {
        const { name, offset, length } = entry;
        const shape = heldShape(entry);
        const found = entries.get(name);
        if (found === undefined) throw unfit('PS_UNKNOWN_TENSOR', name, 'it has no such tensor');
        if (found.dtype !== 'F32' || found.shape.join() !== shape.join()) {
          const what = `it is ${found.dtype} [${found.shape.join(', ')}], the model's is F32 [${shape.join(', ')}]`;
          throw unfit('PS_WRONG_LENGTH', name, what);
        }
        destinations.set(name, bytesOf(values.subarray(offset, offset + length)));
      }
      yield* readData(open, destinations);
    });
    checkFinite(values, catalogue);
  } catch (error) {
    throw inFile(error, path);
  }
  return values;
}

/** Parameters, and what their optimizers go on with. */
export interface HeldState {
  /** Flat; with `state`, the slots follow, each over the whole range. */
  readonly values: Float32Array;
  readonly state?: OptimizerState | undefined;
}

/**
 * The values and the optimizers' state in the checkpoint at `path`, whose state is `meta`, of the parameters
 * `catalogue`. `scalars`: how many numbers each tensor's rule has. Throws as `readTensors` does.
 */
export function* readState(
  disk: Disk,
  path: string,
  catalogue: Catalogue,
  meta: StateMeta,
  { slots, scalars }: { readonly slots: number; readonly scalars: readonly number[] },
): Task<Required<HeldState>> {
  const { length } = catalogue;
  const values = new Float32Array(length * (1 + slots));
  const slotArrays = Array.from({ length: slots }, (_, i) =>
    values.subarray((1 + i) * length, (2 + i) * length),
  );
  const flat = new Float64Array(scalars.reduce((sum, each) => sum + each, 0));
  const arrays = {
    ...{
      values: values.subarray(0, length),
      slots: slotArrays,
      scalars: [],
      sums: [],
      rowSums: [],
      tables: [],
    },
  };
  const { tables: _, ...dense } = meta;
  const wanted = tensorsOfState(catalogue, { ...dense, buffers: [] }, arrays, flat);
  try {
    yield* withCheckpoint(disk, path, function* (open): Task<void> {
      const entries = new Map(open.header.entries.map((entry) => [entry.name, entry]));
      for (const { name, dtype, shape } of wanted) {
        const found = entries.get(name);
        if (found === undefined) throw unfit('PS_UNKNOWN_TENSOR', name, 'it has no such tensor');
        if (found.dtype !== dtype || found.shape.join() !== shape.join())
          throw unfit('PS_WRONG_LENGTH', name, `it is ${found.dtype} [${found.shape.join(', ')}]`);
      }
      yield* readData(open, new Map(wanted.map(({ name, bytes }) => [name, bytes])));
    });
    checkFinite(values, catalogue);
  } catch (error) {
    throw inFile(error, path);
  }
  const own = scalars.map((count) => new Array<number>(count).fill(0));
  unflattenScalars(flat, own);
  return { values, state: { slots, scalars: own } };
}

function checkFinite(values: Float32Array, catalogue: Catalogue): void {
  for (const { name, offset, length } of catalogue.entries) {
    if (values.subarray(offset, offset + length).every(Number.isFinite)) continue;
    throw unfit('PS_NOT_FINITE', name, 'it holds a value that is not finite');
  }
}

function unfit(
  code: 'PS_UNKNOWN_TENSOR' | 'PS_WRONG_LENGTH' | 'PS_NOT_FINITE',
  tensor: string,
  what: string,
): PsError {
  return new PsError(code, `"${tensor}": ${what}`, { details: { tensor } });
}
