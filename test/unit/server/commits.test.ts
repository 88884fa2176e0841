import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import type { UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import type { PushRecord } from '../../../src/core/server/records.js';
import { TestServer } from './kit.js';
import { hashOf } from './stateHash.js';

/** An optimizer of the user's that throws for gradients of 13. */
const fragile: UserOptimizer = {
  name: 'fragile',
  slots: [],
  learningRate: 1,
  apply(parameter, gradient) {
    if (gradient[0] === 13) throw new Error('unlucky');
    for (let i = 0; i < parameter.length; i++)
      parameter[i] = (parameter[i] as number) - (gradient[i] as number);
  },
};

const pushRecords = (server: TestServer): PushRecord[] =>
  server.records.flatMap(({ record }) => (record.kind === 'push' ? [record] : []));

describe('answers wait for the commit', () => {
  it('a welcome waits for its session', () => {
    const server = new TestServer({ isDurable: true });
    const a = server.stranger('a');
    a.hello();
    expect(a.lines()).toEqual([]);
    server.persist();
    expect(a.lines()).toEqual(['welcome epoch 1, clock 0, committed 0']);
  });

  it('a push is answered when its record is durable, in the order of records', () => {
    const server = new TestServer({ isDurable: true });
    const [a, b] = [server.worker('a'), server.worker('b')];
    server.persist();
    a.lines();
    b.lines();
    a.push([1, 1, 1, 1]);
    b.push([1, 1, 1, 1]);
    expect(server.version).toBe(2);
    const [enterA, pushA, enterB, pushB] = server.records.map(({ number }) => number);
    expect(enterB).toBe((pushA as number) + 1);
    server.persist(enterA);
    expect([a.lines(), b.lines()]).toEqual([[], []]);
    server.persist(pushA);
    expect([a.lines(), b.lines()]).toEqual([['push 1 applied v1, clock 0'], []]);
    server.persist(pushB);
    expect(b.lines()).toEqual(['push 1 applied v2, clock 0']);
  });

  it('a tick, an enter and a leave are answered when their records are durable', () => {
    const server = new TestServer({ isDurable: true });
    const a = server.worker('a');
    server.persist();
    a.lines();
    a.enter();
    a.tick();
    a.leave();
    expect(a.lines()).toEqual([]);
    server.persist();
    expect(a.lines()).toEqual(['clock 1, min 1', 'clock 1, min 1', 'clock 1, min 1']);
  });

  it('a repeat of a push that is decided and not committed waits for the commit', () => {
    const server = new TestServer({ isDurable: true });
    const a = server.worker('a');
    server.persist();
    a.push([1, 1, 1, 1]);
    a.drop();
    a.reconnect();
    a.push([1, 1, 1, 1], { seq: 1 });
    a.lines();
    expect(server.version).toBe(1);
    server.persist();
    expect(a.lines()).toContain('push 1 applied again v1, clock 0');
  });

  it('a repeat of a committed push is answered at once, whatever else is on its way to the disk', () => {
    const server = new TestServer({ isDurable: true });
    const [a, b] = [server.worker('a'), server.worker('b')];
    server.persist();
    a.push([1, 1, 1, 1]);
    server.persist();
    a.lines();
    b.push([1, 1, 1, 1]);
    a.push([1, 1, 1, 1], { seq: 1 });
    expect(a.lines()).toEqual(['push 1 applied again v1, clock 0']);
  });

  it('the stage of a push is kept until the record is durable', () => {
    const server = new TestServer({ isDurable: true });
    const a = server.worker('a');
    server.persist();
    a.push([1, 2, 3, 4], { chunk: 2 });
    expect(server.core.view.staging.usedBytes).toBe(16);
    expect([...(pushRecords(server)[0] as PushRecord).gradient]).toEqual([1, 2, 3, 4]);
    server.persist();
    expect(server.core.view.staging.usedBytes).toBe(0);
  });

  it('a client that leaves more pushes unanswered than answers are kept is answered all the same', () => {
    const server = new TestServer({ isDurable: true });
    const a = server.worker('a');
    server.persist();
    a.lines();
    for (let i = 0; i < 20; i++) a.push([1, 0, 0, 0]);
    server.persist();
    expect(a.lines()).toEqual(
      Array.from({ length: 20 }, (_, i) => `push ${i + 1} applied v${i + 1}, clock 0`),
    );
  });
});

describe('what the journal is given', () => {
  it('a push that the optimizer failed to apply is recorded as refused, and observed as such', () => {
    const server = new TestServer({ isDurable: true, optimizer: fragile });
    const a = server.worker('a');
    server.persist();
    a.lines();
    a.push([13, 0, 0, 0], { tick: true });
    const [record] = pushRecords(server);
    expect(record).toMatchObject({ outcome: 'refused', fault: { code: 'PS_INTERNAL' }, tick: undefined });
    expect(record?.gradient).toHaveLength(0);
    server.persist();
    expect(a.lines()).toEqual(['push 1 refused: PS_INTERNAL']);
    expect(server.values).toEqual([0, 0, 0, 0]);
    expect(server.seen('update')).toEqual([]);
    expect(server.seen('rejected')).toHaveLength(1);
    expect(server.seen('error')).toHaveLength(1);
    a.push([1, 0, 0, 0], { tick: true });
    server.persist();
    expect(a.lines()).toEqual(['push 2 applied v1, clock 1']);
  });

  it('says nothing of an update when the optimizer failed to merge a clock', () => {
    const server = new TestServer({ optimizer: fragile, consistency: { name: 'bsp', backupWorkers: 0 } });
    const a = server.worker('a');
    a.push([13, 0, 0, 0], { tick: true });
    expect(server.version).toBe(0);
    expect(server.seen('update')).toEqual([]);
    a.push([1, 0, 0, 0], { tick: true });
    expect(server.values).toEqual([-1, 0, 0, 0]);
    expect(server.seen('update')).toEqual([
      { kind: 'update', version: 1, workers: ['a'], clock: 1, delay: 0, scaled: false, applyMs: 0 },
    ]);
  });
});

describe('a refused message changes nothing, not even the clock table', () => {
  it.each([
    ['a push of a later clock', (a: ReturnType<TestServer['worker']>) => a.push([1, 1, 1, 1], { clock: 7 })],
    ['a push that ticks too far', (a: ReturnType<TestServer['worker']>) => a.push([1, 1, 1, 1], { tick: 2 })],
    ['a tick by two', (a: ReturnType<TestServer['worker']>) => a.tick(2)],
    ['a pull of an unknown tensor', (a: ReturnType<TestServer['worker']>) => a.pull({ tensors: [9] })],
  ])('%s', (_what, act) => {
    const server = new TestServer();
    const a = server.worker('a');
    act(a);
    expect(a.lines().join()).toMatch(/refused: PS_(CLOCK|UNKNOWN_TENSOR)/);
    expect(server.table).toBe('');
  });

  it('and the hash of all state says so, but for the sequence number', () => {
    const server = new TestServer();
    const a = server.worker('a');
    const before = hashOf(server.core.state);
    a.tick(5);
    a.pull({ tensors: [3] });
    expect(hashOf(server.core.state)).toBe(before);
  });
});

describe('drain', () => {
  it('is told behind the welcome; who comes now is refused', () => {
    const server = new TestServer({ isDurable: true });
    const [a, b] = [server.stranger('a'), server.stranger('b')];
    a.hello();
    server.command((_context, dispatcher) => dispatcher.announcements.drain(500));
    b.hello();
    expect([a.lines(), b.lines()]).toEqual([[], ['refused: PS_DRAINING', 'closed 4310']]);
    server.persist();
    expect(a.lines()).toEqual(['welcome epoch 1, clock 0, committed 0', 'drain: 500 ms']);
  });
});

describe('finish', () => {
  it('is told behind the welcome, whenever it is said', () => {
    const server = new TestServer({ isDurable: true });
    const [a, b] = [server.stranger('a'), server.stranger('b')];
    a.hello();
    server.command((_context, dispatcher) => dispatcher.announcements.finish('enough'));
    b.hello();
    expect([a.lines(), b.lines()]).toEqual([[], []]);
    server.persist();
    const told = ['welcome epoch 1, clock 0, committed 0', 'finish: enough'];
    expect([a.lines(), b.lines()]).toEqual([told, told]);
  });
});

describe('a changed staleness bound', () => {
  const takes = [MessageType.staleness];

  it('is told in the same turn to those who take it, behind what was decided before', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 3 }) });
    const [a, b] = [server.worker('a', { takes }), server.worker('b')];
    a.tick();
    for (const model of [ssp({ staleness: 1 }), ssp({ staleness: 1 }), bsp(), asp()]) {
      server.setConsistency(model);
    }
    a.tick();
    expect(a.lines()).toEqual([
      'clock 1, min 1',
      ...['staleness 1', 'staleness 0', 'staleness without bound'],
      'clock 2, min 2',
    ]);
    expect(b.lines()).toEqual([]);
  });

  it('is told before answers that are decided under it in the same turn', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [server.worker('a', { takes }), server.worker('b')];
    b.pull();
    a.tick();
    a.pull();
    expect(a.lines()).toEqual(['clock 1, min 0']);
    server.setConsistency(ssp({ staleness: 3 }));
    expect(a.lines()).toEqual(['staleness 3', expect.stringMatching(/^pull/)]);
  });

  it('stands in the welcome of who is not welcomed yet, and is told once it is', () => {
    const server = new TestServer({ isDurable: true, consistency: ssp({ staleness: 3 }) });
    const a = server.stranger('a', { takes });
    a.hello();
    server.setConsistency(ssp({ staleness: 1 }));
    expect(a.lines()).toEqual([]);
    server.persist();
    expect(a.lines()).toEqual(['welcome epoch 1, clock 0, committed 0']);
    expect(a.welcome?.staleness).toBe(1);
    server.setConsistency(ssp({ staleness: 2 }));
    expect(a.lines()).toEqual(['staleness 2']);
  });
});
