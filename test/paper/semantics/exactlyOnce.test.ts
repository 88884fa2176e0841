/** The rules of exactly once: a test per sentence of the design, quoted as its name. */
import { describe, expect, it, vi } from 'vitest';
import type { FakeWorker } from '../../unit/server/fakeWorker.js';
import { TestServer, type TestServerOptions } from '../../unit/server/kit.js';
import { hashOf } from '../../unit/server/stateHash.js';

// Slices of 256 elements, so that small tables take several turns.
vi.mock('../../../src/core/table/job.js', async (original) => ({
  ...(await original<object>()),
  SLICE_ELEMENTS: 256,
  IN_PLACE_ELEMENTS: 256,
}));

const ONES = [1, 1, 1, 1];

function start(options: TestServerOptions = {}): { server: TestServer; a: FakeWorker } {
  const server = new TestServer(options);
  const a = server.worker('a');
  server.persist();
  a.lines();
  return { server, a };
}

describe('the sequence', () => {
  it('seq is contiguous from 1 per (session, shard)', () => {
    const { server, a } = start();
    a.push(ONES);
    const other = server.worker('b');
    other.push(ONES);
    expect([a.lines(), other.lines()]).toEqual([
      ['push 1 applied v1, clock 0'],
      ['push 1 applied v2, clock 0'],
    ]);
  });

  it('the server keeps O(1) per session: last decided seq, last committed seq, clock, the outcomes of the last few', () => {
    const { server, a } = start();
    for (let i = 0; i < 100; i++) a.push(ONES);
    const { answers, decidedSeq, committedSeq } = server.core.state.session('a');
    expect([answers.length, decidedSeq, committedSeq]).toEqual([8, 100, 100]);
  });

  it('every decided push (applied, buffered, scaled, dropped, refused) takes its seq, and is recorded', () => {
    const { server, a } = start({ delay: { scale: 'inverse', max: 3 }, isDurable: true });
    const b = server.worker('b');
    a.pull();
    a.push(ONES);
    a.push([Number.NaN, 0, 0, 0]);
    b.push(ONES);
    a.push(ONES, { version: 0 });
    b.push(ONES);
    a.push(ONES, { version: 0 });
    server.setConsistency({ name: 'bsp', backupWorkers: 0 });
    a.push(ONES);
    const recorded = server.records.flatMap(({ record }) =>
      record.kind === 'push' && record.worker === 'a' ? [`${record.seq} ${record.outcome}`] : [],
    );
    expect(recorded).toEqual(['1 applied', '2 refused', '3 scaled', '4 dropped', '5 buffered']);
  });

  it('a repeat gets the original outcome with duplicate: true', () => {
    const { a } = start();
    a.push(ONES);
    a.push([5, 5, 5, 5], { seq: 1 });
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0', 'push 1 applied again v1, clock 0']);
  });

  it('seq = last + 1: decide. seq ≤ last committed: answer again', () => {
    const { server, a } = start({ isDurable: true });
    a.push(ONES);
    server.persist();
    expect(server.version).toBe(1);
    a.lines();
    a.push(ONES, { seq: 1 });
    expect(a.lines()).toEqual(['push 1 applied again v1, clock 0']);
  });

  it('last committed < seq ≤ last decided: wait for the commit, then answer', () => {
    const { server, a } = start({ isDurable: true });
    a.push(ONES);
    a.push(ONES, { seq: 1 });
    expect([server.version, a.lines()]).toEqual([1, []]);
    server.persist();
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0', 'push 1 applied again v1, clock 0']);
  });

  it('seq > last + 1: an error with the expected seq, nothing changed', () => {
    const { server, a } = start();
    a.push(ONES);
    a.lines();
    const before = hashOf(server.core.state);
    a.push(ONES, { seq: 3 });
    expect(a.lines()).toEqual(['push 3 refused: PS_SEQUENCE expected 2']);
    expect(hashOf(server.core.state)).toBe(before);
  });

  it('a repeat that comes while the first is half applied waits for it', () => {
    const { server, a } = start({ parameters: { w: { shape: [1000] } } });
    const ones = Array.from({ length: 1000 }, () => 1);
    server.isContinuing = false;
    a.push(ones);
    a.reconnect();
    a.lines();
    a.push(ones, { seq: 1 });
    expect(a.lines()).toEqual([]);
    while (server.proceed());
    expect(a.lines()).toEqual(['push 1 applied again v1, clock 0']);
    expect(server.version).toBe(1);
  });
});

