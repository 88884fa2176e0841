/**
 * How far the examples of the present epoch have been counted, on every shard of the parameters: the rule
 * that makes an example count once. A push for the positions [from, to) of a data shard counts if `from` is
 * where that data shard's progress stands; then it stands at `to`. No other push moves it.
 *
 * Epochs come one after the other: a push of a later one ends what was open before, an earlier one counts no more.
 */
import { type IndexRange, IndexSet } from './indexSet.js';

/** The examples of a push: positions in the order of an epoch. */
export interface DataRange {
  /** Number of the data set, from 1. */
  readonly dataSet: number;
  /** From 0. */
  readonly epoch: number;
  /** Number of the data shard in its epoch, from 0. */
  readonly dataShard: number;
  /** The positions of the whole data shard: [begin, end). */
  readonly begin: number;
  readonly end: number;
  /** The positions that the push covers: [from, to). */
  readonly from: number;
  readonly to: number;
  /** The lease under which they were computed. */
  readonly lease: number;
}

/** A progress as plain data. */
export interface ProgressImage {
  readonly dataSet: number;
  readonly epoch: number;
  /** Data shards that are partly counted. */
  readonly open: readonly (readonly [dataShard: number, position: number])[];
  /** Data shards that are wholly counted. */
  readonly done: readonly IndexRange[];
}

/** Data sets that may have been begun and ended without a push. */
const MAX_DATA_SETS_AHEAD = 1024;

/** The progress of one epoch. */
export class DataProgress {
  #dataSet = 0;
  #epoch = 0;
  readonly #open = new Map<number, number>();
  readonly #done = new IndexSet();

  /** Whether an epoch was ever opened. */
  get isUsed(): boolean {
    return this.#dataSet > 0;
  }

  /** Data shards that are wholly counted. */
  get doneShards(): number {
    return this.#done.size;
  }

  /** Examples counted in this epoch, if its data shards have `shardSize` examples and all of them `size`. */
  examples(shardSize: number, size: number): number {
    let sum = Math.min(size, this.#done.size * shardSize);
    const last = Math.ceil(size / shardSize) - 1;
    if (this.#done.size <= last && this.#done.has(last)) sum -= (last + 1) * shardSize - size;
    for (const [dataShard, position] of this.#open) sum += position - dataShard * shardSize;
    return sum;
  }

  isDone(dataShard: number): boolean {
    return this.#done.has(dataShard);
  }

  /** Where data shard `dataShard`, which begins at `begin`, stands; undefined once it is done. */
  positionOf(dataShard: number, begin: number): number | undefined {
    return this.#done.has(dataShard) ? undefined : (this.#open.get(dataShard) ?? begin);
  }

  /** How far the data shard of `range` is counted; undefined: its epoch is over, or there can be no such epoch yet. */
  reached(range: DataRange): number | undefined {
    const order = this.#compare(range);
    if (order !== 0) return order < 0 || !this.#mayFollow(range) ? undefined : range.begin;
    return this.positionOf(range.dataShard, range.begin) ?? range.end;
  }

  /** Whether a push for `range` counts now. */
  counts(range: DataRange): boolean {
    return range.from < range.to && range.to <= range.end && this.reached(range) === range.from;
  }

  /** The push for `range` has been carried out. Returns whether its data shard is done. REQUIRES: it counts. */
  advance(range: DataRange): boolean {
    if (this.#compare(range) > 0) this.open(range.dataSet, range.epoch);
    if (range.to < range.end) {
      this.#open.set(range.dataShard, range.to);
      return false;
    }
    this.#open.delete(range.dataShard);
    this.#done.add(range.dataShard);
    return true;
  }

  /** An epoch begins; nothing of it is counted. */
  open(dataSet: number, epoch: number): void {
    this.#dataSet = dataSet;
    this.#epoch = epoch;
    this.#open.clear();
    this.#done.clear();
  }

  save(): ProgressImage {
    const open = [...this.#open].sort(([a], [b]) => a - b);
    return { dataSet: this.#dataSet, epoch: this.#epoch, open, done: this.#done.ranges };
  }

  restore({ dataSet, epoch, open, done }: ProgressImage): void {
    this.open(dataSet, epoch);
    for (const [dataShard, position] of open) this.#open.set(dataShard, position);
    this.#done.restore(done);
  }

  /** Whether the epoch of `range`, which is later, may be the next: one that is far ahead would end all before it. */
  #mayFollow({ dataSet, epoch }: DataRange): boolean {
    if (!this.isUsed) return true;
    if (dataSet === this.#dataSet) return epoch === this.#epoch + 1;
    return epoch === 0 && dataSet <= this.#dataSet + MAX_DATA_SETS_AHEAD;
  }

  /** Below 0: `range` is of an epoch that is over; above 0: of one that has not begun here. */
  #compare({ dataSet, epoch }: DataRange): number {
    return dataSet === this.#dataSet ? epoch - this.#epoch : dataSet - this.#dataSet;
  }
}
