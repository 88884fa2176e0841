/**
 * A change of all shards of a group: none begins before each has said that it goes on, and if some refuse it all the
 * same, the error says which have changed. It can't be taken back there: workers may have seen it.
 */
import { asPsError, PsError } from '../../core/base/errors.js';
import type { ServerStats } from '../serverReport.js';

/** A shard that can be asked how it is. */
interface Shard {
  call(name: 'stats', args: []): Promise<Pick<ServerStats, 'failure'>>;
}

/**
 * Has each of `shards` changed. Rejects with the first error: nothing was changed if a shard has ended or failed, or
 * if all refuse; otherwise its message names those that have changed.
 */
export async function changeAll<S extends Shard>(
  shards: readonly S[],
  change: (shard: S, index: number) => Promise<unknown>,
): Promise<void> {
  const stats = await Promise.all(shards.map((shard) => shard.call('stats', [])));
  for (const [index, { failure }] of stats.entries()) {
    if (failure !== undefined) throw new PsError(failure, `shard ${index} has failed: nothing was changed`);
  }
  const ended = await Promise.allSettled(shards.map(change));
  const withStatus = (status: 'fulfilled' | 'rejected'): number[] =>
    ended.flatMap((each, index) => (each.status === status ? [index] : []));
  const [changed, refused] = [withStatus('fulfilled'), withStatus('rejected')];
  const [first] = refused;
  if (first === undefined) return;
  const error = asPsError((ended[first] as PromiseRejectedResult).reason);
  if (changed.length === 0) throw error;
  const text = `${named(refused)} refused a change that ${named(changed)} made: ${error.message}`;
  throw new PsError(error.code, text, { cause: error, details: error.details });
}

function named(indices: readonly number[]): string {
  return `${indices.length === 1 ? 'shard' : 'shards'} ${indices.join(', ')}`;
}
