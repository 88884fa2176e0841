/** `watchRows`: asks again and again what has changed in a sparse table. It holds nothing but how far it is. */
import { PsError } from '../../core/base/errors.js';
import { floatsOf } from '../../core/protocol/modelStream.js';
import type { Catalogue } from '../../core/tensor/catalogue.js';
import type { AskAnswer, RowWatch, RowWatchAnswer } from '../../core/worker/events.js';
import { merged } from './merged.js';
import { findTable } from './rows.js';
import { type Asker, checkBounds, isEnd, type WatchOptions } from './watch.js';
import type { WorkerHost } from './workerHost.js';

/** How fresh rows are to be kept. */
export interface WatchRowsOptions extends Pick<WatchOptions, 'signal'> {
  /**
   * An answer comes when the server is so many versions further. Default 1; with `withinMs` alone, however many there
   * are by then.
   */
  readonly withinVersions?: number;
  /** An answer comes after so long, whatever has changed. Default, and at most, the server's `pullTimeoutMs`. */
  readonly withinMs?: number;
}

/** What has changed in a table since the answer before, or a part of it. */
export interface RowChanges {
  /** The changes until now are not known: whoever keeps a copy forgets it. */
  readonly isWhole: boolean;
  /** The rows that were updated, rising. */
  readonly ids: Float64Array;
  /** Numbers per row. */
  readonly dim: number;
  /** What those rows are now: `dim` numbers for each id. */
  readonly data: Float32Array;
  /** Ids that have no row any more. */
  readonly gone: Float64Array;
  /** Updates that the server has applied. */
  readonly version: number;
  /** With this a copy is the table as it was at `version`; otherwise more comes at once. */
  readonly isComplete: boolean;
  /** Of a group of servers: whose part of the table this is about, from 0, and how many parts there are. Else 0 of 1. */
  readonly shard: number;
  readonly shards: number;
}

/** The changes of table `name`, until the worker or `options.signal` ends it. Throws `PS_UNKNOWN_TENSOR`. */
export async function* watchTable(
  { host, whenConnected }: Asker,
  name: string,
  options: WatchRowsOptions,
): AsyncGenerator<RowChanges, void, undefined> {
  const { signal = new AbortController().signal } = options;
  const bounds = checkBounds(options);
  const find = async (catalogue: Catalogue) => findTable(catalogue, name);
  const found = await whenConnected(find, signal).catch((error: unknown) => {
    if (isEnd(error, signal)) return undefined;
    throw error;
  });
  if (found === undefined) return;
  const end = new AbortController();
  const onAbort = (): void => end.abort(signal.reason);
  signal.addEventListener('abort', onAbort);
  const { servers } = host.core;
  try {
    const shards = Array.from({ length: servers }, (_, server) =>
      watchShard(host, { ...found, ...bounds, server, servers }, end.signal),
    );
    yield* merged(shards);
  } finally {
    signal.removeEventListener('abort', onAbort);
    end.abort();
  }
}

/** What is watched: a table's part at one server. */
interface WatchedPart extends Pick<RowWatch, 'table' | 'withinMs' | 'versions'> {
  readonly dim: number;
  readonly server: number;
  readonly servers: number;
}

async function* watchShard(
  host: WorkerHost,
  { dim, server, servers, ...asked }: WatchedPart,
  signal: AbortSignal,
): AsyncGenerator<RowChanges, void, undefined> {
  let known: Pick<RowWatch, 'since' | 'mark' | 'from'> = {};
  let wait = false;
  while (!signal.aborted) {
    const watch = { ...asked, ...known, wait };
    const ask = { kind: 'ask', action: undefined, argument: undefined, watch, server } as const;
    const answer = await host.call<AskAnswer>(ask, signal).answer.catch((error: unknown) => {
      if (isEnd(error, signal)) return undefined;
      throw error;
    });
    if (answer === undefined) return;
    const said = answer.changes as RowWatchAnswer;
    known = { since: said.since, mark: said.mark, from: said.next };
    wait = !said.more;
    yield { ...changesOf(said, answer.bytes, dim), shard: server, shards: servers };
  }
}

function changesOf(
  said: RowWatchAnswer,
  bytes: Uint8Array,
  dim: number,
): Omit<RowChanges, 'shard' | 'shards'> {
  const { rows, gone, whole, more, version } = said;
  if (bytes.length !== rows * (8 + 4 * dim) + 8 * gone) {
    throw new PsError('PS_PROTOCOL', `${rows} changed rows in ${bytes.length} bytes`);
  }
  const values = 8 * rows;
  const end = values + 4 * dim * rows;
  return {
    isWhole: whole,
    ids: idsOf(bytes.subarray(0, values)),
    dim,
    data: floatsOf(bytes.subarray(values, end)),
    gone: idsOf(bytes.subarray(end)),
    version,
    isComplete: !more,
  };
}

/** Ids of 64 bits as numbers. */
function idsOf(bytes: Uint8Array): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => {
    return view.getUint32(8 * i + 4, true) * 2 ** 32 + view.getUint32(8 * i, true);
  });
}
