import { describe, expect, it } from 'vitest';
import { ssp } from '../../../src/core/consistency/consistency.js';
import { TestServer } from './kit.js';

const ONES = [1, 1, 1, 1];
const LIMITS = { leaseMs: 30_000, disconnectGraceMs: 5000, maxStepMs: 600_000, pullTimeoutMs: 1e9 };

/** `a` waits at clock 1 for `b`, which is at clock 0. */
function waiting(limits = {}): Record<'a' | 'b', ReturnType<TestServer['worker']>> & { server: TestServer } {
  const server = new TestServer({ consistency: ssp({ staleness: 0 }), limits: { ...LIMITS, ...limits } });
  const [a, b] = [server.worker('a'), server.worker('b')];
  b.enter();
  b.lines();
  a.push(ONES, { tick: true });
  a.pull();
  a.lines();
  server.seen('join');
  return { server, a, b };
}

/** Time passes; those in `alive` are heard every second. */
function pass(server: TestServer, ms: number, ...alive: { ping(): void }[]): void {
  for (let left = ms; left > 0; left -= 1000) {
    for (const each of alive) each.ping();
    server.tick(Math.min(1000, left));
  }
}

const pulled = (worker: ReturnType<TestServer['worker']>): string[] =>
  worker.lines().filter((line) => line.startsWith('pull') && line.includes('['));

describe('a lease', () => {
  it('ends after leaseMs of silence: evicted, and who waited is answered in the same turn', () => {
    const { server, a, b } = waiting();
    pass(server, 29_999, a);
    expect(b.isOpen).toBe(true);
    expect(server.table).toBe('a@1 b@0');
    server.tick(1);
    expect(b.lines()).toEqual(['refused: PS_LEASE_EXPIRED', 'closed 4308']);
    expect(server.table).toBe('a@1');
    expect(pulled(a)).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
    expect(server.seen('leave')).toEqual([{ kind: 'leave', id: 'b', reason: 'lease' }]);
    expect(server.seen('clock')).toEqual([{ kind: 'clock', minClock: 1 }]);
  });

  it.each([
    ['a ping', (b: ReturnType<TestServer['worker']>) => b.ping()],
    ['a pull', (b: ReturnType<TestServer['worker']>) => b.look()],
    ['a push', (b: ReturnType<TestServer['worker']>) => b.push(ONES)],
    ['a chunk', (b: ReturnType<TestServer['worker']>) => b.push(ONES, { chunk: 1, only: 1 })],
    ['a refused message', (b: ReturnType<TestServer['worker']>) => b.tick(9)],
    ['even garbage', (b: ReturnType<TestServer['worker']>) => b.sendBytes(Uint8Array.of(1, 2, 3))],
  ])('is renewed by %s', (_what, act) => {
    const { server, a, b } = waiting();
    pass(server, 29_000, a);
    act(b);
    pass(server, 29_000, a);
    expect(b.isOpen).toBe(true);
    pass(server, 1000, a);
    expect(b.isOpen).toBe(false);
  });

  it('of one that computes holds as long as it said, at most maxStepMs', () => {
    const { server, a, b } = waiting();
    b.computing(100_000);
    pass(server, 99_000, a);
    expect(b.isOpen).toBe(true);
    pass(server, 1000, a);
    expect(b.isOpen).toBe(false);
    const long = waiting({ maxStepMs: 40_000 });
    long.b.computing(1e9);
    pass(long.server, 40_000, long.a);
    expect(long.b.isOpen).toBe(false);
  });

  it('of one that computes is not cut short by the rest of a push that it had begun before', () => {
    const { server, a, b } = waiting();
    b.push(ONES, { chunk: 1, only: 2 });
    b.computing(100_000);
    b.chunk(1, 2, [1]);
    pass(server, 99_000, a);
    expect(b.isOpen).toBe(true);
    pass(server, 1000, a);
    expect(b.isOpen).toBe(false);
  });

  it('of one that computes briefly is no shorter than leaseMs', () => {
    const { server, a, b } = waiting();
    b.computing(10);
    pass(server, 29_000, a);
    expect(b.isOpen).toBe(true);
  });

  it('of one that has computed is an ordinary one again', () => {
    const { server, a, b } = waiting();
    b.computing(500_000);
    b.ping();
    pass(server, 30_000, a);
    expect(b.isOpen).toBe(false);
  });
});

