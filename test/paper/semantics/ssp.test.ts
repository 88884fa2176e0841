/** The rules of SSP, ASP and delay: a test per sentence of the design, quoted as its name. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asp, ssp } from '../../../src/core/consistency/consistency.js';
import type { FakeWorker } from '../../unit/server/fakeWorker.js';
import { TestServer, type TestServerOptions } from '../../unit/server/kit.js';

const ONES = [1, 1, 1, 1];

/** Workers that are in the table, on a server with SSP(`staleness`). */
function cluster(
  staleness: number,
  ids: string,
  options: TestServerOptions = {},
): { server: TestServer; all: FakeWorker[] } {
  const server = new TestServer({ consistency: ssp({ staleness }), ...options });
  const all = [...ids].map((id) => server.worker(id));
  for (const worker of all) worker.enter();
  for (const worker of all) worker.lines();
  return { server, all };
}

/** Whether its last pull has been answered. */
const isAnswered = (worker: FakeWorker): boolean => worker.lines().some((line) => /^pull \d+: v/.test(line));

function tickTo(worker: FakeWorker, clock: number): void {
  while (worker.clock < clock) worker.tick();
  worker.lines();
}

describe('words', () => {
  it('clock: how many iterations that worker has completed; tick raises it by 1', () => {
    const { server, all } = cluster(3, 'a');
    all[0]?.tick();
    all[0]?.tick();
    expect(server.table).toBe('a@2');
  });

  it('the first worker begins at 0, later ones at minClock as it is when they join', () => {
    const { server, all } = cluster(3, 'ab');
    tickTo(all[0] as FakeWorker, 5);
    tickTo(all[1] as FakeWorker, 3);
    server.worker('c').enter();
    expect(server.table).toBe('a@5 b@3 c@3');
  });

  it('a worker is in the clock table from the start of run, or its first training pull or push, to its end', () => {
    const server = new TestServer();
    const [a, b, c] = ['a', 'b', 'c'].map((id) => server.worker(id)) as [FakeWorker, FakeWorker, FakeWorker];
    expect(server.table).toBe('');
    a.enter();
    b.pull();
    c.push(ONES);
    expect(server.table).toBe('a@0 b@0 c@0');
    a.leave();
    b.goodbye();
    expect(server.table).toBe('c@0');
  });

  it('it is out between runs, while it is connected as a reader, or has left', () => {
    const { server, all } = cluster(3, 'a');
    all[0]?.leave();
    all[0]?.look();
    server.reader('r').pull();
    expect(server.table).toBe('');
  });

  it('it re-enters at max(minClock, its old clock)', () => {
    const { server, all } = cluster(9, 'abc');
    const [a, b, c] = all as [FakeWorker, FakeWorker, FakeWorker];
    tickTo(a, 4);
    tickTo(b, 1);
    a.leave();
    b.leave();
    tickTo(c, 2);
    a.enter();
    b.enter();
    expect(server.table).toBe('a@4 b@2 c@2');
  });

  it('minClock never falls; with nobody in the table it keeps its value', () => {
    const { server, all } = cluster(3, 'a');
    tickTo(all[0] as FakeWorker, 3);
    all[0]?.leave();
    expect(server.minClock).toBe(3);
    server.worker('new').enter();
    expect([server.minClock, server.table]).toEqual([3, 'new@3']);
  });

  it('version: number of updates that the shard has applied; +1 per applied update', () => {
    const { server, all } = cluster(3, 'a', { delay: { max: 0 } });
    const [a] = all as [FakeWorker];
    a.push(ONES);
    a.push([1, Number.NaN, 1, 1]);
    a.push(ONES);
    a.push(ONES, { version: 0 });
    expect(server.version).toBe(2);
  });

  it('delay τ: version when a push is applied − version that the worker had pulled to compute it', () => {
    const { all } = cluster(9, 'ab');
    const [a, b] = all as [FakeWorker, FakeWorker];
    a.pull();
    for (let i = 0; i < 3; i++) b.push(ONES);
    a.push(ONES);
    expect(a.lines().at(-1)).toBe('push 1 applied v4 delay 3, clock 0');
  });
});

