/** Where the batches of a run come from: the caller's own data, or data shards of the server. */
import { invalidArgument } from '../../core/base/errors.js';
import { type BatchSource, batchSource } from './batchSource.js';
import { DataShardSource } from './dataShards.js';
import type { RunOptions } from './training.js';
import type { WorkerHost } from './workerHost.js';

/** The source that `options` ask for. `maxBytes`: of the items of a data shard. Throws `PS_INVALID_ARGUMENT`. */
export function sourceOf<B>(
  host: WorkerHost,
  { data, dataShards }: RunOptions<B>,
  maxBytes: number,
): BatchSource<B> {
  if (dataShards === undefined) return batchSource(data);
  if (typeof dataShards !== 'function') throw invalidArgument('dataShards', dataShards, 'a function');
  if (data !== undefined) throw invalidArgument('data', data, 'left out where there is dataShards');
  return new DataShardSource(host, dataShards, maxBytes);
}