describe('a socket that closed without goodbye', () => {
  it('keeps its place for disconnectGraceMs only', () => {
    const { server, a, b } = waiting();
    b.drop();
    pass(server, 4999, a);
    expect(server.table).toBe('a@1 b@0');
    server.tick(1);
    expect(server.table).toBe('a@1');
    expect(pulled(a)).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
    expect(server.seen('leave')).toEqual([{ kind: 'leave', id: 'b', reason: 'disconnected' }]);
  });

  it('also when it said that it computes', () => {
    const { server, a, b } = waiting();
    b.computing(100_000);
    b.drop();
    pass(server, 5000, a);
    expect(server.table).toBe('a@1');
  });

  it('keeps it when it is back in time', () => {
    const { server, a, b } = waiting();
    b.drop();
    pass(server, 4000, a);
    b.reconnect();
    pass(server, 25_000, a);
    expect(server.table).toBe('a@1 b@0');
    expect(server.seen('leave')).toEqual([]);
    expect(server.seen('join')).toEqual([]);
  });
});

describe('one that was evicted', () => {
  it('comes back at minClock, with its sequence', () => {
    const { server, a, b } = waiting();
    b.push(ONES);
    b.lines();
    pass(server, 30_000, a);
    b.reconnect();
    expect(b.lines().slice(2)).toEqual(['welcome epoch 1, clock 0, committed 1']);
    b.pull();
    expect(b.lines()).toEqual(['pull 2: v2 [-2 -2 -2 -2]']);
    expect([b.clock, server.table]).toEqual([1, 'a@1 b@1']);
  });
});

describe('goodbye', () => {
  it('takes a worker out at once and wakes who waited', () => {
    const { server, a, b } = waiting();
    b.goodbye();
    expect(b.lines()).toEqual(['closed 1000']);
    expect(server.table).toBe('a@1');
    expect(pulled(a)).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
    expect(server.seen('leave')).toEqual([{ kind: 'leave', id: 'b', reason: 'goodbye' }]);
  });

  it('leave does so too, and the worker stays connected', () => {
    const { server, a, b } = waiting();
    b.leave();
    expect(b.lines()).toEqual(['clock 0, min 1']);
    expect(pulled(a)).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
    expect(server.seen('leave')).toEqual([]);
    b.enter();
    expect(b.lines()).toEqual(['clock 1, min 1']);
  });
});