describe('SSP(s)', () => {
  it.each([0, 1, 3])('s = %i: answer a training pull of a worker at clock c iff minClock ≥ c − s', (s) => {
    for (let c = 0; c <= 6; c++) {
      for (let min = 0; min <= c; min++) {
        const { all } = cluster(s, 'ab');
        const [a, b] = all as [FakeWorker, FakeWorker];
        tickTo(b, min);
        tickTo(a, c);
        a.pull();
        expect([c, min, isAnswered(a)]).toEqual([c, min, min >= c - s]);
      }
    }
  });

  it('a worker at clock c that pulls sees every update of every worker with timestamp ≤ c − s − 1 and all its own', () => {
    const steps = fc.array(fc.record({ who: fc.nat(2), isTicking: fc.boolean() }), { maxLength: 80 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), steps, (s, all) => {
        const { server, all: workers } = cluster(s, 'abc');
        /** What each worker has pushed in each clock: cell i counts the pushes of worker i. */
        const pushed = workers.map(() => [] as number[]);
        for (const { who, isTicking } of all) {
          const worker = workers[who] as FakeWorker;
          worker.pull();
          const told = worker.lines().find((line) => /^pull \d+: v/.test(line));
          if (told !== undefined) {
            const cells = /\[(.*)\]/.exec(told)?.[1]?.split(' ').map(Number) as number[];
            pushed.forEach((byClock, i) => {
              const owed = byClock.filter((_, clock) => i === who || clock <= worker.clock - s - 1);
              expect(-(cells[i] as number)).toBeGreaterThanOrEqual(owed.reduce((sum, each) => sum + each, 0));
            });
          } else {
            worker.cancel(worker.nextRequest - 1);
          }
          const { clock } = worker;
          worker.push(
            [0, 1, 2, 3].map((i) => (i === who ? 1 : 0)),
            { tick: isTicking },
          );
          const counts = pushed[who] as number[];
          counts[clock] = (counts[clock] ?? 0) + 1;
          for (let each = 0; each < clock; each++) counts[each] ??= 0;
        }
        expect(server.version).toBe(all.length);
      }),
      { numRuns: 60 },
    );
  });

  it('and may see newer ones', () => {
    const { all } = cluster(3, 'ab');
    const [a, b] = all as [FakeWorker, FakeWorker];
    b.push(ONES, { tick: true });
    a.pull();
    expect(a.lines()).toEqual(['pull 2: v1 [-1 -1 -1 -1]']);
  });

  it('blocking happens on pull, never on push or tick', () => {
    const { server, all } = cluster(0, 'ab');
    const [a] = all as [FakeWorker];
    for (let i = 0; i < 10; i++) a.push(ONES, { tick: true });
    a.tick();
    expect(a.lines()).toHaveLength(11);
    expect([server.version, server.table]).toEqual([10, 'a@11 b@0']);
  });

  it('at an answered pull lead ≤ s; between tick and pull it can be s + 1', () => {
    const { server, all } = cluster(2, 'ab');
    const [a] = all as [FakeWorker];
    let [answeredLead, otherLead] = [0, 0];
    for (let i = 0; i < 5; i++) {
      a.pull();
      if (!isAnswered(a)) break;
      answeredLead = Math.max(answeredLead, a.clock - server.minClock);
      a.tick();
      otherLead = Math.max(otherLead, a.clock - server.minClock);
    }
    expect([answeredLead, otherLead]).toEqual([2, 3]);
  });

  it('with one pull, then one push, per clock, P workers and unchanged membership: τ ≤ (P − 1)(2s + 1)', () => {
    let greatest = 0;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 }), fc.array(fc.nat(2), { maxLength: 120 }), (s, schedule) => {
        const { server, all } = cluster(s, 'abc');
        const hasPulled = all.map(() => false);
        const isAsking = all.map(() => false);
        for (const who of schedule) {
          const worker = all[who] as FakeWorker;
          if (!hasPulled[who] && !isAsking[who]) {
            worker.pull();
            isAsking[who] = true;
          }
          if (isAsking[who] && isAnswered(worker)) [hasPulled[who], isAsking[who]] = [true, false];
          else if (hasPulled[who]) {
            worker.push(ONES, { tick: true });
            hasPulled[who] = false;
            worker.lines();
          }
        }
        for (const { delay } of server.seen('update')) {
          expect(delay).toBeLessThanOrEqual(2 * (2 * s + 1));
          greatest = Math.max(greatest, delay);
        }
      }),
      { numRuns: 200 },
    );
    expect(greatest).toBeGreaterThan(1);
  });

  it('τ reaches (P − 1)(2s + 1): the bound is the least', () => {
    for (const s of [0, 1, 2]) {
      const { all } = cluster(s, 'abc');
      const [slow, ...others] = all as [FakeWorker, FakeWorker, FakeWorker];
      // The others stand s behind the slow one when it pulls, and go on to s + 1 before it.
      for (let i = 0; i < s; i++) slow.push(ONES, { tick: true });
      slow.pull();
      for (let clock = 0; clock <= 2 * s; clock++) {
        for (const worker of others) {
          worker.pull();
          expect(isAnswered(worker)).toBe(true);
          worker.push(ONES, { tick: true });
        }
      }
      slow.lines();
      slow.push(ONES, { tick: true });
      expect(slow.lines().at(-1)).toContain(`delay ${2 * (2 * s + 1)},`);
    }
  });

  it('with a pipeline of k steps, a pull carries the clock c of the step that it is for, and waits for minClock ≥ c − s', () => {
    const { all } = cluster(2, 'ab');
    const [a, b] = all as [FakeWorker, FakeWorker];
    a.pull({ clock: 2 });
    expect(isAnswered(a)).toBe(true);
    a.pull({ clock: 3 });
    expect(isAnswered(a)).toBe(false);
    a.tick();
    b.tick();
    expect(isAnswered(a)).toBe(true);
  });

  it('the bound binds workers that pull each clock; a push computed from an older pull meets the delay policy', () => {
    const { server, all } = cluster(0, 'ab', { delay: { max: 4 } });
    const [a, b] = all as [FakeWorker, FakeWorker];
    a.pull();
    for (let i = 0; i < 5; i++) b.push(ONES, { tick: true });
    a.push(ONES, { tick: true });
    expect(a.lines().at(-1)).toBe('push 1 dropped v5 delay 5, clock 1');
    expect(server.version).toBe(5);
  });
});