describe('records', () => {
  it('carry the learning rate, the delay factor and the clip factor that were used; replay never calls the user’s schedules or functions of τ', () => {
    const { server, a } = start({
      isDurable: true,
      optimizer: { name: 'sgd', slots: [], learningRate: (version: number) => 1 / (1 + version) },
      delay: { scale: (delay) => 1 / (1 + delay) },
      clip: { norm: 1, value: 5 },
    });
    a.push([3, 4, 0, 0]);
    a.push([3, 4, 0, 0], { version: 0 });
    const pushes = server.records.flatMap(({ record }) => (record.kind === 'push' ? [record] : []));
    expect(pushes).toMatchObject([
      { rates: [1], factor: Math.fround(0.2), clipValue: 5, delay: 0 },
      { rates: [0.25], factor: Math.fround(0.2), clipValue: 5, delay: 1 },
    ]);
  });

  it('changes of settings are records', () => {
    const { server } = start({ isDurable: true });
    server.setConsistency({ name: 'asp' });
    server.record({ kind: 'optimizer', learningRate: 2 });
    expect(server.records.map(({ record }) => record.kind)).toEqual(['consistency', 'optimizer']);
  });
});

describe('a session', () => {
  it('that expired (24 h) is told so; its retry is never applied', () => {
    const { server, a } = start();
    a.push(ONES);
    a.goodbye();
    server.wait(86_400_000, 10_000);
    a.lines();
    a.reconnect();
    a.push(ONES, { seq: 2 });
    expect(a.lines()).toEqual(['refused: PS_SESSION_EXPIRED', 'closed 4410']);
    expect(server.version).toBe(1);
  });
});

describe('a push', () => {
  it('is all-or-nothing on a shard: staged, validated, applied', () => {
    const { server, a } = start();
    a.push([1, 2, 3, Number.NaN], { chunk: 1 });
    expect(a.lines()).toEqual(['push 1 refused: PS_NOT_FINITE "w"']);
    expect(server.values).toEqual([0, 0, 0, 0]);
    a.push([1, 2, 3, 4], { chunk: 1, only: 3 });
    expect(server.values).toEqual([0, 0, 0, 0]);
    a.chunk(2, 3, [4]);
    expect(server.values).toEqual([-1, -2, -3, -4]);
  });

  it('of more than one chunk asks for room in the staging pool (first come, first served)', () => {
    const { server, a } = start({ limits: { stagingBytes: 16 } });
    const [b, c] = [server.worker('b'), server.worker('c')];
    a.push(ONES, { chunk: 1, only: 3 });
    c.push(ONES, { chunk: 2 });
    b.push(ONES, { chunk: 2 });
    a.chunk(1, 3, [1]);
    expect([c.lines(), b.lines()]).toEqual([['push 1 applied v2, clock 0'], ['push 1 applied v3, clock 0']]);
  });

  it('a lost connection frees its stage, and the resend starts at byte 0', () => {
    const { server, a } = start({ limits: { stagingBytes: 16 } });
    a.push([9, 9, 9, 9], { chunk: 1, only: 3 });
    a.drop();
    expect(server.core.view.staging.usedBytes).toBe(0);
    a.reconnect();
    a.push(ONES, { seq: 1, chunk: 1 });
    expect(server.values).toEqual([-1, -1, -1, -1]);
  });

  it('nothing is acknowledged and then dropped', () => {
    const { server, a } = start({ consistency: { name: 'bsp', backupWorkers: 0 } });
    const b = server.worker('b');
    b.enter();
    a.push([4, 0, 0, 0]);
    expect(a.lines()).toEqual(['push 1 buffered v0, clock 0']);
    a.goodbye();
    b.goodbye();
    expect(server.values[0]).toBe(-4);
  });
});

describe('a consistent turn', () => {
  it('an apply of a large model spans several turns, the version rises once, at the end; pulls meanwhile see the version before; pushes queue', () => {
    const { server, a } = start({ parameters: { w: { shape: [1000] } } });
    const b = server.worker('b');
    const ones = Array.from({ length: 1000 }, () => 1);
    server.isContinuing = false;
    a.push(ones);
    b.push(ones);
    const seen = new Set<string>();
    let turns = 0;
    do {
      const reader = server.reader(`r${turns++}`);
      reader.pull();
      for (const line of reader.lines()) seen.add(line.replace(/ \[(\S+)( \1)*\]/, ' all $1'));
    } while (server.proceed());
    expect(turns).toBeGreaterThan(4);
    expect([...seen]).toEqual(['pull 1: v0 all 0', 'pull 1: v1 all -1', 'pull 1: v2 all -2']);
  });
});
