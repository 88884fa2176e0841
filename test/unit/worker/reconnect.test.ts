import { describe, expect, it } from 'vitest';
import { type Message, MessageType } from '../../../src/core/protocol/messages.js';
import { floatsOf } from '../../../src/core/protocol/modelStream.js';
import { Harness, MODEL, offsetsOf } from './coreHarness.js';

const { hello, push, pull, tick, enter, leave, clockResult, finish, drain } = MessageType;

function opened(options = {}, welcome = {}): Harness {
  const h = new Harness(options);
  h.open(welcome);
  h.sent();
  return h;
}

/** Message types with their seq, clock or request. */
function outline(messages: readonly Message[]): [type: number, number?][] {
  return messages.map((each) => {
    if (each.t === push) return [each.t, each.seq];
    if (each.t === tick || each.t === pull) return [each.t, each.clock];
    return [each.t];
  });
}

describe('what is unanswered when the connection is lost', () => {
  it('is sent again on the next one, in order, with the same numbers and clocks', () => {
    const h = opened();
    const requests = [h.push(1, { tick: true }), h.push(2), h.clock('tick'), h.pull(), h.push(3)];
    expect(outline(h.sent())).toEqual([
      [push, 1],
      [push, 2],
      [tick, 2],
      [pull, 2],
      [push, 3],
    ]);
    h.answerPush(1, { clock: 1 });
    h.reconnect({ committedSeq: 2, clock: 1, resumed: true });
    const again = h.sent();
    expect(outline(again)).toEqual([[hello], [enter], [push, 2], [tick, 2], [pull, 2], [push, 3]]);
    expect(h.observed('rollback')).toEqual([]);
    h.answerPush(2, { duplicate: true, outcome: 'scaled', clock: 1 });
    h.answerPush(3, { clock: 2 });
    const wireOf = (type: number) => (again.find(({ t }) => t === type) as { request: number }).request;
    h.receive({ t: clockResult, request: wireOf(tick), clock: 2, minClock: 0 });
    h.answerPull(wireOf(pull), MODEL, { clock: 2 });
    expect(requests.map((each) => h.outcome(each)?.error)).toEqual([1, 2, 3, 4, 5].map(() => undefined));
    expect(h.outcome(requests[1] as number)?.value).toMatchObject({ duplicate: true, outcome: 'scaled' });
    expect(h.core.clock).toBe(2);
  });

  it('keeps its own bytes where several pushes leave in one step', () => {
    const h = opened();
    for (const value of [1, 2, 3]) h.push(value);
    h.sent();
    h.drop();
    h.redial();
    const from = h.effects.length;
    h.accept({ committedSeq: 0, resumed: true });
    const sends = h.effects.slice(from).filter((each) => each.kind === 'send');
    const payloads = sends.flatMap(({ payload }) => (payload === undefined ? [] : [floatsOf(payload)]));
    expect(payloads.map((floats) => new Set(floats))).toEqual([1, 2, 3].map((value) => new Set([value])));
  });

  it('begins a half-sent push again at byte 0', () => {
    const h = opened({}, { chunkBytes: 16 });
    const request = h.push(5);
    const [stream] = h.streams;
    stream?.next();
    h.drop();
    h.step({ kind: 'streamEnded', stream: stream?.id ?? 0 });
    h.redial();
    h.sent();
    h.accept({ chunkBytes: 16 });
    expect(h.streams).toHaveLength(2);
    const parts = h.sentParts().filter(({ message }) => message.t !== hello && message.t !== enter);
    expect(offsetsOf(parts)).toEqual({ bytes: 40, isContiguous: true });
    h.answerPush(1);
    expect(h.outcome(request)?.value).toBeDefined();
  });

  it('begins a half-received pull again, into the same arrays', () => {
    const h = opened();
    const mine = new Float32Array(6);
    const request = h.pull({ tensors: [0], into: [mine] });
    const head = {
      t: MessageType.pullResult,
      request: 1,
      version: 1,
      clock: 0,
      minClock: 0,
      bytes: 24,
    } as const;
    h.receive({ ...head, notModified: false }, new Uint8Array(8).fill(255));
    h.sent();
    h.reconnect();
    const wire = (h.sent().find(({ t }) => t === pull) as { request: number }).request;
    h.answerPull(wire, [1, 2, 3, 4, 5, 6], { version: 2 });
    expect([...mine]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(h.outcome(request)?.value).toMatchObject({ version: 2 });
  });

  it('includes what is asked for meanwhile', () => {
    const h = opened();
    h.drop();
    h.push();
    h.pull();
    h.redial();
    expect(h.sent()).toEqual([]);
    h.accept();
    expect(outline(h.sent())).toEqual([[hello], [push, 1], [pull, 0]]);
  });

  it('survives any number of losses', () => {
    const h = opened();
    const request = h.push();
    for (let i = 0; i < 50; i++) h.reconnect();
    expect(h.outcome(request)).toBeUndefined();
    h.answerPush(1);
    expect(h.outcome(request)?.value).toMatchObject({ outcome: 'applied' });
  });

  it('leaves the clock table if that was asked for, even where the answer was lost', () => {
    const h = opened();
    h.clock('enter');
    const request = h.clock('leave');
    h.sent();
    h.reconnect();
    const again = h.sent();
    expect(outline(again)).toEqual([[hello], [leave], [enter], [leave]]);
    const wire = (again[3] as { request: number }).request;
    h.receive({ t: clockResult, request: wire, clock: 0, minClock: 0 });
    expect(h.outcome(request)?.value).toEqual({ clock: 0, minClock: 0 });
  });
});

describe('an evicted worker', () => {
  it('comes back, and goes on from the clock that the server gives it', () => {
    const h = opened();
    h.push(1, { tick: true });
    h.answerPush(1, { clock: 1 });
    const request = h.push(2, { tick: true });
    h.refuse('PS_LEASE_EXPIRED');
    expect(h.observed('reconnecting')[0]).toMatchObject({ error: { code: 'PS_LEASE_EXPIRED' } });
    h.redial();
    h.sent();
    h.accept({ epoch: 2, committedSeq: 1, clock: 8, minClock: 8, resumed: true });
    expect(h.observed('rollback')).toEqual([]);
    expect(outline(h.sent())).toEqual([[hello], [enter], [push, 2]]);
    h.answerPush(2, { clock: 8 });
    expect(h.outcome(request)?.value).toMatchObject({ outcome: 'applied' });
    h.pull();
    h.clock('tick');
    expect(outline(h.sent())).toEqual([
      [pull, 8],
      [tick, 9],
    ]);
  });

  it('comes back too where only the close code says so', () => {
    const h = opened();
    h.drop(4308, 'evicted');
    expect(h.observed('reconnecting')[0]?.error.code).toBe('PS_LEASE_EXPIRED');
  });
});

describe('the delay before each attempt', () => {
  const reconnect = {
    retries: Number.POSITIVE_INFINITY,
    minDelayMs: 500,
    maxDelayMs: 30_000,
    maxOfflineMs: 1e12,
  };

  function delays(seed: number, count: number): number[] {
    const h = opened({ seed, reconnect });
    for (let i = 0; i < count; i++) {
      h.drop();
      h.redial();
    }
    return h.observed('reconnecting').map(({ delayMs }) => delayMs);
  }

  it('is spread over [0, bound], the bound doubling up to its maximum', () => {
    const bounds = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000];
    const runs = Array.from({ length: 400 }, (_, seed) => delays(seed, bounds.length));
    for (const [attempt, bound] of bounds.entries()) {
      const each = runs.map((run) => run[attempt] as number);
      expect(Math.min(...each)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...each)).toBeLessThanOrEqual(bound);
      // Uniform: each tenth of the range has its share of 400 draws, within six standard deviations.
      for (let tenth = 0; tenth < 10; tenth++) {
        const low = (bound * tenth) / 10;
        const count = each.filter((delay) => delay >= low && delay < low + bound / 10).length;
        expect(Math.abs(count - 40)).toBeLessThan(36);
      }
    }
  });

  describe('where nobody listens', () => {
    const refusal = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });

    /** Largest delays of many workers, attempt by attempt, that find nobody listening, as long as `ms`. */
    function refused(ms: number, policy = reconnect): { largest: number[]; offlineMs: number[] } {
      const largest: number[] = [];
      const offlineMs: number[] = [];
      for (let seed = 0; seed < 200; seed++) {
        const h = opened({ seed, reconnect: policy });
        const lostAt = h.now;
        h.drop();
        while (h.now - lostAt < ms && Number.isFinite(h.core.nextTickAt())) {
          h.redial();
          h.drop(1006, 'refused', refusal);
        }
        offlineMs.push(h.now - lostAt);
        for (const [i, { delayMs }] of h.observed('reconnecting').entries()) {
          largest[i] = Math.max(largest[i] ?? 0, delayMs);
        }
      }
      return { largest, offlineMs };
    }

    it('stays small for a minute, as a server that is started again is soon back', () => {
      const { largest } = refused(30_000);
      expect(largest[0]).toBeLessThanOrEqual(500);
      expect(Math.max(...largest)).toBeLessThanOrEqual(1000);
    });

    it('grows after that', () => {
      const { largest } = refused(400_000);
      expect(Math.max(...largest)).toBeGreaterThan(20_000);
      expect(Math.max(...largest)).toBeLessThanOrEqual(30_000);
    });

    it('grows at once where attempts are counted: they must last', () => {
      const { offlineMs } = refused(1e9, { ...reconnect, retries: 8 });
      const mean = offlineMs.reduce((sum, each) => sum + each, 0) / offlineMs.length;
      // Half of 0.5 + 1 + 2 + 4 + 8 + 16 + 30 + 30 s.
      expect(mean).toBeGreaterThan(35_000);
    });

    it('is as after any other loss when something else went wrong', () => {
      const h = opened({ reconnect });
      for (let i = 0; i < 12; i++) {
        h.drop(1006, 'unreachable', Object.assign(new Error(), { code: 'EHOSTUNREACH' }));
        h.redial();
      }
      expect(Math.max(...h.observed('reconnecting').map(({ delayMs }) => delayMs))).toBeGreaterThan(1000);
    });
  });

  it('is when the next attempt is made', () => {
    const h = opened({ reconnect });
    h.drop();
    const { delayMs } = h.observed('reconnecting')[0] as { delayMs: number };
    expect(h.core.nextTickAt()).toBeCloseTo(h.now + delayMs, 6);
    expect(h.connection).toBe(1);
    h.pass(delayMs + 1e-6);
    expect(h.connection).toBe(2);
  });

  it('starts small again only after a connection that was of use', () => {
    const h = opened({ reconnect });
    for (let i = 0; i < 3; i++) {
      h.drop();
      h.redial();
    }
    h.accept();
    h.drop();
    expect(h.observed('reconnecting').at(-1)?.attempt).toBe(4);
    h.redial();
    h.accept();
    h.receive({ t: MessageType.pong });
    h.drop();
    expect(h.observed('reconnecting').at(-1)?.attempt).toBe(1);
  });

  it('is not shorter than a draining server asked for, once', () => {
    const h = opened({ reconnect });
    h.receive({ t: drain, retryAfterMs: 5000 });
    h.drop(1012, 'restarting');
    expect(h.observed('reconnecting')[0]?.delayMs).toBeGreaterThanOrEqual(5000);
    h.redial();
    h.drop();
    expect(h.observed('reconnecting')[1]?.delayMs).toBeLessThanOrEqual(1000);
  });
});

