import { describe, expect, it } from 'vitest';
import type { Principal } from '../../../src/core/server/events.js';
import { LINEAGE, TestServer } from './kit.js';

const ONES = [1, 1, 1, 1];

describe('hello', () => {
  it('is answered by a welcome with what a worker must know', () => {
    const server = new TestServer({
      limits: { chunkBytes: 64, leaseMs: 9000, pingMs: 3000, pullTimeoutMs: 5 },
    });
    const a = server.worker('a');
    expect(a.welcome).toMatchObject({
      protocol: 1,
      incarnation: 'incarnation',
      lineage: LINEAGE,
      shardIndex: 0,
      shardCount: 1,
      epoch: 1,
      resumed: false,
      committedSeq: 0,
      clock: 0,
      minClock: 0,
      version: 0,
      chunkBytes: 64,
      maxUnansweredPushes: 4,
      leaseMs: 9000,
      pingMs: 3000,
      maxStepMs: 600_000,
      pullTimeoutMs: 5,
    });
    expect(server.seen('join')).toEqual([{ kind: 'join', id: 'a', epoch: 1, role: 'worker' }]);
    expect(server.table).toBe('');
  });

  it('of another protocol version is refused for good', () => {
    const server = new TestServer();
    const a = server.stranger('a');
    a.hello({ protocol: 2 });
    expect(a.lines()).toEqual(['refused: PS_VERSION', 'closed 4406']);
    expect(server.core.state.sessions.size).toBe(0);
  });

  it('must come first', () => {
    const server = new TestServer();
    const a = server.stranger('a');
    a.ping();
    expect(a.lines()).toEqual(['refused: PS_PROTOCOL', 'closed 1008']);
  });

  it('must come in time', () => {
    const server = new TestServer({ limits: { helloTimeoutMs: 5000 } });
    const a = server.stranger('a');
    server.wait(4999);
    expect(a.isOpen).toBe(true);
    server.wait(1);
    // One that the worker may come back after: its network was slow.
    expect(a.lines()).toEqual(['refused: PS_LEASE_EXPIRED', 'closed 4308']);
  });

  it('comes once', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.hello();
    expect(a.lines()).toEqual(['refused: PS_PROTOCOL']);
    a.push(ONES);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0']);
  });

  it('of a wrong role or of another’s id is refused', () => {
    const server = new TestServer();
    const monitor = server.stranger('m', { principal: { role: 'monitor' } });
    monitor.hello();
    const reader = server.stranger('r', { principal: { role: 'reader' } });
    reader.hello();
    const bound = server.stranger('b', { principal: { role: 'worker', id: 'c' } });
    bound.hello();
    for (const each of [monitor, reader, bound]) {
      expect(each.lines()).toEqual(['refused: PS_FORBIDDEN', 'closed 4403']);
    }
    const right = server.worker('c', { principal: { role: 'worker', id: 'c' } });
    const readOnly = server.worker('r', { principal: { role: 'reader' }, readOnly: true });
    const watching = server.worker('m', { principal: { role: 'monitor' }, readOnly: true });
    expect([right.isOpen, readOnly.isOpen, watching.isOpen]).toEqual([true, true, true]);
  });
});

