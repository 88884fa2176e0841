/**
 * Which shard of a group holds a row, by a hash of its id: the rows of a table are spread evenly whatever its ids are,
 * and every worker and server finds the same without asking. Another hash than that of the row index, whose tables would
 * fill unevenly otherwise. The formula stands in `docs/protocol.md`.
 */

/** Some of a table's rows, of one shard. */
export interface RowSlice {
  /** Two words for each id, rising. */
  readonly words: Uint32Array;
  /** Where each stands among all. */
  readonly positions: Uint32Array;
}

const TWO_32 = 0x1_0000_0000;

/** The shard, of `count`, that holds the row of an id. */
export function shardOfRow(low: number, high: number, count: number): number {
  let hash = low ^ Math.imul(high, 0x85ebca77);
  // The mixing function "lowbias32" (Wellons 2018).
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  hash ^= hash >>> 16;
  return Math.floor(((hash >>> 0) * count) / TWO_32);
}

/** `words` (ids of two words each, rising) by shard. O(ids + count). */
export function slicesOfRows(words: Uint32Array, count: number): RowSlice[] {
  const rows = words.length / 2;
  const shards = new Uint16Array(rows);
  const sizes = new Array<number>(count).fill(0);
  for (let i = 0; i < rows; i++) {
    const shard = shardOfRow(words[2 * i] as number, words[2 * i + 1] as number, count);
    shards[i] = shard;
    sizes[shard] = (sizes[shard] as number) + 1;
  }
  const slices = sizes.map((size) => ({
    words: new Uint32Array(2 * size),
    positions: new Uint32Array(size),
  }));
  const filled = new Array<number>(count).fill(0);
  for (let i = 0; i < rows; i++) {
    const shard = shards[i] as number;
    const { words: own, positions } = slices[shard] as RowSlice;
    const at = filled[shard] as number;
    own[2 * at] = words[2 * i] as number;
    own[2 * at + 1] = words[2 * i + 1] as number;
    positions[at] = i;
    filled[shard] = at + 1;
  }
  return slices;
}

/** The position in `words` of the first id that shard `index` of `count` does not hold; −1: it holds all. O(ids). */
export function firstElsewhere(words: Uint32Array, index: number, count: number): number {
  if (count === 1) return -1;
  for (let i = 0; i < words.length / 2; i++) {
    if (shardOfRow(words[2 * i] as number, words[2 * i + 1] as number, count) !== index) return i;
  }
  return -1;
}
