/**
 * What a simulated worker does that trains on data shards: it asks for one, takes its examples batch by batch, and
 * goes on as the server's answers say, as `io/worker/dataShards.ts` does under `Worker.run`.
 *
 *     connect ─▶ ask for a data shard ─▶ pull ─▶ compute ─▶ push, tick ─▶ … ─▶ ask … ─▶ (ended) leave ─▶ end
 */
import type { PsError } from '../../core/base/errors.js';
import type { DataLease } from '../../core/protocol/taskMessages.js';
import type { DataRange } from '../../core/tasks/dataProgress.js';
import { HeldShard, type ShardLease, type TakenRange } from '../../core/tasks/heldShard.js';
import type { LeaseAnswer, PullAnswer, PushAnswer } from '../../core/worker/events.js';
import type { Ended, SimWorker } from '../cluster/simWorker.js';
import type { ComputedStep, MadePush } from './trainingProgram.js';

/** What such a program is told to do, and who is told what it did. */
export interface DataOwner {
  /** The next pull leaves behind the push; else each waits for the other. */
  readonly isAhead: boolean;
  readonly pullTimeoutMs: number;
  /** It leaves at this clock, whatever is left to do. */
  readonly untilClock: number;
  /** Batches that a step pushes, one behind the other, whatever becomes of the first. */
  readonly pushes: number;
  /** How often the server has told it that its state was lost. */
  rollbacks(): number;
  /** How many examples the next batch has, of so many that are left. */
  batch(left: number): number;
  /** It was given a data shard, with these items. */
  onLeased(lease: DataLease, bytes: Uint8Array): void;
  onPulled(answer: PullAnswer): ComputedStep;
  push(clock: number, range: DataRange): MadePush;
  onEnd(error: PsError | undefined): void;
}

/** A training loop on data shards in one process. */
export class DataProgram {
  readonly #worker: SimWorker;
  readonly #owner: DataOwner;
  #held: HeldShard[] = [];
  #rollbacks: number;
  #isAsking = false;
  #hasEnded = false;
  /** The pull for the next step: whether it is under way, and what its answer is to be computed into. */
  #ahead: 'none' | 'asked' | ComputedStep = 'none';
  /** From its pull's answer to that of its push. */
  #isInStep = false;
  #isOver = false;

  constructor(worker: SimWorker, owner: DataOwner) {
    this.#worker = worker;
    this.#owner = owner;
    this.#rollbacks = owner.rollbacks();
  }

  /** Begins. */
  start(): void {
    this.#worker.call({ kind: 'connect' }, ({ error }) => {
      if (error === undefined) this.#next();
      else if (error.retryable) this.start();
      else this.#end(error);
    });
  }

  /** The data shard that is worked on; those of a state that was lost are given up. */
  get #current(): HeldShard | undefined {
    const rollbacks = this.#owner.rollbacks();
    if (rollbacks !== this.#rollbacks) {
      this.#rollbacks = rollbacks;
      for (const shard of this.#held.splice(0)) shard.void();
    }
    return this.#held.find(({ left }) => left > 0);
  }

  /** Nothing is under way but what was asked for ahead. */
  #next(): void {
    if (this.#worker.core.clock >= this.#owner.untilClock) this.#leave();
    else if (this.#current === undefined) {
      if (this.#hasEnded) this.#leave();
      else this.#ask();
    } else if (this.#ahead === 'none') this.#pull();
    else if (this.#ahead !== 'asked') this.#compute(this.#ahead);
  }

  #ask(): void {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const leases = {
      [Symbol.iterator]: () => this.#held.map(({ lease }) => lease.lease)[Symbol.iterator](),
    };
    this.#worker.call(
      {
        ...{ kind: 'lease', of: 'data', held: leases, want: 1, concurrency: 1 },
        ...{ maxBytes: 1e6, into: undefined },
      },
      ({ value, error }) => {
        this.#isAsking = false;
        if (error !== undefined) this.#end(error);
        else this.#take(value as LeaseAnswer);
      },
    );
  }

  #take({ message, bytes }: LeaseAnswer): void {
    const lease = message as DataLease;
    if (lease.isEnded) this.#hasEnded = true;
    if (lease.lease !== undefined) {
      this.#owner.onLeased(lease, bytes);
      this.#held.push(new HeldShard(lease as DataLease & ShardLease));
    }
    if (!this.#isInStep && this.#ahead !== 'asked') this.#next();
  }

  #pull(): void {
    this.#ahead = 'asked';
    this.#worker.call(
      {
        ...{ kind: 'pull', tensors: undefined, into: undefined, training: true, ifNewerThan: undefined },
        ...{ wait: false, consistent: true, timeoutMs: this.#owner.pullTimeoutMs },
      },
      ({ value, error }) => {
        if (error === undefined) this.#ahead = this.#owner.onPulled(value as PullAnswer);
        else if (error.code === 'PS_PULL_TIMEOUT' && !this.#worker.core.hasEnded) this.#ahead = 'none';
        else this.#end(error);
        if (!this.#isInStep) this.#next();
      },
    );
  }

  #compute({ computeMs, isBlocking, announcedMs }: ComputedStep): void {
    this.#ahead = 'none';
    this.#isInStep = true;
    const { process } = this.#worker;
    const begin = (): void => {
      if (isBlocking) process.block(computeMs, () => this.#push());
      else process.after(computeMs, () => this.#push());
    };
    if (announcedMs === undefined) begin();
    else this.#worker.call({ kind: 'computing', stepMs: announcedMs }, begin);
  }

  #push(): void {
    const shard = this.#current;
    if (shard === undefined) {
      this.#isInStep = false;
      this.#next();
      return;
    }
    const batches: TakenRange[] = [];
    for (let left = this.#owner.pushes; left > 0 && shard.left > 0; left--) {
      batches.push(shard.take(this.#owner.batch(shard.left)));
    }
    let unanswered = batches.length;
    for (const [i, taken] of batches.entries()) {
      this.#send(shard, taken, i === batches.length - 1, () => {
        if (--unanswered > 0) return;
        this.#isInStep = false;
        this.#next();
      });
    }
    if (!this.#owner.isAhead) return;
    // The next data shard is asked for while the last batch of this one is under way.
    if (this.#current === undefined && !this.#hasEnded) this.#ask();
    if (this.#current !== undefined) this.#pull();
  }

  #send(shard: HeldShard, taken: TakenRange, tick: boolean, then: () => void): void {
    const { content, onEnded } = this.#owner.push(this.#worker.core.clock, taken.range);
    const rest = { metrics: undefined, examples: undefined, tick } as const;
    this.#worker.call({ kind: 'push', ...content, ...rest, data: taken.range }, (ended) => {
      onEnded(ended as Ended<PushAnswer>);
      if (this.#worker.core.hasEnded) {
        this.#end(ended.error);
        return;
      }
      const answer = ended.value as PushAnswer | undefined;
      const verdict = shard.settle(taken, answer === undefined ? 'lost' : answer.progress);
      if (verdict === 'done' || verdict === 'over') this.#drop(shard);
      then();
    });
  }

  #drop(shard: HeldShard): void {
    this.#held = this.#held.filter((each) => each !== shard);
  }

  #leave(): void {
    if (this.#isOver || this.#isAsking || this.#ahead === 'asked') return;
    this.#held.length = 0;
    this.#worker.call({ kind: 'clock', operation: 'leave' }, ({ error }) => {
      if (error !== undefined) this.#end(error);
      else this.#worker.call({ kind: 'close', reason: 'done' }, () => this.#end(undefined));
    });
  }

  #end(error: PsError | undefined): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#owner.onEnd(error);
  }
}