describe('a draining server', () => {
  it('is sent nothing more; the rest goes to the next connection', () => {
    const h = opened();
    const before = h.push(1);
    h.receive({ t: drain, retryAfterMs: 100 });
    const after = h.push(2);
    expect(outline(h.sent())).toEqual([[push, 1]]);
    h.answerPush(1);
    expect(h.outcome(before)?.value).toBeDefined();
    h.reconnect({ committedSeq: 1 });
    expect(outline(h.sent())).toEqual([[hello], [enter], [push, 2]]);
    h.answerPush(2);
    expect(h.outcome(after)?.value).toBeDefined();
  });

  it('that refuses requests for it is asked again later', () => {
    const h = opened();
    const requests = [h.pull(), h.push(1)];
    h.refuse('PS_DRAINING', { request: 1 });
    h.refuse('PS_DRAINING', { seq: 1 });
    expect(requests.map((each) => h.outcome(each))).toEqual([undefined, undefined]);
    h.sent();
    h.reconnect();
    expect(outline(h.sent())).toEqual([[hello], [enter], [pull, 0], [push, 1]]);
  });

  it('that does not close is left in the end', () => {
    const h = opened();
    h.receive({ t: drain, retryAfterMs: 0 });
    for (let i = 0; i < 6; i++) {
      expect(h.count('terminate')).toBe(0);
      h.receive({ t: MessageType.pong });
      h.pass(10_000);
    }
    expect(h.count('terminate')).toBe(1);
  });
});