describe('ASP', () => {
  it('never blocks', () => {
    const { all } = cluster(0, 'ab', { consistency: asp() });
    const [a] = all as [FakeWorker];
    for (let i = 0; i < 50; i++) {
      a.push(ONES, { tick: true });
      a.pull();
      expect(isAnswered(a)).toBe(true);
    }
  });
});

describe('what may not go wrong', () => {
  it('the tick of clock c reaches each shard after that worker’s pushes of c', () => {
    const { server, all } = cluster(0, 'ab');
    const [a, b] = all as [FakeWorker, FakeWorker];
    b.tick();
    b.lines();
    b.pull();
    a.push(ONES, { chunk: 1, only: 3 });
    a.tick();
    expect([server.table, isAnswered(b)]).toEqual(['a@0 b@1', false]);
    a.chunk(1, 3, [1]);
    expect(b.lines()).toEqual(['pull 3: v1 [-1 -1 -1 -1]']);
  });

  it('a tick carries its target clock (at most +1), is idempotent and is committed like a push; it may ride on one', () => {
    const { server, all } = cluster(0, 'a', { isDurable: true });
    const [a] = all as [FakeWorker];
    server.persist();
    a.lines();
    a.tick(1);
    expect(a.lines()).toEqual([]);
    server.persist();
    a.tick(1);
    a.tick(3);
    a.push(ONES, { tick: 2 });
    server.persist();
    expect(a.lines()).toEqual([
      'clock 1, min 1',
      'clock 1, min 1',
      `request ${a.nextRequest - 1} refused: PS_CLOCK`,
      'push 1 applied v1, clock 2',
    ]);
  });

  it.each([
    ['finished', (worker: FakeWorker) => worker.goodbye()],
    ['waiting for data', (worker: FakeWorker) => worker.leave()],
  ])(
    'a worker that leaves the table (%s) is out at once, and waiting pulls are re-evaluated in the same turn',
    (_how, go) => {
      const { all } = cluster(0, 'ab');
      const [a, b] = all as [FakeWorker, FakeWorker];
      tickTo(a, 1);
      a.pull();
      go(b);
      expect(isAnswered(a)).toBe(true);
    },
  );

  it('a finished worker is no straggler', () => {
    const { all } = cluster(0, 'ab');
    const [a, b] = all as [FakeWorker, FakeWorker];
    b.goodbye();
    for (let i = 0; i < 5; i++) {
      a.push(ONES, { tick: true });
      a.pull();
      expect(isAnswered(a)).toBe(true);
    }
  });

  it('read-my-writes holds across reconnects', () => {
    const { all } = cluster(3, 'ab', { limits: { pinnedVersions: 1, chunkBytes: 8 } });
    const [a, b] = all as [FakeWorker, FakeWorker];
    b.isReading = false;
    b.pull();
    a.push(ONES, { tick: true });
    a.reconnect();
    a.lines();
    a.pull();
    expect(a.lines()).toEqual([]);
    b.read();
    expect(a.lines()).toEqual(['pull 2: v1 [-1 -1 -1 -1]']);
  });

  it('a pull is one consistent cut of a shard: all its tensors at one version', () => {
    const { all } = cluster(9, 'ab', { limits: { chunkBytes: 4 } });
    const [a, b] = all as [FakeWorker, FakeWorker];
    a.isReading = false;
    a.pull();
    for (let i = 0; i < 4; i++) {
      a.read(1);
      b.push(ONES);
    }
    a.read();
    expect(a.lines()).toEqual(['pull 2: v0 [0 0 0 0]']);
  });

  it('a late or too-stale push has a defined outcome (applied, scaled, dropped) and the acknowledgement says which', () => {
    const { all } = cluster(9, 'ab', { delay: { scale: 'inverse', max: 2 } });
    const [a, b] = all as [FakeWorker, FakeWorker];
    a.pull();
    a.push(ONES);
    b.push(ONES);
    a.push(ONES, { version: 0 });
    a.push(ONES, { version: 0 });
    expect(a.lines().slice(1)).toEqual([
      'push 1 applied v1, clock 0',
      'push 2 scaled v3 delay 2, clock 0',
      'push 3 dropped v3 delay 3, clock 0',
    ]);
  });
});
