/**
 * The batches of a run whose data the server divides: data shards, one after the other, each cut into batches
 * by the caller. It keeps what the server says is counted: a batch that was not is cut and computed again. Each
 * data shard is held until all of it is counted.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import type { DataLease } from '../../core/protocol/taskMessages.js';
import { decodeValue } from '../../core/protocol/valueCodec.js';
import { HeldShard, type ShardLease, type TakenRange } from '../../core/tasks/heldShard.js';
import { examplesAt } from '../../core/tasks/shuffledOrder.js';
import type { LeaseAnswer, PushAnswer } from '../../core/worker/events.js';
import { isPromiseLike } from './abort.js';
import { type BatchItem, type BatchPart, type BatchSource, iteratorOf, lengthOf } from './batchSource.js';
import type { Call, WorkerHost } from './workerHost.js';

/** A part of an epoch that this worker works on. */
export interface DataShard<I = unknown> {
  /** Number in its epoch, from 0. */
  readonly id: number;
  /** From 0. */
  readonly epoch: number;
  /** Which data set of the server, from 1. */
  readonly dataSet: number;
  /** Its positions in the epoch's order, [begin, end): `begin` is where an earlier holder stopped. */
  readonly begin: number;
  readonly end: number;
  /** The examples at these positions: numbers from 0. */
  readonly indices: Uint32Array | Float64Array;
  /** Their items, where the server sends the data. Typed arrays among them are valid until the data shard is done. */
  readonly items: readonly I[] | undefined;
}

/** Cuts a data shard into batches. The cuts must depend on nothing but the data shard. */
export type CutDataShard<B> = (
  dataShard: DataShard<never>,
) => Iterable<B> | AsyncIterable<B> | PromiseLike<Iterable<B> | AsyncIterable<B>>;

type FullLease = DataLease & ShardLease & { readonly size: number };

/** A data shard in this worker's hands, with its batches. */
interface Held<B> {
  readonly shard: HeldShard;
  readonly lease: FullLease;
  readonly items: readonly unknown[] | undefined;
  /** Where the bytes of the items stand, which the items may be views of. */
  readonly memory: Uint8Array;
  batches: Iterator<B> | AsyncIterator<B> | Promise<Iterator<B> | AsyncIterator<B>> | undefined;
}

const NO_MORE = { done: true } as const;
/** Data shards that were lost one after the other, without an example counted between, before a run gives up. */
const MAX_LOST = 16;

/** The batches of leased data shards. */
export class DataShardSource<B> implements BatchSource<B> {
  readonly waitsOutside = true;
  readonly #host: WorkerHost;
  readonly #cut: CutDataShard<B>;
  readonly #maxBytes: number;
  /** In the order in which they came. */
  readonly #held: Held<B>[] = [];
  /** Memory of items that are not needed any more: those that come next are received into it. */
  #spare: Uint8Array | undefined;
  #asking: Call<LeaseAnswer> | undefined;
  #asked: Promise<void> | undefined;
  #isEnded = false;
  #isClosed = false;
  /** Raised when what was read ahead counts for nothing. */
  #voids = 0;
  #lost = 0;

  /** `maxBytes`: of the items of a data shard. */
  constructor(host: WorkerHost, cut: CutDataShard<B>, maxBytes: number) {
    this.#host = host;
    this.#cut = cut;
    this.#maxBytes = maxBytes;
  }

