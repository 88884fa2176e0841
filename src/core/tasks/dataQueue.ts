/**
 * The queue of data shards: which epoch it is, which data shards are out with whom, and what comes next.
 * Data shards are handed out in order, returned ones first. One epoch ends before the next begins.
 *
 *     (none) ──begin──▶ running ──all counted──▶ counted ──openEpoch──▶ running …
 *                          └───────────┴──end──▶ ended ──begin──▶ running
 *
 * It is a part of the durable state: it changes by records only, and asks neither time nor chance.
 */
import { DataProgress, type DataRange, type ProgressImage } from './dataProgress.js';
import { type DataSet, orderSeed, positionsOf, shardsOf } from './dataSet.js';
import { EpochMetrics, type MetricsImage } from './epochMetrics.js';
import { type Lease, LeaseBook } from './leaseBook.js';

/** The data set that the queue has, or had last. */
export interface CurrentDataSet {
  /** From 1. */
  readonly number: number;
  readonly dataSet: DataSet;
  /** The present epoch, from 0. */
  readonly epoch: number;
  /** No data shard will be handed out any more. */
  readonly isEnded: boolean;
}

/** The epoch with the best value of a metric. */
export interface BestEpoch {
  readonly epoch: number;
  readonly value: number;
}

/** A queue as plain data. */
export interface DataQueueImage {
  readonly current: CurrentDataSet | null;
  readonly progress: ProgressImage;
  readonly next: number;
  readonly returned: readonly number[];
  readonly leases: readonly (readonly [number: number, holder: string, dataShard: number])[];
  readonly lastLease: number;
  readonly metrics: MetricsImage;
  readonly best: BestEpoch | null;
}

/** A data shard as it is handed out. */
export interface LeasedShard {
  readonly dataShard: number;
  readonly begin: number;
  readonly end: number;
  /** Where the counted part ends. */
  readonly from: number;
}

/** A data shard in words. */
export function dataShardText({ dataShard, begin, end }: Omit<LeasedShard, 'from'>): string {
  return `data shard ${dataShard} (positions ${begin} to ${end - 1})`;
}

/** The data shards of one server. */
export class DataQueue {
  readonly progress: DataProgress = new DataProgress();
  readonly leases: LeaseBook<number> = new LeaseBook();
  readonly metrics: EpochMetrics = new EpochMetrics();
  /** The best epoch of the data set, where the server's owner keeps it. */
  best: BestEpoch | undefined;
  #current: CurrentDataSet | undefined;
  /** The first data shard that was never handed out in this epoch. */
  #next = 0;
  /** Data shards that came back, lowest first. */
  readonly #returned: number[] = [];

  /** The data set; undefined: there never was one. */
  get current(): CurrentDataSet | undefined {
    return this.#current;
  }

  /** Whether there is anything to remember. */
  get isUsed(): boolean {
    return this.#current !== undefined || this.progress.isUsed;
  }

  /** Whether every example of the present epoch is counted. */
  get isEpochCounted(): boolean {
    const { current } = this;
    return (
      current !== undefined && !current.isEnded && this.progress.doneShards === shardsOf(current.dataSet)
    );
  }

  /** The data shard that is handed out next; undefined: none is free. */
  peek(): LeasedShard | undefined {
    const { current } = this;
    if (current === undefined || current.isEnded) return undefined;
    const dataShard = this.#returned[0] ?? this.#next;
    if (dataShard >= shardsOf(current.dataSet)) return undefined;
    return this.#shard(dataShard);
  }

  /** The seed of the present epoch's order; undefined: the examples' own order. */
  get orderSeed(): number | undefined {
    const { current } = this;
    return current === undefined ? undefined : orderSeed(current.dataSet, current.number, current.epoch);
  }

  /** Examples of the present epoch that are counted. */
  get countedExamples(): number {
    const { current } = this;
    return current === undefined
      ? 0
      : this.progress.examples(current.dataSet.shardSize, current.dataSet.size);
  }