describe('a session', () => {
  it('is resumed by its key: sequence, clock and place in the table go on', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push(ONES, { tick: true });
    a.push(ONES, { tick: true });
    a.drop();
    a.lines();
    a.reconnect();
    expect(a.lines()).toEqual(['welcome epoch 1, clock 2, committed 2']);
    expect(a.welcome?.resumed).toBe(true);
    expect(server.table).toBe('a@2');
    a.push(ONES, { tick: true });
    expect(a.lines()).toEqual(['push 3 applied v3, clock 3']);
    expect(server.seen('join')).toHaveLength(1);
    expect(server.seen('leave')).toEqual([]);
  });

  it.each<[string, Principal]>([
    ['a token of another id', { role: 'worker', id: 'b' }],
    ['a token that may not train', { role: 'reader' }],
  ])('is not resumed with %s: refused, and whoever has it goes on', (_what, principal) => {
    const server = new TestServer();
    const a = server.worker('a', { key: 'key of a' });
    a.push(ONES, { tick: true });
    a.lines();
    const before = server.table;
    const thief = server.stranger('a', { key: 'key of a', lineage: LINEAGE, principal });
    thief.hello();
    expect(thief.lines()).toEqual(['refused: PS_FORBIDDEN', 'closed 4403']);
    expect([a.isOpen, server.table]).toEqual([true, before]);
    a.push(ONES, { tick: true });
    expect(a.lines()).toEqual(['push 2 applied v2, clock 2']);
    // Also while nobody is there: the session stays whose it is.
    a.drop();
    const again = server.stranger('a', { key: 'key of a', lineage: LINEAGE, principal });
    again.hello();
    expect(again.lines()).toEqual(['refused: PS_FORBIDDEN', 'closed 4403']);
    a.lines();
    a.reconnect();
    expect(a.lines()).toEqual(['welcome epoch 1, clock 2, committed 2']);
  });

  it('is resumed while the old connection is still open: that one ends, its work is forgotten', () => {
    const server = new TestServer({ consistency: { name: 'ssp', staleness: 0 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    a.push(ONES, { tick: true });
    a.pull();
    a.push(ONES, { seq: 2, chunk: 2, only: 1 });
    const old = a.connection;
    expect(server.core.view.pulls.waiting).toBe(1);
    expect(server.core.view.staging.usedBytes).toBe(16);
    a.lines();
    a.reconnect();
    expect(a.lines()).toEqual(['closed 4300', 'welcome epoch 1, clock 1, committed 1']);
    expect(server.core.view.pulls.waiting).toBe(0);
    expect(server.core.view.staging.usedBytes).toBe(0);
    // What still arrives on the old connection, and its end, mean nothing.
    server.step({ kind: 'closed', connection: old, now: server.now });
    server.wait(10_000);
    expect(server.table).toBe('a@1 b@0');
    a.push(ONES, { seq: 2 });
    expect(a.lines()).toEqual(['push 2 applied v2, clock 1']);
  });

  it('of another process is taken over when its socket is closed, with the next epoch', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push(ONES, { tick: true });
    a.drop();
    const other = server.stranger('a', { key: 'other' });
    other.hello();
    expect(other.lines()).toEqual(['welcome epoch 2, clock 1, committed 0']);
    expect(server.table).toBe('');
    expect(server.seen('leave')).toEqual([{ kind: 'leave', id: 'a', reason: 'replaced' }]);
    other.push(ONES);
    expect(other.lines()).toEqual(['push 1 applied v2, clock 1']);
    // The first process is fenced: it is told so, and changes nothing.
    a.lines();
    a.reconnect();
    expect(a.lines()).toEqual(['refused: PS_FENCED', 'closed 4409']);
    expect(server.version).toBe(2);
    expect(other.isOpen).toBe(true);
  });

  it('of another process is in use while its socket is open', () => {
    const server = new TestServer({ limits: { leaseMs: 30_000 } });
    const a = server.worker('a');
    server.wait(1000);
    const other = server.stranger('a', { key: 'other' });
    other.hello();
    expect(other.lines()).toEqual(['refused: PS_ID_IN_USE', 'closed 4309']);
    expect(server.core.state.session('a').epoch).toBe(1);
    a.push(ONES);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0']);
  });

  it('that expired is told so; its retry is not applied', () => {
    const server = new TestServer({ limits: { sessionExpiryMs: 100_000 } });
    const a = server.worker('a');
    a.push(ONES);
    a.goodbye();
    server.wait(99_000);
    expect(server.core.state.sessions.size).toBe(1);
    server.wait(1000);
    expect(server.core.state.sessions.size).toBe(0);
    a.lines();
    a.reconnect();
    expect(a.lines()).toEqual(['refused: PS_SESSION_EXPIRED', 'closed 4410']);
    expect(server.version).toBe(1);
  });

  it('that is alive never expires', () => {
    const server = new TestServer({ limits: { sessionExpiryMs: 60_000 } });
    const a = server.worker('a');
    for (let i = 0; i < 10; i++) {
      server.wait(20_000);
      a.ping();
    }
    expect(server.core.state.sessions.size).toBe(1);
  });

  it('of another history is new: the worker sees that it was rolled back', () => {
    const server = new TestServer();
    const a = server.worker('a', { lineage: 'an older one' });
    expect(a.welcome).toMatchObject({ resumed: false, epoch: 1, committedSeq: 0 });
  });
});

describe('a reader', () => {
  it('is in no table and keeps no session', () => {
    const server = new TestServer();
    const reader = server.reader('r');
    reader.pull();
    expect(reader.lines()).toEqual(['pull 1: v0 [0 0 0 0]']);
    expect(server.table).toBe('');
    expect(server.core.state.sessions.size).toBe(0);
    reader.goodbye();
    expect(server.core.view.membership.readers.size).toBe(0);
    expect(server.seen('leave')).toEqual([{ kind: 'leave', id: 'r', reason: 'goodbye' }]);
  });

  it('may neither push nor train', () => {
    const server = new TestServer();
    const reader = server.reader('r');
    reader.enter();
    reader.tick();
    reader.leave();
    reader.pull({ training: true });
    expect(reader.lines()).toEqual([1, 2, 3, 4].map((request) => `request ${request} refused: PS_FORBIDDEN`));
    reader.push(ONES);
    expect(reader.lines()).toEqual(['refused: PS_FORBIDDEN', 'closed 4403']);
    expect([server.version, server.table]).toEqual([0, '']);
  });

  it('has an id of its own, beside a worker with the same', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.enter();
    const reader = server.reader('a');
    reader.drop();
    server.wait(6000);
    expect(server.table).toBe('a@0');
    expect(a.isOpen).toBe(true);
  });

  it('that is lost leaves nothing behind', () => {
    const server = new TestServer();
    for (let i = 0; i < 20; i++) server.reader('r').drop();
    server.wait(6000);
    expect(server.core.view.membership.readers.size).toBe(0);
    expect(server.core.view.membership.present.size).toBe(0);
  });
});
