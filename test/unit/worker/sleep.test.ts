import { describe, expect, it } from 'vitest';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { Harness, MODEL } from './coreHarness.js';

const { enter, hello, leave, ping, pong, pull, push } = MessageType;
const HOUR = 3_600_000;
const reconnect = { retries: 1000, minDelayMs: 500, maxDelayMs: 30_000, maxOfflineMs: 600_000 };

function opened(options = {}, welcome = {}): Harness {
  const h = new Harness(options);
  h.open(welcome);
  h.sent();
  return h;
}

const types = (h: Harness) => h.sent().map(({ t }) => t);

/** The page is frozen: nothing runs for so long, not even timers. */
function sleepFor(h: Harness, ms: number): void {
  h.step({ kind: 'sleep' });
  h.now += ms;
  h.step({ kind: 'wake' });
}

describe('a worker that is put to sleep', () => {
  it('leaves the clock table, closes its connection, and wants no waking', () => {
    const h = opened();
    h.clock('enter');
    h.sent();
    const effects = h.step({ kind: 'sleep' });
    expect(types(h)).toEqual([leave]);
    expect(effects.at(-1)).toMatchObject({ kind: 'close', code: 1000 });
    expect(h.core.isOpen).toBe(false);
    expect(h.core.nextTickAt()).toBe(Number.POSITIVE_INFINITY);
  });

  it('says nothing if it is in no clock table', () => {
    const h = opened();
    h.step({ kind: 'sleep' });
    expect(types(h)).toEqual([]);
  });

  it('cuts a transfer off rather than putting a message into it, and sends it again', () => {
    const h = opened({}, { chunkBytes: 16 });
    const request = h.push(5);
    h.streams[0]?.next();
    const effects = h.step({ kind: 'sleep' });
    expect(effects.map(({ kind }) => kind)).toContain('terminate');
    expect(effects.some(({ kind }) => kind === 'send')).toBe(false);
    h.step({ kind: 'streamEnded', stream: h.streams[0]?.id ?? 0 });
    h.step({ kind: 'wake' });
    h.redial();
    h.accept({ chunkBytes: 16 });
    expect(types(h)).toContain(push);
    h.answerPush(1);
    expect(h.outcome(request)?.value).toBeDefined();
  });

  it('comes back with its place and what was unanswered, and time asleep counts for nothing', () => {
    const h = opened({ reconnect });
    const requests = [h.push(1, { tick: true }), h.pull({ timeoutMs: 60_000 })];
    h.sent();
    sleepFor(h, 5 * HOUR);
    expect(requests.map((each) => h.outcome(each))).toEqual([undefined, undefined]);
    h.redial();
    h.accept({ committedSeq: 1, clock: 1, resumed: true });
    const again = h.sent();
    expect(again.map(({ t }) => t)).toEqual([leave, hello, enter, push, pull]);
    h.answerPush(1, { clock: 1, duplicate: true });
    h.answerPull((again.at(-1) as { request: number }).request, MODEL, { clock: 1 });
    expect(requests.map((each) => h.outcome(each)?.error)).toEqual([undefined, undefined]);
    expect(h.observed('rollback')).toEqual([]);
  });

  it('does not run out of patience while it was offline before, or connects for the first time', () => {
    const offline = opened({ reconnect });
    offline.drop();
    sleepFor(offline, 5 * HOUR);
    offline.redial();
    expect(offline.core.hasEnded).toBe(false);
    const first = new Harness({ reconnect, connectTimeoutMs: 1000 });
    const request = first.request({ kind: 'connect' });
    sleepFor(first, 5 * HOUR);
    first.redial();
    first.accept();
    expect(first.outcome(request)).toEqual({ value: undefined });
  });

  it('passes over what its old connection still says', () => {
    const h = opened();
    h.step({ kind: 'sleep' });
    h.drop(1000);
    h.step({ kind: 'tick' });
    expect(h.core.nextTickAt()).toBe(Number.POSITIVE_INFINITY);
    expect(h.observed('closed')).toEqual([]);
  });

  it('can be closed, and can be told twice', () => {
    const h = opened();
    h.step({ kind: 'sleep' });
    expect(h.step({ kind: 'sleep' })).toEqual([]);
    const request = h.request({ kind: 'close', reason: 'done' });
    expect(h.outcome(request)).toEqual({ value: undefined });
    expect(h.step({ kind: 'wake' })).toEqual([]);
  });

  it('ends when it wakes, if it may not reconnect', () => {
    const h = opened({ reconnect: { ...reconnect, retries: 0 } });
    sleepFor(h, HOUR);
    expect(h.observed('closed')[0]?.error?.code).toBe('PS_CONNECTION_LOST');
  });
});

describe('workers that are woken together', () => {
  it('do not come back together', () => {
    const delays = Array.from({ length: 200 }, (_, seed) => {
      const h = opened({ seed, reconnect });
      sleepFor(h, HOUR);
      return h.core.nextTickAt() - h.now;
    });
    // Uniform in [0, 500): each tenth of it gets its share.
    for (let tenth = 0; tenth < 10; tenth++) {
      const share = delays.filter((each) => Math.floor(each / 50) === tenth).length;
      expect(share, `${tenth}`).toBeGreaterThan(5);
    }
  });

  it('shorten a long backoff to a short one, likewise spread', () => {
    const delays = Array.from({ length: 50 }, (_, seed) => {
      const h = opened({ seed, reconnect });
      for (let i = 0; i < 8; i++) {
        h.drop();
        h.redial();
      }
      h.drop();
      h.step({ kind: 'wake' });
      return h.core.nextTickAt() - h.now;
    });
    expect(Math.max(...delays)).toBeLessThan(500);
    expect(new Set(delays).size).toBe(50);
  });

  it('still wait for as long as the server asked for', () => {
    const h = opened({ reconnect });
    h.receive({ t: MessageType.drain, retryAfterMs: 20_000 });
    h.drop();
    h.step({ kind: 'wake' });
    expect(h.core.nextTickAt()).toBeGreaterThanOrEqual(h.now + 20_000);
  });
});

describe('a worker whose network is back', () => {
  it('asks whether its connection lives, and keeps one that answers', () => {
    const h = opened();
    h.step({ kind: 'wake' });
    expect(types(h)).toEqual([ping]);
    h.receive({ t: pong });
    h.pass(9000);
    expect(h.core.isOpen).toBe(true);
  });

  it('gives up within seconds one that does not', () => {
    const h = opened();
    h.step({ kind: 'wake' });
    h.pass(4999);
    expect(h.core.isOpen).toBe(true);
    h.pass(1);
    expect(h.core.isOpen).toBe(false);
    expect(h.count('terminate')).toBe(1);
  });
});
