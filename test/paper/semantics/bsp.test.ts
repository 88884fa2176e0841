/** The rules of BSP and of switching: a test per sentence of the design, quoted as its name. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import type { FakeWorker } from '../../unit/server/fakeWorker.js';
import { TestServer, type TestServerOptions } from '../../unit/server/kit.js';

const g = (value: number): number[] => [value, 0, 0, 0];

/** Workers that are in the table, on a server with BSP. */
function cluster(ids: string, options: TestServerOptions = {}): { server: TestServer; all: FakeWorker[] } {
  const server = new TestServer({ consistency: bsp(), minWorkers: ids.length, ...options });
  const all = [...ids].map((id) => server.worker(id));
  for (const worker of all) worker.enter();
  for (const worker of all) worker.lines();
  return { server, all };
}

const isAnswered = (worker: FakeWorker): boolean => worker.lines().some((line) => /^pull \d+: v/.test(line));

describe('BSP', () => {
  it('a push is acknowledged when it is buffered and committed (outcome buffered)', () => {
    const { server, all } = cluster('ab', { isDurable: true });
    const [a] = all as [FakeWorker];
    server.persist();
    a.lines();
    a.push(g(1));
    expect(a.lines()).toEqual([]);
    server.persist();
    expect(a.lines()).toEqual(['push 1 buffered v0, clock 0']);
  });

  it('clock c closes when every worker in the clock table has ticked past c', () => {
    const { server, all } = cluster('abc');
    for (const [i, worker] of all.entries()) {
      expect(server.version).toBe(0);
      worker.push(g(1), { tick: true });
      expect(server.version).toBe(i < 2 ? 0 : 1);
    }
  });

  it('each worker’s pushes of c are summed, those sums are added in float32 in the order of worker ids (by code units), divided by the number of workers that pushed, and the optimizer takes one step: version + 1', () => {
    const { server, all } = cluster('bZa_');
    const { fround } = Math;
    const values = { b: 0.1, Z: 1e8, a: -1e8 };
    const byId = new Map(all.map((worker) => [worker.id, worker]));
    byId.get('a')?.push(g(-1e8 / 2));
    byId.get('b')?.push(g(0.1), { tick: true });
    byId.get('Z')?.push(g(1e8), { tick: true });
    byId.get('_')?.tick();
    byId.get('a')?.push(g(-1e8 / 2), { tick: true });
    const sum = fround(fround(fround(values.Z) + fround(values.a)) + fround(values.b));
    expect(server.values[0]).toBe(fround(-fround(sum / 3)));
    expect(server.version).toBe(1);
  });

  it('a pull at clock c waits until all clocks < c have closed and sees exactly those', () => {
    const { all } = cluster('ab');
    const [a, b] = all as [FakeWorker, FakeWorker];
    a.push(g(2), { tick: true });
    a.pull();
    expect(isAnswered(a)).toBe(false);
    b.push(g(4), { tick: true });
    b.push(g(100), { tick: true });
    expect(a.lines()).toEqual(['pull 2: v1 [-3 0 0 0]']);
  });

  it('read-my-writes does not hold inside a clock', () => {
    const { all } = cluster('ab');
    const [a] = all as [FakeWorker];
    a.push(g(2));
    a.pull();
    expect(a.lines().at(-1)).toBe('pull 2: v0 [0 0 0 0]');
  });

  it('buffered pushes of a worker that was evicted count', () => {
    const { server, all } = cluster('ab', { limits: { disconnectGraceMs: 100 } });
    const [a, b] = all as [FakeWorker, FakeWorker];
    b.push(g(4));
    b.drop();
    server.wait(100, 50);
    a.push(g(2), { tick: true });
    expect(server.values[0]).toBe(-3);
  });

  it('minWorkers n: no training pull is answered before n have joined', () => {
    const server = new TestServer({ consistency: bsp(), minWorkers: 2 });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.pull();
    expect(isAnswered(a)).toBe(false);
    b.pull();
    expect([isAnswered(a), isAnswered(b)]).toEqual([true, true]);
  });

  it('equal bits need fixed worker ids, minWorkers n, no backup workers, and unchanged membership', () => {
    const train = (schedule: readonly number[]): Uint32Array => {
      const { server, all } = cluster('abc', { optimizer: momentum({ learningRate: 0.1 }) });
      const done = [0, 0, 0];
      const step = (who: number): void => {
        const clock = done[who] as number;
        if (clock === 4) return;
        const worker = all[who] as FakeWorker;
        worker.push(g(Math.sin(clock * 3 + who) * 10 ** who), { clock, tick: clock + 1 });
        done[who] = clock + 1;
      };
      schedule.forEach(step);
      for (let i = 0; i < 12; i++) step(i % 3);
      expect(server.version).toBe(4);
      return new Uint32Array(server.core.state.table.versions.current.slice().buffer);
    };
    const expected = train([]);
    fc.assert(
      fc.property(fc.array(fc.nat(2), { maxLength: 20 }), (schedule) => {
        expect(train(schedule)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it('one BSP worker equals the single-machine loop bit for bit', () => {
    const { server, all } = cluster('a', { optimizer: momentum({ learningRate: 0.1, momentum: 0.9 }) });
    const { fround } = Math;
    let [parameter, velocity] = [0, 0];
    for (let i = 0; i < 30; i++) {
      const gradient = fround(Math.cos(i) / 3);
      all[0]?.push(g(gradient), { tick: true });
      velocity = fround(fround(fround(0.9) * velocity) - fround(fround(0.1) * gradient));
      parameter = fround(parameter + velocity);
    }
    expect(server.values[0]).toBe(parameter);
  });

  it('SSP(0) with blocking on pull is not BSP: a slow reader could see a faster worker’s update of the same clock', () => {
    const see = (options: TestServerOptions): string[] => {
      const { all } = cluster('ab', options);
      const [a, b] = all as [FakeWorker, FakeWorker];
      a.push(g(1), { tick: true });
      b.pull();
      return b.lines();
    };
    expect(see({ consistency: ssp({ staleness: 0 }) })).toEqual(['pull 2: v1 [-1 0 0 0]']);
    expect(see({ consistency: bsp() })).toEqual(['pull 2: v0 [0 0 0 0]']);
  });
});

describe('backup workers b', () => {
  it('clock c closes when n − b have ticked, n being the size of the table when c opened', () => {
    const { server, all } = cluster('abcd', { consistency: bsp({ backupWorkers: 1 }) });
    const [a, b, c, d] = all as [FakeWorker, FakeWorker, FakeWorker, FakeWorker];
    a.tick();
    b.tick();
    expect(server.minClock).toBe(0);
    c.tick();
    expect(server.table).toBe('a@1 b@1 c@1 d@1');
    server.worker('e').enter();
    for (const worker of [a, b]) worker.tick();
    expect(server.minClock).toBe(1);
    d.tick(2);
    expect(server.minClock).toBe(2);
  });

  it('the others’ pushes of c are answered dropped, and they move to the open clock', () => {
    const { server, all } = cluster('ab', { consistency: bsp({ backupWorkers: 1 }) });
    const [a, b] = all as [FakeWorker, FakeWorker];
    a.push(g(1), { tick: true });
    b.push(g(100), { tick: true });
    expect(b.lines()).toEqual(['push 1 dropped v1, clock 1']);
    expect([server.values[0], server.table]).toEqual([-1, 'a@1 b@1']);
  });
});

describe('switching while running', () => {
  it('waiting pulls are re-evaluated in the same turn', () => {
    const { server, all } = cluster('ab');
    const [a] = all as [FakeWorker];
    a.tick();
    a.lines();
    a.pull();
    expect(isAnswered(a)).toBe(false);
    server.setConsistency(asp());
    expect(isAnswered(a)).toBe(true);
  });

  it('from BSP: buffered updates are applied at once in id order', () => {
    const { server, all } = cluster('ab', { optimizer: momentum({ learningRate: 1, momentum: 0.5 }) });
    const [a, b] = all as [FakeWorker, FakeWorker];
    b.push(g(8));
    a.push(g(2));
    server.setConsistency(ssp({ staleness: 1 }));
    expect(server.values[0]).toBe(-2 - (1 + 8));
    expect(server.version).toBe(2);
  });

  it('to BSP: it begins at the highest clock, until then SSP(0)', () => {
    const { server, all } = cluster('ab', { consistency: ssp({ staleness: 9 }) });
    const [a, b] = all as [FakeWorker, FakeWorker];
    for (let i = 0; i < 2; i++) a.tick();
    a.lines();
    server.setConsistency(bsp());
    a.pull();
    b.pull();
    expect([isAnswered(a), isAnswered(b)]).toEqual([false, true]);
    b.push(g(1), { tick: true });
    expect(b.lines()).toEqual(['push 1 applied v1, clock 1']);
    b.push(g(1), { tick: true });
    expect(isAnswered(a)).toBe(true);
    b.push(g(1));
    expect(b.lines().at(-1)).toBe('push 3 buffered v2 delay 2, clock 2');
  });
});
