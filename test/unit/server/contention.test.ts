import { describe, expect, it } from 'vitest';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { isOverdue } from '../../../src/core/server/contention.js';
import { TestServer } from './kit.js';
import { bytesOfIds } from './rowPushes.js';

// Who holds what others wait for, and only drips: it has a deadline, and readers leave a version to those who train.

const LIMITS = { pullTimeoutMs: 60_000, leaseMs: 600_000, pingMs: 600_000 };
type Worker = ReturnType<TestServer['worker']>;

describe('a transfer that others wait for', () => {
  it('is overdue when it has taken its time and needs as much again', () => {
    const at = (elapsed: number, doneBytes: number) =>
      isOverdue({ since: 1000, doneBytes, totalBytes: 100 }, 1000 + elapsed, 30_000);
    expect([at(29_999, 0), at(30_000, 0)]).toEqual([false, true]);
    expect([at(30_000, 49), at(30_000, 50), at(60_000, 60), at(60_000, 70)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});

describe('versions', () => {
  const isHoldingUp = (server: TestServer, { connection }: Worker) =>
    server.core.statusOf(connection).isHoldingUp;
  /** A server whose two versions are held by readers, or workers, that read nothing; `a` waits for a third. */
  function newScene(areReaders = true) {
    const server = new TestServer({
      parameters: { w: { shape: [1024] } },
      limits: { ...LIMITS, chunkBytes: 1024 },
    });
    const ones = Array(1024).fill(1);
    const a = server.worker('a');
    const readers = ['r', 's'].map((id) => {
      const reader = server.worker(id, { readOnly: areReaders });
      reader.isReading = false;
      reader.pull();
      a.push(ones);
      return reader;
    }) as [Worker, Worker];
    a.pull();
    a.lines();
    return { server, a, readers, ones };
  }

  it('that two dripping readers hold are awaited for two seconds, then one of them is cut off', () => {
    const { server, a, readers } = newScene();
    server.tick(1999);
    expect(readers.map((each) => isHoldingUp(server, each))).toEqual([false, false]);
    server.tick(1);
    expect([...readers, a].map((each) => isHoldingUp(server, each))).toEqual([true, false, false]);
    a.lines();
    readers[0].drop();
    expect(a.lines().join()).toMatch(/pull 1: v2/);
    server.tick(1);
    // Nobody waits any more.
    expect(isHoldingUp(server, readers[1])).toBe(false);
  });

  it('are given back by readers that will have all of it before long', () => {
    const { server, a, readers } = newScene();
    server.tick(1500);
    readers[0].read(5);
    server.tick(500);
    expect(readers.map((each) => isHoldingUp(server, each))).toEqual([false, true]);
    readers[1].read();
    expect(a.lines().join()).toMatch(/pull 1: v2/);
  });

  it('that workers hold are awaited for half of pullTimeoutMs; neither of two that read nothing is spared', () => {
    const { server, a, readers } = newScene(false);
    server.tick(29_999);
    expect(readers.map((each) => isHoldingUp(server, each))).toEqual([false, false]);
    server.tick(1);
    expect([...readers, a].map((each) => isHoldingUp(server, each))).toEqual([true, true, false]);
    a.lines();
    readers[0].drop();
    expect(a.lines().join()).toMatch(/pull 1: v2/);
  });

  it('are not waited for by those who train, once they had to: readers make do with one less', () => {
    const { server, a, readers, ones } = newScene();
    server.tick(1000);
    const [first] = readers;
    first.drop();
    for (let round = 0; round < 5; round++) {
      first.reconnect();
      first.pull();
      a.push(ones);
      a.lines();
      a.pull();
      expect(a.lines()).toEqual([expect.stringContaining(`v${3 + round}`)]);
      first.drop();
    }
  });

  it('are shared among readers as before when nobody who trains has waited', () => {
    const { server, readers, ones } = newScene();
    const b = server.worker('b');
    server.tick(500);
    readers[0].drop();
    readers[0].reconnect();
    readers[0].pull();
    b.push(ones);
    b.lines();
    b.pull();
    expect(b.lines()).toEqual([]);
  });

  it('that have been read for long get no new readers, who would never see a later one', () => {
    const { server, readers } = newScene();
    const late = server.reader('late');
    late.pull();
    expect(late.lines().join()).toMatch(/pull 1: v1/);
    server.tick(30_000);
    late.lines();
    late.pull();
    expect(late.lines()).toEqual([]);
    for (const reader of readers) reader.drop();
    expect(late.lines().join()).toMatch(/pull 2: v2/);
  });
});

describe('room for pushes', () => {
  it('is awaited for half of pullTimeoutMs, then who only drips is cut off', () => {
    const server = new TestServer({ limits: { ...LIMITS, stagingBytes: 16 } });
    const [slow, other] = [server.worker('slow'), server.worker('other')];
    slow.push([1, 1, 1, 1], { chunk: 1, only: 1 });
    server.tick(40_000);
    const status = (worker: Worker) => server.core.statusOf(worker.connection);
    expect(status(slow)).toMatchObject({ isReceiving: true, isHoldingUp: false });
    other.push([1, 1, 1, 1], { chunk: 2 });
    expect(other.isPaused).toBe(true);
    server.tick(29_000);
    expect(status(slow).isHoldingUp).toBe(false);
    server.tick(1000);
    expect([status(slow), status(other)].map((each) => each.isHoldingUp)).toEqual([true, false]);
    // Three quarters have come: what is left takes less than half of the time.
    slow.chunk(1, 1, [1]);
    slow.chunk(1, 2, [1]);
    server.tick(1);
    expect(status(slow).isHoldingUp).toBe(false);
    slow.drop();
    expect(other.lines().join()).toContain('applied');
  });
});

describe('memory for rows', () => {
  // Each row takes 8 bytes for its id and 8 for its numbers: 64 rows are all there is, 4 a small pull.
  const newServer = () =>
    new TestServer({ tables: { words: { dim: 2 } }, limits: { ...LIMITS, stagingBytes: 64 * 16 } });
  const ids = (count: number) => bytesOfIds(Array.from({ length: count }, (_, i) => i));
  const ask = (worker: Worker, request: number, count: number, payload = ids(count)): void =>
    worker.send(
      { t: MessageType.pullRows, request, training: false, clock: 0, table: 0, bytes: 8 * count },
      payload,
    );

  it('is not taken by what is only announced, and who announces must send', () => {
    const server = newServer();
    const a = server.worker('a');
    const readers = Array.from({ length: 10 }, (_, i) => server.reader(`r${i}`));
    for (const reader of readers) ask(reader, 1, 32, new Uint8Array(0));
    expect(server.core.statusOf(readers[0]?.connection ?? 0).isReceiving).toBe(true);
    ask(a, 1, 32);
    expect(a.lines()).toEqual([expect.stringMatching(/^pull 1: v0/)]);
  });

  it('that large pulls have is awaited by large ones in turn; small ones find some beside them', () => {
    const server = newServer();
    const [slow, a, b] = [server.reader('slow'), server.worker('a'), server.worker('b')];
    slow.isReading = false;
    ask(slow, 1, 32);
    ask(a, 1, 8);
    expect(a.lines()).toEqual([]);
    ask(b, 1, 3);
    expect(b.lines()).toEqual([expect.stringMatching(/^pull 1: v0/)]);
    server.tick(30_000);
    expect(server.core.statusOf(slow.connection).isHoldingUp).toBe(true);
    a.lines();
    slow.drop();
    expect(a.lines()).toEqual([expect.stringMatching(/^pull 1: v0/)]);
  });

  it('is not awaited without end, and one pull has a bound', () => {
    const server = newServer();
    const [slow, a] = [server.reader('slow'), server.worker('a')];
    slow.isReading = false;
    ask(slow, 1, 32);
    ask(a, 1, 32);
    ask(a, 2, 33);
    expect(a.lines()).toEqual(['request 2 refused: PS_LIMIT']);
    for (let i = 0; i < 60; i++) server.tick(1000);
    expect(a.lines().at(-1)).toBe('request 1 refused: PS_PULL_TIMEOUT');
    // Nothing is left behind.
    slow.drop();
    ask(a, 3, 32);
    expect(a.lines()).toEqual([expect.stringMatching(/^pull 3: v0/)]);
  });
});
