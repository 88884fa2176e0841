/**
 * Shards whose processes die are started again where they were, if they keep their state on disk: at the same port, since
 * workers look for them there. One in memory is not: with first values beside the others' it would spoil the model.
 */
import type { PsError } from '../../core/base/errors.js';
import type { ShardChild } from './shardChild.js';
import type { ShardStart } from './shardMessages.js';

/** Delay before the first attempt; each further one waits twice as long, up to `MAX_DELAY_MS`. */
const MIN_DELAY_MS = 200;
const MAX_DELAY_MS = 30_000;

/** What revivals need of their group. */
export interface RevivalOwner {
  /** A new process for shard `index`. */
  start(index: number): ShardChild;
  /** Shard `index` listens again. */
  revived(index: number, shard: ShardChild): void;
  /** An attempt has failed. */
  failed(error: PsError): void;
}

/** The shards of one group that are being started again. */
export class ShardRevivals {
  readonly #owner: RevivalOwner;
  readonly #underWay = new Map<number, Promise<void>>();
  readonly #ended = new AbortController();

  constructor(owner: RevivalOwner) {
    this.#owner = owner;
  }

  /** Starts a shard again as `start` says, until it listens or the group ends. */
  begin(start: ShardStart): void {
    const { index } = start;
    // The process of an attempt may die too.
    if (this.#underWay.has(index) || this.#ended.signal.aborted) return;
    const revival = this.#revive(start).finally(() => this.#underWay.delete(index));
    this.#underWay.set(index, revival);
  }

  /** No shard is started any more; resolves when nothing is under way. */
  async end(): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#underWay.values());
  }

  async #revive(start: ShardStart): Promise<void> {
    const { signal } = this.#ended;
    for (let delayMs = MIN_DELAY_MS; ; delayMs = Math.min(MAX_DELAY_MS, 2 * delayMs)) {
      await pause(delayMs, signal);
      if (signal.aborted) return;
      const shard = this.#owner.start(start.index);
      try {
        await shard.call('start', [start]);
        await shard.call('listen', []);
      } catch (error) {
        await shard.end({}, 0);
        if (!signal.aborted) this.#owner.failed(error as PsError);
        continue;
      }
      this.#owner.revived(start.index, shard);
      return;
    }
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
  });
}
