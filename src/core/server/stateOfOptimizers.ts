/** Whether a table's optimizers can go on with the slots and numbers that a checkpoint holds. */
import type { DenseTable } from '../table/denseTable.js';
import { hasSameState, imageOfOptimizer } from './optimizerImage.js';
import type { StateMeta } from './stateImage.js';

/** How many slots there are, and how many numbers each tensor's rule has. */
export interface OptimizerSizes {
  readonly slots: number;
  readonly scalars: readonly number[];
}

/** The sizes of what `meta` tells of, if the optimizers of `table` can go on with it; undefined: they can't. O(tensors). */
export function sizesFor(
  table: DenseTable,
  meta: Pick<StateMeta, 'optimizers' | 'groupOf'>,
): OptimizerSizes | undefined {
  const own = table.groups.map(({ optimizer }) => imageOfOptimizer(optimizer));
  const isSame =
    own.length === meta.optimizers.length &&
    own.every((each, i) => hasSameState(each, meta.optimizers[i] as typeof each)) &&
    table.groupOf.join() === meta.groupOf.join();
  if (!isSame) return undefined;
  return { slots: table.slotCount, scalars: table.scalars.map(({ length }) => length) };
}