  /** A data set begins, with epoch 0. */
  begin(number: number, dataSet: DataSet): void {
    this.#current = { number, dataSet, epoch: 0, isEnded: false };
    this.best = undefined;
    this.#restart();
  }

  /** The next epoch begins. */
  openEpoch(epoch: number): void {
    if (this.#current === undefined) return;
    this.#current = { ...this.#current, epoch };
    this.#restart();
  }

  /** The data set is over; what is out is nobody's any more. */
  end(): void {
    if (this.#current === undefined) return;
    this.#current = { ...this.#current, isEnded: true };
    this.leases.restart(this.leases.last);
    this.#returned.length = 0;
  }

  /** Hands data shard `dataShard` to `holder`, as lease `number`. */
  lease(holder: string, number: number, dataShard: number): void {
    this.leases.give(holder, dataShard, number);
    if (this.#returned[0] === dataShard) this.#returned.shift();
    else this.#next = Math.max(this.#next, dataShard + 1);
  }

  /** The leases `numbers` end, without their data shards being done. */
  release(numbers: readonly number[]): void {
    for (const number of numbers) {
      const lease = this.leases.end(number);
      if (lease !== undefined) this.#putBack(lease.task);
    }
  }

  /** Everything that `holder` holds comes back. */
  releaseAll(holder: string): void {
    this.release(this.leases.of(holder).map(({ number }) => number));
  }

  /** Whether `range` is a part of a data shard that `holder` holds. */
  isHeld(holder: string, range: DataRange): boolean {
    const { current } = this;
    const lease = this.leases.find(range.lease, holder);
    if (current === undefined || lease === undefined || lease.task !== range.dataShard) return false;
    if (range.dataSet !== current.number || range.epoch !== current.epoch) return false;
    const { begin, end } = positionsOf(current.dataSet, range.dataShard);
    return range.begin === begin && range.end === end;
  }

  /** A push for `range` was carried out, with these metrics. REQUIRES: it counts. */
  advance(range: DataRange, metrics: Readonly<Record<string, number>> | undefined): void {
    this.metrics.add(metrics, range.to - range.from);
    if (!this.progress.advance(range) || this.leases.end(range.lease) !== undefined) return;
    // Its holder lost it while the push was carried out.
    const at = this.#returned.indexOf(range.dataShard);
    if (at >= 0) this.#returned.splice(at, 1);
    for (const { number, task } of [...this.leases]) if (task === range.dataShard) this.leases.end(number);
  }

  save(): DataQueueImage {
    return {
      current: this.#current ?? null,
      progress: this.progress.save(),
      next: this.#next,
      returned: [...this.#returned],
      leases: [...this.leases].map(
        ({ number, holder, task }: Lease<number>) => [number, holder, task] as const,
      ),
      lastLease: this.leases.last,
      metrics: this.metrics.save(),
      best: this.best ?? null,
    };
  }

  restore(image: DataQueueImage): void {
    this.#current = image.current ?? undefined;
    this.progress.restore(image.progress);
    this.#next = image.next;
    this.#returned.splice(0, this.#returned.length, ...image.returned);
    this.leases.restart(image.lastLease);
    for (const [number, holder, dataShard] of image.leases) this.leases.give(holder, dataShard, number);
    this.metrics.restore(image.metrics);
    this.best = image.best ?? undefined;
  }

  #shard(dataShard: number): LeasedShard {
    const { begin, end } = positionsOf((this.#current as CurrentDataSet).dataSet, dataShard);
    return { dataShard, begin, end, from: this.progress.positionOf(dataShard, begin) ?? end };
  }

  #restart(): void {
    const { number, epoch } = this.#current as CurrentDataSet;
    this.progress.open(number, epoch);
    this.leases.restart(this.leases.last);
    this.#returned.length = 0;
    this.#next = 0;
    this.metrics.clear();
  }

  #putBack(dataShard: number): void {
    let at = this.#returned.length;
    while (at > 0 && (this.#returned[at - 1] as number) > dataShard) at--;
    this.#returned.splice(at, 0, dataShard);
  }
}