describe('a pause of the server', () => {
  it('gives everyone one full lease before anyone is evicted', () => {
    const { server, a, b } = waiting();
    pass(server, 10_000, a, b);
    server.tick(120_000);
    expect(server.table).toBe('a@1 b@0');
    pass(server, 29_000, a);
    expect(b.isOpen).toBe(true);
    pass(server, 1000, a);
    expect(b.isOpen).toBe(false);
  });

  it('is noticed by the first tick, too', () => {
    const server = new TestServer({ limits: LIMITS });
    const a = server.worker('a');
    a.pull();
    server.tick(120_000);
    expect(server.table).toBe('a@0');
  });

  it('does not end pulls that wait either: who is awaited has had no time', () => {
    const { server, a, b } = waiting({ pullTimeoutMs: 60_000 });
    pass(server, 10_000, a, b);
    server.tick(3_600_000);
    pass(server, 49_000, a, b);
    expect(a.lines().filter((line) => line.includes('refused'))).toEqual([]);
    pass(server, 1000, a, b);
    expect(a.lines().at(-1)).toContain('refused: PS_PULL_TIMEOUT');
  });

  it('does so for those whose socket closed, too', () => {
    const { server, b } = waiting();
    pass(server, 1000);
    b.drop();
    server.tick(120_000);
    expect(server.table).toBe('a@1 b@0');
  });

  it('is one too if it is shorter than a lease, but not than the time a closed socket has', () => {
    const { server, a, b } = waiting({ leaseMs: 600_000 });
    pass(server, 1000, a, b);
    b.drop();
    server.tick(6000);
    expect(server.table).toBe('a@1 b@0');
    b.reconnect();
    expect(server.seen('leave')).toEqual([]);
  });

  it('is one too if it is shorter than a lease, but not than the time a pull has', () => {
    const { server, a, b } = waiting({ leaseMs: 600_000, disconnectGraceMs: 600_000, pullTimeoutMs: 60_000 });
    pass(server, 10_000, a, b);
    server.tick(240_000);
    pass(server, 49_000, a, b);
    expect(a.lines().filter((line) => line.includes('refused'))).toEqual([]);
    pass(server, 1000, a, b);
    expect(a.lines().at(-1)).toContain('refused: PS_PULL_TIMEOUT');
  });

  it('is not what slow ticks within half of the shortest wait are', () => {
    const { server, a, b } = waiting();
    pass(server, 1000, a, b);
    for (let i = 0; i < 12; i++) {
      a.ping();
      server.tick(2500);
    }
    expect(b.isOpen).toBe(false);
  });

  it('is not what late ticks of a busy machine are, however short a wait is', () => {
    const { server, a, b } = waiting({ disconnectGraceMs: 100 });
    pass(server, 1000, a, b);
    b.drop();
    server.tick(900);
    expect(server.table).toBe('a@1');
    expect(a.isOpen).toBe(true);
  });
});

describe('progressTimeoutMs', () => {
  it('evicts a worker in the table that lives and does nothing', () => {
    const { server, a, b } = waiting({ progressTimeoutMs: 20_000 });
    pass(server, 19_000, a, b);
    expect(b.isOpen).toBe(true);
    pass(server, 1000, a, b);
    expect(b.lines().slice(-2)).toEqual(['refused: PS_LEASE_EXPIRED', 'closed 4308']);
    expect(server.seen('leave')).toEqual([{ kind: 'leave', id: 'b', reason: 'progress' }]);
  });

  it('does not concern one that waits for others', () => {
    const { server, a, b } = waiting({ progressTimeoutMs: 20_000 });
    for (let i = 0; i < 10; i++) {
      pass(server, 10_000, a, b);
      b.push(ONES);
    }
    expect(a.isOpen).toBe(true);
    expect(server.table).toBe('a@1 b@0');
  });

  it('does not concern one whose push the disk does not take yet, or whose tick', () => {
    const limits = { ...LIMITS, progressTimeoutMs: 20_000 };
    const server = new TestServer({ isDurable: true, consistency: ssp({ staleness: 0 }), limits });
    const [a, b, c] = ['a', 'b', 'c'].map((id) => server.stranger(id));
    for (const each of [a, b, c]) each?.hello();
    server.persist();
    for (const each of [a, b, c]) each?.enter();
    server.persist();
    a?.push(ONES, { tick: true });
    b?.tick(1);
    pass(server, 60_000, ...[a, b, c].filter((each) => each !== undefined));
    expect([a?.isOpen, b?.isOpen, c?.isOpen]).toEqual([true, true, false]);
    server.persist();
    expect(a?.lines().at(-1)).toContain('push 1 applied');
    pass(server, 18_000, ...[a, b].filter((each) => each !== undefined));
    expect([a?.isOpen, b?.isOpen]).toEqual([true, true]);
  });

  it('does not concern one whose push is arriving', () => {
    const { server, a, b } = waiting({ progressTimeoutMs: 20_000 });
    b.push(ONES, { chunk: 1, only: 1 });
    for (let i = 1; i < 4; i++) {
      pass(server, 19_000, a, b);
      b.chunk(1, i, [1]);
    }
    expect(b.lines().filter((line) => line.startsWith('push'))).toHaveLength(1);
    expect(server.table).toBe('a@1 b@0');
  });

  it('does not concern one that is still being sent what it asked for, unless it computes meanwhile', () => {
    const { server, a, b } = waiting({ progressTimeoutMs: 20_000 });
    b.isReading = false;
    b.pull();
    pass(server, 60_000, a, b);
    expect(b.isOpen).toBe(true);
    b.computing(100_000);
    pass(server, 20_000, a);
    expect(b.isOpen).toBe(false);
  });

  it('does concern one that only watches', () => {
    const { server, a, b } = waiting({ progressTimeoutMs: 20_000 });
    b.look({ wait: true, ifNewerThan: { incarnation: 'incarnation', version: 1 } });
    pass(server, 20_000, a, b);
    expect(b.isOpen).toBe(false);
  });

  it('does not concern one that does not train', () => {
    const { server, a, b } = waiting({ progressTimeoutMs: 20_000 });
    b.leave();
    pass(server, 60_000, a, b);
    expect(b.isOpen).toBe(true);
    b.enter();
    pass(server, 19_000, a, b);
    expect(b.isOpen).toBe(true);
  });
});