  next(): BatchItem<B> | Promise<BatchItem<B>> {
    // It takes longer for a batch than the server waits; or the servers of a group have states of different histories.
    if (this.#lost >= MAX_LOST)
      throw new PsError('PS_LEASE_EXPIRED', `lost ${MAX_LOST} data shards in a row`);
    const held = this.#held.find(({ shard }) => shard.left > 0);
    if (held !== undefined) return this.#read(held);
    return this.#isEnded || this.#isClosed ? NO_MORE : this.#readLater();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const held of this.#held) endIterator(held);
    const error = new PsError('PS_ABORTED', 'the run has ended');
    this.#asking?.cancel(error);
    const mayHold = this.#held.length > 0 || this.#asking !== undefined;
    this.#held.length = 0;
    if (mayHold && !this.#host.core.hasEnded) this.#ask(0).answer.catch(() => {});
  }

  /** The server lost its state: the leases are of another. */
  onRollback(): void {
    this.#voids++;
    for (const held of this.#held.splice(0)) {
      held.shard.void();
      endIterator(held);
    }
  }

  async #readLater(): Promise<BatchItem<B>> {
    const voids = this.#voids;
    // The server ends each wait after a while: then it is asked again.
    for (;;) {
      this.#asked ??= this.#fetch();
      await this.#asked;
      // Somebody else reads by now.
      if (voids !== this.#voids || this.#isClosed) return NO_MORE;
      const held = this.#held.find(({ shard }) => shard.left > 0);
      if (held !== undefined) return this.#read(held);
      if (this.#isEnded) return NO_MORE;
    }
  }

  /** Asks for one more data shard. */
  async #fetch(): Promise<void> {
    this.#asking = this.#ask(1);
    try {
      const { message, bytes } = await this.#asking.answer;
      const lease = message as FullLease;
      if (lease.isEnded) this.#isEnded = true;
      if (lease.lease === undefined || this.#isClosed) return;
      const items = lease.itemBytes === undefined ? undefined : (decodeValue(bytes) as unknown[]);
      if (items !== undefined && items.length !== lease.end - lease.from) {
        throw new PsError('PS_PROTOCOL', 'the items of a data shard are not as many as its examples');
      }
      this.#held.push({ shard: new HeldShard(lease), lease, items, memory: bytes, batches: undefined });
    } finally {
      this.#asking = undefined;
      this.#asked = undefined;
    }
  }

  #ask(want: number): Call<LeaseAnswer> {
    const leases = this.#held;
    const held = {
      *[Symbol.iterator](): Iterator<number> {
        for (const { lease } of leases) yield lease.lease;
      },
    };
    const maxBytes = this.#maxBytes;
    const into = this.#spare;
    this.#spare = undefined;
    return this.#host.call({ kind: 'lease', of: 'data', held, want, concurrency: 1, maxBytes, into });
  }

  #read(held: Held<B>): BatchItem<B> | Promise<BatchItem<B>> {
    const begun = held.batches ?? this.#begin(held);
    held.batches = begun;
    if (isPromiseLike(begun)) {
      return begun.then((batches) => {
        held.batches = batches;
        return this.#read(held);
      });
    }
    const result = begun.next();
    return isPromiseLike(result)
      ? Promise.resolve(result).then((each) => this.#itemOf(held, each))
      : this.#itemOf(held, result);
  }

  #begin(held: Held<B>): NonNullable<Held<B>['batches']> {
    const { lease, items } = held;
    const begin = held.shard.position;
    const { dataShard: id, epoch, dataSet, end, from, size, seed } = lease;
    const indices = examplesAt(begin, end, size, seed);
    const rest = items?.slice(begin - from) as never;
    const cut = this.#cut({ id, epoch, dataSet, begin, end, indices, items: rest });
    const option = 'dataShards';
    return isPromiseLike(cut)
      ? Promise.resolve(cut).then((each) => iteratorOf(option, each))
      : iteratorOf(option, cut);
  }

  #itemOf(held: Held<B>, result: IteratorResult<B>): BatchItem<B> {
    const { lease, shard } = held;
    const { position } = shard;
    if (result.done === true) {
      const text = `dataShards: the batches of data shard ${lease.dataShard} cover ${position - lease.from} of its ${lease.end - lease.from} examples`;
      throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'dataShards' } });
    }
    const batch = result.value;
    // The last batch, as far as can be known: the next data shard comes meanwhile.
    if ((lengthOf(batch) ?? 0) >= shard.left) this.#prefetch();
    return { done: false, batch, part: this.#partOf(held) };
  }

  #prefetch(): void {
    const hasMore = this.#held.filter(({ shard }) => shard.left > 0).length > 1;
    if (hasMore || this.#isEnded || this.#isClosed) return;
    this.#asked ??= this.#fetch();
    this.#asked.catch(() => {});
  }

  #partOf(held: Held<B>): BatchPart {
    let taken: TakenRange | undefined;
    return {
      range: (examples) => {
        taken = this.#take(held, examples);
        return taken.range;
      },
      settled: (answer) => taken === undefined || this.#settle(held, taken, answer),
    };
  }

  /** The next examples. Throws `PS_INVALID_ARGUMENT` if there are not so many. */
  #take({ shard, lease }: Held<B>, examples = shard.left): TakenRange {
    if (examples >= 1 && examples <= shard.left) return shard.take(examples);
    const left = `a number of examples from 1 to ${shard.left}, those that are left of data shard ${lease.dataShard}`;
    throw invalidArgument('examples', examples, left);
  }

  /** What became of a push. Returns whether what was read behind it still holds. */
  #settle(held: Held<B>, taken: TakenRange, answer: PushAnswer | undefined): boolean {
    const verdict = held.shard.settle(taken, answer === undefined ? 'lost' : answer.progress);
    if (verdict === 'done' || verdict === 'over') this.#drop(held);
    if (verdict === 'counted' || verdict === 'done') this.#lost = 0;
    if (verdict !== 'again' && verdict !== 'over') return true;
    if (verdict === 'over') this.#lost++;
    this.#voids++;
    endIterator(held);
    held.batches = undefined;
    return false;
  }

  #drop(held: Held<B>): void {
    const at = this.#held.indexOf(held);
    if (at >= 0) this.#held.splice(at, 1);
    endIterator(held);
    const memory = new Uint8Array(held.memory.buffer);
    if (memory.length > (this.#spare?.length ?? 0)) this.#spare = memory;
  }
}

/** The caller's batches are not wanted any more. A generator that waits can't be ended now: nobody waits for it. */
function endIterator({ batches }: Held<unknown>): void {
  if (batches === undefined || isPromiseLike(batches)) return;
  const ended = batches.return?.();
  if (isPromiseLike(ended)) ended.then(undefined, () => {});
}
