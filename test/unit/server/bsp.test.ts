import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import { TestServer } from './kit.js';
import { hashOf } from './stateHash.js';

type Worker = ReturnType<TestServer['worker']>;

/** A BSP server with workers that have entered. */
function newServer(ids: string, options: ConstructorParameters<typeof TestServer>[0] = {}) {
  const server = new TestServer({ consistency: bsp(), minWorkers: ids.length, ...options });
  const workers = [...ids].map((id) => server.worker(id));
  for (const worker of workers) {
    worker.enter();
    worker.lines();
  }
  return { server, workers: workers as [Worker, Worker, Worker, Worker] };
}

const g = (value: number): number[] => [value, 0, 0, 0];

describe('a clock', () => {
  it('closes when all have ticked past it: the mean is one update, and version + 1', () => {
    const { server, workers } = newServer('ab');
    const [a, b] = workers;
    a.push(g(1), { tick: true });
    expect(a.lines()).toEqual(['push 1 buffered v0, clock 1']);
    a.pull();
    expect(a.lines()).toEqual([]);
    b.push(g(3));
    b.push(g(2));
    expect([server.version, b.lines().length]).toEqual([0, 2]);
    b.tick();
    expect(server.values).toEqual([-3, 0, 0, 0]);
    expect(server.version).toBe(1);
    expect(a.lines()).toEqual(['pull 2: v1 [-3 0 0 0]']);
    expect(server.seen('update')).toEqual([
      { kind: 'update', version: 1, workers: ['a', 'b'], clock: 0, delay: 0, scaled: false, applyMs: 0 },
    ]);
  });

  it('does not wait for one that pushes nothing, and counts only those that pushed', () => {
    const { server, workers } = newServer('abc');
    const [a, b, c] = workers;
    a.push(g(2), { tick: true });
    b.push(g(4), { tick: true });
    c.tick();
    expect(server.values[0]).toBe(-3);
  });

  it('in which nobody pushed closes without an update', () => {
    const { server, workers } = newServer('ab');
    for (const worker of workers) worker.tick();
    expect([server.version, server.minClock]).toEqual([0, 1]);
    for (const worker of workers) worker.pull();
    expect(workers.map((worker) => worker.lines().at(-1))).toEqual([
      'pull 3: v0 [0 0 0 0]',
      'pull 3: v0 [0 0 0 0]',
    ]);
  });

  it('does not close before minWorkers have joined', () => {
    const server = new TestServer({ consistency: bsp(), minWorkers: 2 });
    const a = server.worker('a');
    a.push(g(2), { tick: true });
    expect(server.version).toBe(0);
    const b = server.worker('b');
    b.push(g(4), { tick: true });
    expect(server.values[0]).toBe(-3);
  });

  it('a pull inside it does not see its own pushes', () => {
    const { workers } = newServer('ab');
    const [a] = workers;
    a.push(g(1));
    a.pull();
    expect(a.lines()).toEqual(['push 1 buffered v0, clock 0', 'pull 2: v0 [0 0 0 0]']);
  });

  it('counts the buffered pushes of one that was evicted, and closes without it', () => {
    const { server, workers } = newServer('ab', { limits: { disconnectGraceMs: 1000 } });
    const [a, b] = workers;
    b.push(g(4));
    b.drop();
    a.push(g(2), { tick: true });
    a.pull();
    a.lines();
    server.wait(1000, 100);
    expect(server.values[0]).toBe(-3);
    expect(a.lines()).toContain('pull 2: v1 [-3 0 0 0]');
  });

  it('closes when the last worker leaves; nothing that was acknowledged is lost', () => {
    const { server, workers } = newServer('ab');
    const [a, b] = workers;
    a.push(g(2));
    b.push(g(4));
    a.goodbye();
    expect(server.version).toBe(0);
    b.goodbye();
    expect(server.values[0]).toBe(-3);
    const c = server.worker('c');
    c.pull();
    expect(c.lines()).toEqual(['pull 1: v1 [-3 0 0 0]']);
    expect(c.clock).toBe(1);
  });

  it('one that joins takes part from the open clock on', () => {
    const { server, workers } = newServer('ab');
    const [a, b] = workers;
    for (const worker of [a, b]) worker.push(g(1), { tick: true });
    const c = server.worker('c');
    c.pull();
    expect([c.clock, c.lines()]).toEqual([1, ['pull 1: v1 [-1 0 0 0]']]);
    for (const worker of [a, b]) worker.push(g(1), { tick: true });
    expect(server.version).toBe(1);
    c.push(g(4), { tick: true });
    expect(server.values[0]).toBe(-3);
  });

  it('workers ahead of it are kept apart, clock by clock', () => {
    const { server, workers } = newServer('ab');
    const [a, b] = workers;
    for (const value of [1, 10, 100]) a.push(g(value), { tick: true });
    expect(server.core.state.buffers.size).toBe(3);
    b.push(g(3), { tick: true });
    expect(server.values[0]).toBe(-2);
    b.push(g(30), { tick: true });
    expect(server.values[0]).toBe(-22);
    b.goodbye();
    expect(server.values[0]).toBe(-122);
    expect(server.version).toBe(3);
    expect(server.core.state.buffers.size).toBe(0);
  });

  it('one too far ahead is refused: memory is bounded', () => {
    const { server, workers } = newServer('ab');
    const [a] = workers;
    for (let i = 0; i < 9; i++) a.push(g(1), { tick: true });
    expect(a.lines().at(-1)).toBe('push 9 refused: PS_LIMIT');
    expect(server.core.state.buffers.size).toBe(8);
  });

  it('what waits for clocks to close is bounded, and clocks that are ahead leave half to the open one', () => {
    const limits = { clockBufferBytes: 5 * 16 };
    const { server, workers } = newServer('abc', { limits });
    const [a, b, c] = workers;
    for (let i = 0; i < 3; i++) a.push(g(1), { tick: true });
    expect(a.lines().map((line) => line.split(',')[0])).toEqual([
      'push 1 buffered v0',
      'push 2 buffered v0',
      'push 3 refused: PS_LIMIT',
    ]);
    for (const worker of [b, c]) worker.push(g(1));
    for (const worker of [b, c]) expect(worker.lines()).toEqual(['push 1 buffered v0, clock 0']);
    expect(server.core.state.bufferedBytes).toBe(4 * 16);
    // More of the same clock, worker and tensor takes no more.
    b.push(g(1), { tick: true });
    c.push(g(1), { tick: true });
    expect(server.version).toBe(1);
    expect(server.core.state.bufferedBytes).toBe(16);
  });

  it('a push of one tensor keeps that one alone', () => {
    const parameters = { w: { shape: [1000] }, b: { shape: [1] } };
    const { server, workers } = newServer('ab', { parameters });
    for (const worker of workers) {
      for (let i = 0; i < 4; i++) worker.push([1], { tensors: [1], tick: true });
    }
    // All clocks but the open one have closed.
    workers[0].push([1], { tensors: [1], tick: true });
    expect(server.core.state.bufferedBytes).toBe(4);
    expect(server.values.at(-1)).toBe(-4);
  });

  it('a rate schedule is asked once per update, with its version', () => {
    const asked: number[] = [];
    const learningRate = (version: number): number => {
      asked.push(version);
      return 1;
    };
    const { workers } = newServer('ab', { optimizer: momentum({ learningRate, momentum: 0 }) });
    for (let i = 0; i < 3; i++) for (const worker of workers) worker.push(g(1), { tick: true });
    expect(asked).toEqual([0, 1, 2]);
  });
});

