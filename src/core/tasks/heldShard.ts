/**
 * A data shard in a worker's hands: which of its examples have been pushed, and what the server says is counted. A
 * push that was not counted takes the worker back to where the server stands: what it had cut behind it is void.
 */
import type { DataRange } from './dataProgress.js';

/** A data shard as it was leased. */
export type ShardLease = Omit<DataRange, 'from' | 'to'> & {
  /** Where the part that was counted before ends. */
  readonly from: number;
};

/** The examples of a batch. */
export interface TakenRange {
  readonly range: DataRange;
  /** Of which cut they are: the number rises when the data shard is cut anew. */
  readonly cut: number;
}

/**
 * What the answer to a push means. `'counted'`; `'done'`: with it all of the data shard is; `'again'`: it is to be cut
 * anew from `position`; `'over'`: it is not this worker's any more; `'void'`: of a batch that had been given up.
 */
export type PushVerdict = 'counted' | 'done' | 'again' | 'over' | 'void';

/** One data shard that a worker holds. */
export class HeldShard {
  readonly lease: ShardLease;
  /** Up to here batches were pushed. */
  position: number;
  #cut = 0;
  #isOver = false;

  constructor(lease: ShardLease) {
    this.lease = lease;
    this.position = lease.from;
  }

  /** Which cut the next batch is of. */
  get cut(): number {
    return this.#cut;
  }

  /** Examples that were not pushed. */
  get left(): number {
    return this.#isOver ? 0 : this.lease.end - this.position;
  }

  /** The next `count` examples. REQUIRES: 1 ≤ count ≤ left. */
  take(count: number): TakenRange {
    const { dataSet, epoch, dataShard, begin, end, lease } = this.lease;
    const from = this.position;
    this.position = from + count;
    return {
      range: { dataSet, epoch, dataShard, begin, end, from, to: this.position, lease },
      cut: this.#cut,
    };
  }

  /**
   * A push was answered: `progress` is how far its data shard is counted; undefined: it is over for this worker.
   * `'lost'`: there is no answer, the push was refused or the server lost it.
   */
  settle({ range, cut }: TakenRange, progress: number | undefined | 'lost'): PushVerdict {
    if (typeof progress === 'number' && progress >= range.to && progress <= this.position) {
      if (progress < range.end) return 'counted';
      this.#isOver = true;
      return 'done';
    }
    if (this.#isOver || cut !== this.#cut) return 'void';
    this.#cut++;
    // It may have been done by another: what is cut and not pushed is void all the same.
    if (progress === undefined || progress === range.end) {
      this.#isOver = true;
      return 'over';
    }
    this.position = progress === 'lost' ? range.from : progress;
    return 'again';
  }

  /** The server lost its state: the lease is of another. */
  void(): void {
    this.#cut++;
    this.#isOver = true;
  }
}
