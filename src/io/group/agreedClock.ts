/** When the shards of a group take their parts of a checkpoint, and what the parts are called. */
import { randomHex } from '../randomHex.js';
import type { ServerStats } from '../serverReport.js';

/** A clock that no shard has passed yet; where nobody trains none will rise, so it is the highest. */
export function clockToAgreeOn(shards: readonly Pick<ServerStats, 'minClock' | 'training'>[]): number {
  const highest = Math.max(...shards.map(({ minClock }) => minClock));
  return shards.some(({ training }) => training > 0) ? highest + 1 : highest;
}

/** A name of its own: files of an earlier checkpoint stay whole until the manifest is replaced. */
export function nameAt(clock: number): string {
  return `clock-${clock}-${randomHex(4)}`;
}
