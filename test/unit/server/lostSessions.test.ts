/** Workers that come back to a server whose state is older than what it had acknowledged. */
import { describe, expect, it } from 'vitest';
import { bsp } from '../../../src/core/consistency/consistency.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import type { FakeWorker } from './fakeWorker.js';
import { LINEAGE, TestServer, type TestServerOptions } from './kit.js';

const ONES = [1, 1, 1, 1];

/** A server that has recovered a state with a session of `a`, of the process `first`. */
function recovered(mayLackRecords: boolean, options: TestServerOptions = {}): TestServer {
  const server = new TestServer({ limits: { sessionExpiryMs: 100_000 }, ...options });
  const record = { kind: 'session', worker: 'a', key: 'first', epoch: 1 } as const;
  server.core.state.apply(record, server.now);
  server.core.recovered(LINEAGE, 1, server.now, mayLackRecords);
  return server;
}

/** A worker that was welcomed by an earlier life of the server. */
function returning(server: TestServer, id: string, key: string): FakeWorker {
  const worker = server.stranger(id, { key, lineage: LINEAGE });
  worker.hello();
  return worker;
}

describe('a state that may lack the last records', () => {
  it('lets a worker in again whose session it does not have', () => {
    const server = recovered(true);
    const b = returning(server, 'b', 'b1');
    expect(b.lines()).toEqual(['welcome epoch 1, clock 0, committed 0']);
    expect(b.welcome?.resumed).toBe(false);
    b.push(ONES);
    expect(b.lines()).toEqual(['push 1 applied v1, clock 0']);
  });

  it('may have an older process of a worker than the last one: that takes over', () => {
    const server = recovered(true);
    expect(returning(server, 'a', 'second').lines()).toEqual(['welcome epoch 2, clock 0, committed 0']);
    // What has happened since is known for certain.
    expect(returning(server, 'a', 'first').lines()).toEqual(['refused: PS_FENCED', 'closed 4409']);
  });

  it('is no excuse any more when a session of this life would have expired', () => {
    const server = recovered(true);
    server.wait(100_000);
    expect(returning(server, 'b', 'b1').lines()).toEqual(['refused: PS_SESSION_EXPIRED', 'closed 4410']);
  });
});

describe('a state that lacks clocks which a worker was told', () => {
  it('takes them over from Enter, and the worker goes on', () => {
    const server = recovered(true);
    const a = returning(server, 'a', 'first');
    a.send({ t: MessageType.enter, request: 1, clock: 4 });
    a.push(ONES, { clock: 4, tick: 5 });
    expect(a.lines().slice(1)).toEqual(['clock 4, min 4', 'push 1 applied v1, clock 5']);
    expect(server.table).toBe('a@5');
  });

  it('takes them over from Leave, without anyone waiting', () => {
    const server = recovered(true);
    const [a, b] = [returning(server, 'a', 'first'), server.worker('b')];
    b.enter();
    a.send({ t: MessageType.leave, request: 1, clock: 4 });
    expect(server.table).toBe('b@0');
    expect(server.core.state.session('a').clock).toBe(4);
  });

  it('takes over any number of clocks at once', () => {
    const server = recovered(true, { consistency: bsp(), isDurable: true });
    const a = returning(server, 'a', 'first');
    a.send({ t: MessageType.enter, request: 1, clock: 2 ** 40 });
    expect(server.records.map(({ record }) => record.kind)).toEqual(['enter', 'tick', 'close']);
    a.push(ONES, { clock: 2 ** 40, tick: 2 ** 40 + 1 });
    server.persist();
    expect([server.version, server.table]).toEqual([1, `a@${2 ** 40 + 1}`]);
  });

  it('refuses a clock that leaves none to those who come later', () => {
    const server = recovered(true);
    const a = returning(server, 'a', 'first');
    a.lines();
    for (const t of [MessageType.enter, MessageType.leave] as const) {
      a.send({ t, request: t, clock: 2 ** 52 + 1 });
      expect(a.lines()).toEqual([`request ${t} refused: PS_CLOCK`]);
    }
    expect([server.table, server.core.state.session('a').clock]).toEqual(['', 0]);
    a.send({ t: MessageType.enter, request: 30, clock: 2 ** 52 });
    a.push(ONES, { clock: 2 ** 52, tick: 2 ** 52 + 1 });
    expect(server.table).toBe(`a@${2 ** 52 + 1}`);
  });

  it('does not believe a session of this life', () => {
    const server = recovered(true);
    const b = server.worker('b');
    b.send({ t: MessageType.enter, request: 1, clock: 4 });
    expect(server.table).toBe('b@0');
  });
});

describe('a state that lacks nothing', () => {
  it('knows that a session is over', () => {
    const server = recovered(false);
    expect(returning(server, 'b', 'b1').lines()).toEqual(['refused: PS_SESSION_EXPIRED', 'closed 4410']);
    expect(returning(server, 'a', 'second').lines()).toEqual(['refused: PS_FENCED', 'closed 4409']);
  });
});