describe('giving up', () => {
  it('after maxOfflineMs: pushes have an unknown outcome, all else has lost the connection', () => {
    const h = opened();
    const requests = [h.push(), h.pull({ timeoutMs: 1e9 }), h.clock('tick')];
    h.drop(1006, 'cable pulled');
    while (!h.core.hasEnded) {
      h.redial();
      h.drop(1006, 'still nothing');
    }
    expect(h.now).toBe(600_000);
    expect(requests.map((each) => h.code(each))).toEqual([
      'PS_OUTCOME_UNKNOWN',
      'PS_CONNECTION_LOST',
      'PS_CONNECTION_LOST',
    ]);
    expect(h.observed('closed')[0]?.error).toMatchObject({ code: 'PS_CONNECTION_LOST' });
    expect(h.outcome(requests[1] as number)?.error?.message).toContain('still nothing');
    expect(h.code(h.pull())).toBe('PS_CONNECTION_LOST');
  });

  it('but not before, for a pull whose time does not count offline', () => {
    const h = opened();
    const timeoutMs = 5_000;
    const [counts, doesNot] = [h.pull({ timeoutMs }), h.pull({ timeoutMs, countsOffline: false })];
    h.pass(4_000);
    h.drop();
    while (h.now < 200_000) {
      h.redial();
      h.drop();
    }
    expect([counts, doesNot].map((each) => h.code(each))).toEqual(['PS_PULL_TIMEOUT', undefined]);
    // On a connection it has its whole time, once for each.
    h.reconnect();
    h.pass(4_999);
    expect(h.code(doesNot)).toBeUndefined();
    h.pass(1);
    expect(h.code(doesNot)).toBe('PS_PULL_TIMEOUT');
  });

  it('at the first loss where there is to be no attempt', () => {
    const h = opened({ reconnect: { retries: 0, minDelayMs: 0, maxDelayMs: 0, maxOfflineMs: 0 } });
    const request = h.push();
    h.drop();
    expect(h.code(request)).toBe('PS_OUTCOME_UNKNOWN');
    expect(h.core.hasEnded).toBe(true);
    expect(h.count('connect')).toBe(1);
  });

  it('after as many attempts as were allowed', () => {
    const h = opened({ reconnect: { retries: 2, minDelayMs: 1, maxDelayMs: 1, maxOfflineMs: 1e9 } });
    h.drop();
    h.redial();
    h.drop();
    h.redial();
    expect(h.core.hasEnded).toBe(false);
    h.drop();
    expect(h.core.hasEnded).toBe(true);
    expect(h.count('connect')).toBe(3);
  });

  it('at a close code that is final: a fenced worker does not come back', () => {
    const h = opened();
    const requests = [h.push(), h.pull()];
    h.drop(4409, 'another process has this id');
    expect(requests.map((each) => h.code(each))).toEqual(['PS_OUTCOME_UNKNOWN', 'PS_FENCED']);
    expect(h.outcome(requests[0] as number)?.error?.cause).toMatchObject({ code: 'PS_FENCED' });
    expect(h.core.nextTickAt()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('what an earlier connection still says', () => {
  it('is passed over', () => {
    const h = opened();
    h.push();
    h.reconnect();
    const effects = h.effects.length;
    const old = { connection: 1 } as const;
    h.step({ kind: 'message', ...old, message: { t: MessageType.pong }, payload: new Uint8Array(0) });
    h.step({ kind: 'closed', ...old, code: 4409, reason: '' });
    h.step({ kind: 'opened', ...old });
    h.step({ kind: 'malformed', ...old, error: {} as never });
    expect(h.effects.length).toBe(effects);
    expect(h.core.isOpen).toBe(true);
  });
});

describe('finish', () => {
  it('is told to the shell', () => {
    const h = opened();
    h.receive({ t: finish, reason: 'converged' });
    expect(h.observed('finish')).toEqual([{ kind: 'finish', reason: 'converged' }]);
  });
});