describe('bits', () => {
  it('do not depend on the order in which workers come', () => {
    const values = { a: 1e8, b: 1.5, c: -1e8, d: 0.1 };
    const hashes = ['abcd', 'dcba', 'cadb'].map((order) => {
      const { server, workers } = newServer('abcd', { optimizer: momentum({ learningRate: 0.1 }) });
      const byId = new Map(workers.map((worker) => [worker.id, worker]));
      for (let clock = 0; clock < 3; clock++) {
        for (const id of order) byId.get(id)?.push(g(values[id as 'a'] * (clock + 1)), { tick: true });
      }
      return [
        ...server.core.state.table.versions.current,
        ...(server.core.state.table.slots[0] as Float32Array),
      ];
    });
    expect(hashes[1]).toEqual(hashes[0]);
    expect(hashes[2]).toEqual(hashes[0]);
  });
});

describe('backup workers', () => {
  const backup = (workers: number) => ({ consistency: bsp({ backupWorkers: workers }) });

  it('a clock closes when all but b have ticked; the pushes of the others are dropped, and they move up', () => {
    const { server, workers } = newServer('abc', backup(1));
    const [a, b, c] = workers;
    a.push(g(2), { tick: true });
    b.push(g(4), { tick: true });
    expect(server.values[0]).toBe(-3);
    expect(server.table).toBe('a@1 b@1 c@1');
    c.push(g(100), { tick: true });
    expect(c.lines()).toEqual(['push 1 dropped v1, clock 1']);
    c.pull();
    expect(c.lines()).toEqual(['pull 2: v1 [-3 0 0 0]']);
    c.push(g(6), { tick: true });
    a.push(g(6), { tick: true });
    expect(server.values[0]).toBe(-9);
    expect(server.seen('dropped')).toEqual([{ kind: 'dropped', id: 'c', clock: 0, delay: 0 }]);
  });

  it('what a slow one had pushed before the clock closed counts', () => {
    const { server, workers } = newServer('abc', backup(1));
    const [a, b, c] = workers;
    c.push(g(6));
    a.push(g(0), { tick: true });
    b.push(g(0), { tick: true });
    expect(server.values[0]).toBe(-2);
  });

  it('its tick, late, changes nothing', () => {
    const { server, workers } = newServer('abc', backup(1));
    const [a, b, c] = workers;
    a.tick();
    b.tick();
    c.tick(1);
    expect(c.lines()).toEqual(['clock 1, min 1']);
    expect(server.table).toBe('a@1 b@1 c@1');
  });

  it('a pull of it that waits is one of the clock that it was moved to', () => {
    const { workers } = newServer('abc', backup(1));
    const [a, b, c] = workers;
    c.pull({ clock: 0, wait: true, ifNewerThan: { incarnation: 'incarnation', version: 0 } });
    a.push(g(3), { tick: true });
    b.push(g(3), { tick: true });
    expect(c.lines()).toEqual(['pull 2: v1 [-3 0 0 0]']);
    expect(c.clock).toBe(1);
  });
});

