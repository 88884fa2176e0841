import { describe, expect, it } from 'vitest';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { CacheStore } from '../../../src/core/worker/cache/cacheStore.js';
import { CachingCore } from '../../../src/core/worker/cache/cachingCore.js';
import type { PullAnswer, WorkerEffect } from '../../../src/core/worker/events.js';
import { Harness, MODEL, pullResultOf } from './coreHarness.js';

/** A core with a cache, connected, under SSP(1); the harness plays the server. */
class Cached {
  readonly h: Harness = new Harness();
  readonly store: CacheStore = new CacheStore();
  readonly core: CachingCore;
  readonly effects: WorkerEffect[] = [];
  #request = 100;

  constructor() {
    this.h.open({ staleness: 1 });
    this.core = new CachingCore(this.h.core, this.store);
  }

  command(command: object): number {
    const request = ++this.#request;
    this.effects.push(...this.core.step({ request, now: 0, ...command } as never));
    return request;
  }

  pull(command: object = {}): number {
    const rest = { tensors: undefined, into: undefined, training: true, ifNewerThan: undefined, wait: false };
    return this.command({ kind: 'pull', ...rest, consistent: true, timeoutMs: 60_000, ...command });
  }

  push(): number {
    const values = [new Float32Array(6).fill(1), new Float32Array(4).fill(1)];
    const rest = { metrics: undefined, examples: undefined };
    return this.command({ kind: 'push', tensors: [0, 1], values, tick: true, ...rest });
  }

