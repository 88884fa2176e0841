import { describe, expect, it, vi } from 'vitest';
import { TestServer } from './kit.js';

// Slices of 256 elements, so that small tables take several turns.
vi.mock('../../../src/core/table/job.js', async (original) => ({
  ...(await original<object>()),
  SLICE_ELEMENTS: 256,
  IN_PLACE_ELEMENTS: 256,
}));

const ONES = Array.from({ length: 1000 }, () => 1);
const large = { parameters: { w: { shape: [1000] } }, limits: { leaseMs: 1000, disconnectGraceMs: 500 } };

/** A server that is in the middle of applying a push of `b`. */
function busyServer(): { server: TestServer; b: ReturnType<TestServer['worker']> } {
  const server = new TestServer(large);
  const b = server.worker('b');
  server.isContinuing = false;
  b.push(ONES);
  expect(server.version).toBe(0);
  return { server, b };
}

function proceedToEnd(server: TestServer): void {
  while (server.proceed());
}

describe('a push that waits for its turn when its worker goes', () => {
  it('does not bring back a worker that said goodbye', () => {
    const { server } = busyServer();
    const a = server.worker('a');
    a.push(ONES);
    a.goodbye();
    proceedToEnd(server);
    expect(server.table).toBe('b@0');
    expect(server.version).toBe(1);
  });

  it('does not bring back a worker that was evicted', () => {
    const { server, b } = busyServer();
    const a = server.worker('a');
    a.push(ONES);
    for (let i = 0; i < 11; i++) {
      server.tick(100);
      if (i < 9) b.ping();
    }
    expect(a.isOpen).toBe(false);
    proceedToEnd(server);
    expect(server.table).not.toContain('a@');
  });

  it('is decided once, when it comes again on another connection', () => {
    const { server } = busyServer();
    const a = server.worker('a');
    a.push(ONES);
    a.drop();
    a.reconnect();
    a.push(ONES, { seq: 1 });
    proceedToEnd(server);
    expect(server.version).toBe(2);
    expect(a.lines().at(-1)).toMatch(/^push 1 applied/);
  });

  it('frees its stage', () => {
    const { server } = busyServer();
    const a = server.worker('a');
    // The push that is under way, and this one.
    a.push(ONES, { chunk: 500 });
    expect(server.core.view.staging.usedBytes).toBe(2 * 4000);
    a.drop();
    proceedToEnd(server);
    expect(server.core.view.staging.usedBytes).toBe(0);
  });
});

describe('a push that is half applied when its worker goes', () => {
  it('does not move the clock of a new process with the same id', () => {
    const server = new TestServer(large);
    const b = server.worker('b');
    const a = server.worker('a');
    b.enter();
    server.isContinuing = false;
    a.push(ONES, { tick: true });
    a.drop();
    const other = server.stranger('a', { key: 'another' });
    other.hello();
    for (let i = 0; i < 5; i++) b.tick();
    other.enter();
    expect(server.table).toBe('a@5 b@5');
    proceedToEnd(server);
    expect(server.table).toBe('a@5 b@5');
    expect(server.version).toBe(1);
  });

  it('is finished before the same process, back again, re-enters', () => {
    const server = new TestServer(large);
    const b = server.worker('b');
    const a = server.worker('a');
    b.enter();
    server.isContinuing = false;
    a.push(ONES, { tick: true });
    a.goodbye();
    for (let i = 0; i < 5; i++) b.tick();
    a.reconnect();
    a.enter();
    expect(server.table).toBe('b@5');
    proceedToEnd(server);
    expect(server.table).toBe('a@5 b@5');
    expect(server.version).toBe(1);
  });

  it('counts: its repeat is a duplicate', () => {
    const server = new TestServer(large);
    const a = server.worker('a');
    server.isContinuing = false;
    a.push(ONES, { tick: true });
    a.drop();
    a.reconnect();
    a.push(ONES, { seq: 1, tick: 1 });
    proceedToEnd(server);
    expect(server.version).toBe(1);
    expect(a.lines()).toEqual(['welcome epoch 1, clock 0, committed 0', 'push 1 applied again v1, clock 1']);
  });
});