describe('nextTickAt', () => {
  it('is when the next lease ends, and often enough to notice a pause', () => {
    const { server, a } = waiting();
    server.tick();
    expect(server.core.nextTickAt()).toBeLessThanOrEqual(server.now + 7500);
    const { leaseUntil } = server.core.state.session('b');
    pass(server, leaseUntil - 10 - server.now, a);
    expect(server.core.nextTickAt()).toBeLessThanOrEqual(leaseUntil);
  });
});

describe('what is left of workers that come and go', () => {
  it('is their sessions alone', () => {
    const server = new TestServer({ limits: LIMITS });
    for (let i = 0; i < 50; i++) {
      const worker = server.worker(`w${i}`);
      worker.push(ONES, { tick: true });
      worker.pull({ wait: true, ifNewerThan: { incarnation: 'incarnation', version: 1e6 } });
      worker.push(ONES, { chunk: 1, only: 2 });
      if (i % 3 === 0) worker.goodbye();
      else if (i % 3 === 1) worker.drop();
      else worker.isReading = false;
    }
    pass(server, 60_000);
    const { view, state } = server.core;
    expect([...view.membership.present]).toEqual([]);
    expect(view.pulls.waiting).toBe(0);
    expect(view.staging.usedBytes).toBe(0);
    expect(state.table.versions.pinnedVersions).toBe(0);
    expect(server.table).toBe('');
    server.command((_context, { connections }) => expect([...connections]).toEqual([]));
    expect(state.sessions.size).toBe(50);
    for (const session of state.sessions.values()) {
      expect([session.inbox.length, session.isBlocked, session.connection]).toEqual([0, false, undefined]);
    }
  });
});

describe('sessions that are remembered', () => {
  const limits = { maxSessions: 3, leaseMs: 1000, disconnectGraceMs: 10 };

  it('make room for new ones, if they never pushed and are away: the longest away first', () => {
    const server = new TestServer({ limits });
    for (const id of ['a', 'b', 'c']) {
      const worker = server.worker(id);
      if (id === 'a') worker.push([1, 1, 1, 1]);
      worker.drop();
      server.tick(20);
    }
    const known = () => [...server.core.state.sessions.keys()].join(' ');
    server.worker('d');
    expect(known()).toBe('a c d');
    server.worker('e');
    expect(known()).toBe('a d e');
    // Who has pushed and who is there stay.
    const late = server.stranger('f');
    late.hello();
    expect(late.lines().join()).toContain('PS_LIMIT');
    expect(known()).toBe('a d e');
  });

  it('that were forgotten so are told that they are', () => {
    const server = new TestServer({ limits: { ...limits, maxSessions: 1 } });
    const first = server.worker('first');
    first.drop();
    server.tick(20);
    server.worker('second');
    first.reconnect();
    expect(first.lines().join()).toContain('PS_SESSION_EXPIRED');
  });
});