  get #here(): { readonly connection: number; readonly now: number } {
    return { connection: this.h.connection, now: 0 };
  }

  /** The server answers pull `wire`. */
  answer(wire: number, minClock: number, version = 1): void {
    const payload = new Uint8Array(Float32Array.from(MODEL).buffer);
    const message = pullResultOf(wire, { minClock, version, clock: this.core.clock });
    this.effects.push(...this.core.step({ kind: 'message', ...this.#here, message, payload }));
  }

  /** The server answers pull `wire` of tensor 0. */
  answerTensor(wire: number, minClock: number): void {
    const payload = new Uint8Array(Float32Array.from(MODEL.slice(0, 6)).buffer);
    const message = pullResultOf(wire, { minClock, bytes: payload.byteLength });
    this.effects.push(...this.core.step({ kind: 'message', ...this.#here, message, payload }));
  }

  hearStaleness(staleness: number | undefined): void {
    const message = { t: MessageType.staleness, staleness };
    const payload = new Uint8Array(0);
    this.effects.push(...this.core.step({ kind: 'message', ...this.#here, message, payload }));
  }

  answerOf(request: number): PullAnswer | undefined {
    const end = this.effects.find((each) => each.kind === 'settle' && each.request === request);
    return end?.kind === 'settle' ? (end.value as PullAnswer) : undefined;
  }

  /** Messages of pulls that were sent. */
  get pulls(): number {
    return this.effects.filter((each) => each.kind === 'send' && each.message.t === MessageType.pull).length;
  }
}

describe('a core with a cache', () => {
  it('serves by the minClock of what was pulled, counting ticks under way', () => {
    const c = new Cached();
    c.pull();
    c.answer(1, 0);
    const again = c.pull();
    expect(c.answerOf(again)).toMatchObject({ bytes: 0, version: 1, minClock: 0 });
    expect(c.pulls).toBe(1);
    // At clock 1, which nobody has confirmed, it may still serve; at clock 2 not.
    c.command({ kind: 'clock', operation: 'tick' });
    expect(c.answerOf(c.pull())?.bytes).toBe(0);
    c.command({ kind: 'clock', operation: 'tick' });
    expect(c.answerOf(c.pull())).toBeUndefined();
    c.answer(4, 1);
    expect(c.store.stats).toMatchObject({ hits: 6, misses: 6 });
  });

  it('counts what is asked for as a miss, also where some of it was here', () => {
    const c = new Cached();
    c.pull({ tensors: [0] });
    c.answerTensor(1, 0);
    const whole = c.pull();
    expect(c.store.stats).toMatchObject({ hits: 0, misses: 1 });
    c.answer(2, 0);
    expect(c.answerOf(whole)).toBeDefined();
    expect(c.store.stats).toMatchObject({ hits: 0, misses: 4 });
    c.pull();
    expect(c.store.stats).toMatchObject({ hits: 3, misses: 4 });
  });

  it('obeys a bound that is changed while it is connected', () => {
    const c = new Cached();
    c.pull();
    c.answer(1, 0);
    c.command({ kind: 'clock', operation: 'tick' });
    expect(c.answerOf(c.pull())?.bytes).toBe(0);
    c.hearStaleness(0);
    const asked = c.pull();
    expect(c.answerOf(asked)).toBeUndefined();
    c.answer(3, 1);
    // Without a bound it serves within a clock.
    c.hearStaleness(undefined);
    expect(c.answerOf(c.pull())?.bytes).toBe(0);
    c.command({ kind: 'clock', operation: 'tick' });
    expect(c.answerOf(c.pull())).toBeUndefined();
  });

  it('serves nobody who asks for something newer', () => {
    const c = new Cached();
    c.pull();
    c.answer(1, 0, 7);
    expect(c.answerOf(c.pull({ ifNewerThan: 7 }))).toBeUndefined();
    expect(c.pulls).toBe(2);
  });

  it('keeps nothing that was asked for before a push to it', () => {
    const c = new Cached();
    c.pull();
    c.push();
    c.answer(1, 0);
    expect(c.store.stats.entries).toBe(1);
    expect(c.answerOf(c.pull({ tensors: [2] }))?.bytes).toBe(0);
    expect(c.answerOf(c.pull({ tensors: [0] }))).toBeUndefined();
  });

  it('serves nobody who is out of the clock table', () => {
    const c = new Cached();
    c.pull();
    c.answer(1, 0);
    c.command({ kind: 'clock', operation: 'leave' });
    expect(c.answerOf(c.pull())).toBeUndefined();
    expect(c.pulls).toBe(2);
    c.answer(3, 0);
    expect(c.answerOf(c.pull())?.bytes).toBe(0);
    // Whoever asks for a data shard may be put out while it waits.
    const lease = { of: 'data', held: [], want: 1, concurrency: 1, maxBytes: 1_000, into: undefined };
    c.command({ kind: 'lease', ...lease });
    expect(c.answerOf(c.pull())).toBeUndefined();
  });

  it('serves nobody whose clock is not known again', () => {
    const c = new Cached();
    c.pull();
    c.answer(1, 0);
    c.command({ kind: 'clock', operation: 'leave' });
    const [first, second] = [c.pull({ tensors: [0] }), c.pull()];
    expect([c.answerOf(first), c.answerOf(second)]).toEqual([undefined, undefined]);
    expect(c.pulls).toBe(3);
    // Asked for before it waited for a data shard: that says nothing of the clock after it.
    const d = new Cached();
    const [, asked] = [d.pull(), d.pull()];
    d.answer(1, 0);
    d.command({
      kind: 'lease',
      of: 'data',
      held: [],
      want: 1,
      concurrency: 1,
      maxBytes: 1_000,
      into: undefined,
    });
    d.answer(2, 0);
    expect(d.answerOf(asked)).toBeDefined();
    expect(d.answerOf(d.pull())).toBeUndefined();
  });

  it('asks for no parameters, too, since the answer says the clock', () => {
    const c = new Cached();
    c.pull();
    c.answer(1, 0);
    expect(c.answerOf(c.pull({ tensors: [] }))).toBeUndefined();
  });

  it('leaves pulls of readers alone', () => {
    const c = new Cached();
    c.pull();
    c.answer(1, 0);
    c.pull({ training: false });
    expect(c.pulls).toBe(2);
  });
});
