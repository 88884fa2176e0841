/**
 * Cuts what a push carries by shards, and gives what shards are pulled from their places in one destination:
 * views of the caller's arrays, never copies.
 */
import type { Catalogue, CatalogueEntry } from '../tensor/catalogue.js';

const NOTHING = new Float32Array(0);

/**
 * Of `arrays`, which are the whole tensors `entries` of a model, what the shard whose catalogue is `part` holds: a
 * view each, empty where it holds nothing. O(entries).
 */
export function slicesOf(
  part: Catalogue,
  entries: readonly CatalogueEntry[],
  arrays: readonly Float32Array[],
): Float32Array[] {
  return arrays.map((array, i) => {
    const { start, length } = part.entries[(entries[i] as CatalogueEntry).index] as CatalogueEntry;
    if (length === 0) return NOTHING;
    return length === array.length ? array : array.subarray(start, start + length);
  });
}

/** Whether the shard whose catalogue is `part` holds any element of `entries`. O(entries). */
export function holdsAnyOf(part: Catalogue, entries: readonly CatalogueEntry[]): boolean {
  return entries.some(({ index }) => (part.entries[index] as CatalogueEntry).length > 0);
}