describe('switching while it runs', () => {
  it('from BSP: what is buffered is applied at once in id order, and pulls that wait are answered', () => {
    const { server, workers } = newServer('abc', { optimizer: momentum({ learningRate: 1, momentum: 0.5 }) });
    const [a, b, c] = workers;
    c.push(g(1));
    b.push(g(10), { tick: true });
    b.push(g(100), { tick: true });
    a.push(g(1000), { tick: true });
    b.pull();
    b.lines();
    expect(server.setConsistency(ssp({ staleness: 2 })).isDone).toBe(true);
    // a, b, c of clock 0, then b of clock 1: v = 0.5 v − g each time.
    expect(server.values[0]).toBe(-1000 - 510 - 256 - 228);
    expect(server.version).toBe(4);
    expect(b.lines()).toEqual([`pull 2: v4 [-1994 0 0 0]`]);
    c.push(g(0));
    expect(c.lines().at(-1)).toBe('push 2 applied v5, clock 0');
    expect(server.core.state.buffers.size).toBe(0);
  });

  it('to ASP answers every pull that waits', () => {
    const { server, workers } = newServer('abc');
    const [a, b] = workers;
    for (const worker of [a, b]) {
      worker.tick();
      worker.tick();
      worker.lines();
      worker.pull();
    }
    server.setConsistency(asp());
    expect([a.lines().length, b.lines().length]).toEqual([1, 1]);
  });

  it('to BSP: begins at the highest clock, until then SSP(0)', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 5 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.enter();
    b.enter();
    for (let i = 0; i < 3; i++) a.push(g(1), { tick: true });
    server.setConsistency(bsp());
    a.lines();
    a.pull();
    expect(a.lines()).toEqual([]);
    // b catches up: applied, and its pulls are answered, as under SSP(0).
    for (let i = 0; i < 3; i++) {
      b.pull();
      b.push(g(1), { tick: true });
    }
    expect(server.version).toBe(6);
    expect(a.lines()).toEqual(['pull 2: v6 [-6 0 0 0]']);
    a.push(g(4), { tick: true });
    expect(a.lines()).toEqual(['push 4 buffered v6, clock 4']);
    b.push(g(8), { tick: true });
    expect(server.values[0]).toBe(-12);
    expect(server.version).toBe(7);
  });

  it('to BSP while nobody trains, and one comes back with a clock ahead', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 50 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    for (let i = 0; i < 40; i++) a.tick();
    a.leave();
    b.leave();
    server.setConsistency(bsp());
    a.lines();
    a.pull();
    expect(a.lines()).toEqual(['pull 42: v0 [0 0 0 0]']);
    a.push(g(1), { tick: true });
    expect(server.values[0]).toBe(-1);
    b.pull();
    expect(b.clock).toBe(41);
  });

  it('from BSP to BSP with backup workers: the buffered is applied, training goes on', () => {
    const { server, workers } = newServer('ab');
    const [a, b] = workers;
    a.push(g(2), { tick: true });
    server.setConsistency(bsp({ backupWorkers: 1 }));
    expect(server.values[0]).toBe(-2);
    b.push(g(0), { tick: true });
    for (const worker of [a, b]) worker.pull();
    expect([a.lines().at(-1), b.lines().at(-1)]).toEqual(['pull 2: v2 [-2 0 0 0]', 'pull 2: v2 [-2 0 0 0]']);
  });

  it('to a smaller bound: a pull that was within the old one waits', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 5 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    for (let i = 0; i < 3; i++) a.tick();
    server.setConsistency(ssp({ staleness: 1 }));
    a.lines();
    a.pull();
    expect(a.lines()).toEqual([]);
    server.setConsistency(ssp({ staleness: 3 }));
    expect(a.lines()).toHaveLength(1);
  });

  it('keeps the values when the new model is the old one', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push(g(1), { tick: true });
    const before = hashOf(server.core.state);
    server.setConsistency(ssp({ staleness: 3 }));
    expect(hashOf(server.core.state)).toBe(before);
  });
});

describe('one worker', () => {
  it('is the plain loop, bit for bit', () => {
    const { server, workers } = newServer('a', { optimizer: momentum({ learningRate: 0.1 }) });
    const [a] = workers;
    const plain = new TestServer({ consistency: asp(), optimizer: momentum({ learningRate: 0.1 }) });
    const loop = plain.worker('a');
    for (let i = 0; i < 50; i++) {
      const gradient = [-0, Math.sin(i), 1e-30 * i, 1 / (i + 1)];
      a.push(gradient, { tick: true });
      loop.push(gradient);
    }
    const bits = ({ core }: TestServer): Uint32Array =>
      new Uint32Array(core.state.table.versions.current.slice().buffer);
    expect(bits(server)).toEqual(bits(plain));
  });
});
