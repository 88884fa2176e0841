/** The rules of membership: a test per sentence of the design, quoted as its name. */
import { describe, expect, it } from 'vitest';
import { ssp } from '../../../src/core/consistency/consistency.js';
import type { FakeWorker } from '../../unit/server/fakeWorker.js';
import { TestServer } from '../../unit/server/kit.js';

const ONES = [1, 1, 1, 1];

/** `a` waits at clock 1 for `b`, which is at clock 0. */
function waiting(limits = {}): { server: TestServer; a: FakeWorker; b: FakeWorker } {
  const server = new TestServer({
    consistency: ssp({ staleness: 0 }),
    limits: { pullTimeoutMs: 1e9, ...limits },
  });
  const [a, b] = [server.worker('a'), server.worker('b')];
  b.enter();
  a.tick();
  a.lines();
  a.pull();
  b.lines();
  return { server, a, b };
}

/** Time passes; those in `alive` are heard every second. */
function pass(server: TestServer, ms: number, ...alive: FakeWorker[]): void {
  for (let left = ms; left > 0; left -= 1000) {
    for (const each of alive) each.ping();
    server.tick(Math.min(1000, left));
  }
}

const isAnswered = (worker: FakeWorker): boolean => worker.lines().some((line) => /^pull \d+: v/.test(line));

describe('leases', () => {
  it('a worker is alive while anything arrives from it: its lease (leaseMs, 30 s) is renewed by any frame', () => {
    const { server, a, b } = waiting();
    for (let i = 0; i < 5; i++) {
      pass(server, 29_000, a);
      b.sendBytes(Uint8Array.of(0));
      expect(server.table).toContain('b@0');
      b.lines();
      if (i === 3) break;
    }
    pass(server, 30_000, a);
    expect(server.table).toBe('a@1');
  });

  it('after a socket closed without goodbye it is kept for disconnectGraceMs (5 s) only', () => {
    const { server, a, b } = waiting();
    b.drop();
    pass(server, 4_999, a);
    expect(server.table).toBe('a@1 b@0');
    server.tick(1);
    expect(server.table).toBe('a@1');
  });

  it('the lease then holds for maxStepMs (10 min; the server caps it)', () => {
    const { server, a, b } = waiting();
    b.computing(Number.MAX_SAFE_INTEGER);
    pass(server, 599_000, a);
    expect(server.table).toBe('a@1 b@0');
    pass(server, 1_000, a);
    expect(server.table).toBe('a@1');
  });

  it('progressTimeoutMs (off) handles a worker that is connected but makes no progress', () => {
    const off = waiting();
    pass(off.server, 1_000_000, off.a, off.b);
    expect(off.server.table).toBe('a@1 b@0');
    const on = waiting({ progressTimeoutMs: 10_000 });
    pass(on.server, 10_000, on.a, on.b);
    expect(on.server.table).toBe('a@1');
  });

  it('after a server pause (laptop sleep, SIGSTOP) every lease is renewed for one full period before anyone is evicted', () => {
    const { server, a, b } = waiting();
    pass(server, 1000, a, b);
    server.tick(3_600_000);
    pass(server, 29_000, a);
    expect(server.table).toBe('a@1 b@0');
    pass(server, 1000, a);
    expect(server.table).toBe('a@1');
  });

  it('or a restart', () => {
    const { server, a, b } = waiting();
    b.drop();
    server.now += 1_000_000;
    server.command((_context, dispatcher) => dispatcher.membership.renewAll());
    server.tick();
    pass(server, 29_000, a);
    expect(server.table).toBe('a@1 b@0');
    pass(server, 1000, a);
    expect(server.table).toBe('a@1');
  });
});

describe('on expiry', () => {
  it('evicted, minClock recomputed, waiting pulls re-evaluated in the same turn', () => {
    const { server, a } = waiting();
    pass(server, 29_999, a);
    expect(isAnswered(a)).toBe(false);
    server.tick(1);
    expect([server.minClock, isAnswered(a)]).toEqual([1, true]);
  });

  it('its epoch fenced: a zombie can change nothing', () => {
    const { server, a, b } = waiting();
    pass(server, 30_000, a);
    const next = server.worker('b', { key: 'next' });
    expect(next.welcome?.epoch).toBe(2);
    // What the old process still sends on its old connection, and on a new one.
    b.push(ONES);
    b.tick();
    b.lines();
    b.reconnect();
    b.push(ONES);
    expect(b.lines()).toEqual(['refused: PS_FENCED', 'closed 4409']);
    expect([server.version, server.table]).toEqual([0, 'a@1']);
    next.push(ONES);
    expect(next.lines()).toEqual(['push 1 applied v1, clock 1']);
  });
});

describe('a second process with a live id', () => {
  it('if the old socket is closed it takes over at once, epoch + 1', () => {
    const { server, a, b } = waiting();
    b.drop();
    const next = server.worker('b', { key: 'next' });
    expect(next.welcome?.epoch).toBe(2);
    expect(isAnswered(a)).toBe(true);
  });

  it('if it is open, PS_ID_IN_USE, retryable until the lease ends', () => {
    const { server, a } = waiting();
    const tryAgain = (): string[] => {
      const next = server.stranger('b', { key: 'next' });
      next.hello();
      return next.lines();
    };
    expect(tryAgain()).toEqual(['refused: PS_ID_IN_USE', 'closed 4309']);
    pass(server, 29_000, a);
    expect(tryAgain()).toEqual(['refused: PS_ID_IN_USE', 'closed 4309']);
    pass(server, 1000, a);
    expect(tryAgain()).toEqual(['welcome epoch 2, clock 0, committed 0']);
  });
});

describe('waits', () => {
  it('a waiting pull ends after pullTimeoutMs (60 s) with an error that names the laggards, their clocks and when each was last seen', () => {
    const { server, a, b } = waiting({ pullTimeoutMs: 60_000 });
    pass(server, 58_000, a, b);
    pass(server, 2000, a);
    expect(a.lines().at(-1)).toBe(`request ${a.nextRequest - 1} refused: PS_PULL_TIMEOUT`);
    expect(server.seen('warning')[0]?.message).toContain('b (clock 0, last seen 3000 ms ago)');
  });
});
