/**
 * What has changed of a table since a checkpoint of all of it, and how the two become the table again:
 *
 *     base        all rows then
 *     delta       rows that have changed since or are new; ids of rows that were evicted since
 *     together    base's rows that are in neither list, in their order, then delta's
 *
 * That is the order of eviction too: whatever was not used since keeps its place before what was.
 */
import { PsError } from '../base/errors.js';
import { idAt } from '../tensor/rowIds.js';
import type { EmbeddingTable } from './embeddingTable.js';
import { newTableArrays, type TableArrays, type TableMeta } from './tableImage.js';

/** More evicted ids than this are not listed: a checkpoint of everything takes less time. */
const MAX_REMOVED = 65_536;

/** Whether checkpoints of changes alone are smaller, by half at least, than those of all of `tables`. O(tables). */
export function areWorthADelta(tables: readonly EmbeddingTable[]): boolean {
  let [all, changed] = [0, 0];
  for (const { rows, unsaved, spec, slots } of tables) {
    if (unsaved === undefined || unsaved.isAll || unsaved.removed.size > MAX_REMOVED) return false;
    const rowBytes = 8 + 4 * spec.dim * (1 + slots.length);
    all += rows * rowBytes;
    changed += unsaved.count * rowBytes + unsaved.removed.size * 8;
  }
  return changed <= all / 2;
}

/** The arrays of a table that `meta` tells of, out of both. Throws `PS_CORRUPT` if they do not go together. */
export function joinDelta(base: TableArrays, delta: TableArrays, meta: TableMeta): TableArrays {
  const whole = newTableArrays({ ...meta, delta: undefined }, (length) => new Float32Array(length));
  const gone = new Set<number>();
  for (const ids of [delta.ids, delta.removed]) {
    for (let i = 0; i < ids.length / 2; i++) gone.add(idAt(ids, i));
  }
  let at = 0;
  const take = (from: TableArrays, i: number): void => {
    if (at === meta.rows) throw new PsError('PS_CORRUPT', `table "${meta.name}" has more rows than it says`);
    copyRow(from, i, whole, at++, meta.dim);
  };
  for (let i = 0; i < base.ids.length / 2; i++) if (!gone.has(idAt(base.ids, i))) take(base, i);
  for (let i = 0; i < delta.ids.length / 2; i++) take(delta, i);
  if (at < meta.rows) throw new PsError('PS_CORRUPT', `table "${meta.name}" lacks ${meta.rows - at} rows`);
  whole.counters.set(delta.counters);
  return whole;
}

function copyRow(from: TableArrays, i: number, to: TableArrays, at: number, dim: number): void {
  to.ids.set(from.ids.subarray(2 * i, 2 * i + 2), 2 * at);
  to.values.set(from.values.subarray(i * dim, (i + 1) * dim), at * dim);
  for (const [k, slot] of to.slots.entries()) {
    slot.set((from.slots[k] as Float32Array).subarray(i * dim, (i + 1) * dim), at * dim);
  }
  if (to.uses.length > 0) to.uses[at] = from.uses[i] as number;
}
