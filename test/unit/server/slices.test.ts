/** Updates that take several turns, with everything else in between. */
import { describe, expect, it, vi } from 'vitest';
import { bsp, ssp } from '../../../src/core/consistency/consistency.js';
import type { UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { TestServer, type TestServerOptions } from './kit.js';

// Slices of 256 elements, so that small tables take several turns.
vi.mock('../../../src/core/table/job.js', async (original) => ({
  ...(await original<object>()),
  SLICE_ELEMENTS: 256,
  IN_PLACE_ELEMENTS: 256,
}));

type Worker = ReturnType<TestServer['worker']>;
const LENGTH = 1000;
const all = (value: number): number[] => Array.from({ length: LENGTH }, () => value);
const shownBy = (worker: Worker): string[] =>
  worker.lines().map((line) => line.replace(/\[(\S+)( \1)*\]/, '[all $1]'));

function newServer(options: TestServerOptions = {}): { server: TestServer; a: Worker; b: Worker } {
  const server = new TestServer({ parameters: { w: { shape: [LENGTH] } }, ...options });
  const [a, b] = [server.worker('a'), server.worker('b')];
  server.isContinuing = false;
  return { server, a, b };
}

/** Runs all turns that are left; returns how many. */
function finish(server: TestServer): number {
  let turns = 0;
  while (server.proceed()) turns++;
  return turns;
}

describe('an update of several turns', () => {
  it('raises the version once, at its end; pulls meanwhile see the version before', () => {
    const { server, a, b } = newServer();
    a.push(all(1), { tick: true });
    for (let turn = 0; turn < 4; turn++) {
      b.look();
      expect(shownBy(b)).toEqual([`pull ${turn + 1}: v0 [all 0]`]);
      expect([server.version, a.lines()]).toEqual([0, []]);
      server.proceed();
    }
    finish(server);
    b.look();
    expect(shownBy(b)).toEqual(['pull 5: v1 [all -1]']);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 1']);
  });

  it('takes one turn per slice, and asks for no more than one turn at a time', () => {
    const { server, a, b } = newServer();
    a.push(all(1));
    b.push(all(1));
    b.ping();
    b.look();
    // Each turn costs 64 elements beside its slice; the first one is the turn of the push.
    expect(finish(server)).toBe(Math.ceil((2 * LENGTH) / (256 - 64)) - 1);
    expect(server.version).toBe(2);
  });

  it('lets small messages pass', () => {
    const { server, a, b } = newServer({ consistency: ssp({ staleness: 0 }) });
    a.push(all(1), { tick: true });
    b.ping();
    b.enter();
    b.tick();
    b.leave();
    expect(b.lines()).toEqual(['pong', 'clock 0, min 0', 'clock 1, min 0', 'clock 1, min 0']);
    finish(server);
  });

  it('holds back what its own worker sends behind it', () => {
    const { server, a } = newServer();
    a.push(all(1), { tick: true });
    a.pull();
    a.tick(2);
    a.ping();
    expect(a.lines()).toEqual(['pong']);
    finish(server);
    expect(shownBy(a)).toEqual(['push 1 applied v1, clock 1', 'pull 1: v1 [all -1]', 'clock 2, min 2']);
  });

  it('one after the other, in the order in which they came', () => {
    const { server, a, b } = newServer();
    const c = server.worker('c');
    c.push(all(1));
    b.push(all(1));
    a.push(all(1));
    finish(server);
    expect([c, b, a].map((worker) => worker.lines())).toEqual(
      [1, 2, 3].map((version) => [`push 1 applied v${version}, clock 0`]),
    );
  });

  it('wakes who waits for it in the turn of its end', () => {
    const { server, a, b } = newServer({ consistency: ssp({ staleness: 0 }) });
    a.enter();
    b.enter();
    b.tick();
    b.lines();
    b.pull();
    a.push(all(1), { tick: true });
    while (a.lines().at(-1)?.startsWith('push 1') !== true) {
      expect(b.lines()).toEqual([]);
      expect(server.proceed()).toBe(true);
    }
    expect(shownBy(b)).toEqual(['pull 3: v1 [all -1]']);
  });

  it('is not disturbed by an eviction, and the waiting are woken at once', () => {
    const { server, a, b } = newServer({
      consistency: ssp({ staleness: 0 }),
      limits: { disconnectGraceMs: 100 },
    });
    const c = server.worker('c');
    b.enter();
    c.enter();
    c.tick();
    c.lines();
    c.pull();
    a.push(all(1));
    a.drop();
    b.drop();
    server.tick(100);
    expect(shownBy(c)).toEqual(['pull 3: v0 [all 0]']);
    finish(server);
    expect([server.version, server.table]).toEqual([1, 'c@1']);
  });
});

describe('readers while it is written', () => {
  it('never see a mixture, also when all versions are held', () => {
    const { server, a, b } = newServer({ limits: { pinnedVersions: 1, chunkBytes: 1024 } });
    const reader = server.reader('r');
    b.isReading = false;
    b.look();
    a.push(all(1));
    finish(server);
    // The held version is shared by one that may have it; the next update has no memory but the current one.
    a.push(all(1));
    server.proceed();
    expect(server.core.state.table.versions.isWritingInPlace).toBe(true);
    reader.look();
    expect(shownBy(reader)).toEqual(['pull 1: v0 [all 0]']);
    const c = server.worker('c');
    c.look({ ifNewerThan: { incarnation: 'incarnation', version: 0 } });
    expect(c.lines()).toEqual([]);
    finish(server);
    expect(c.lines()).toEqual([]);
    b.read();
    expect(shownBy(c)).toEqual(['pull 1: v2 [all -2]']);
    expect(shownBy(b)).toEqual(['pull 1: v0 [all 0]']);
  });

  it('a copy of all parameters is one version, whatever is queued behind it', () => {
    const { server, a, b } = newServer();
    a.push(all(1));
    const seen: number[][] = [];
    server.change((context) => {
      const { versions } = context.state.table;
      const copy: number[] = [];
      let at = 0;
      return {
        run(budget) {
          for (; at < LENGTH && budget.elements > 0; at++, budget.elements--)
            copy.push(versions.current[at] as number);
          if (at < LENGTH) return false;
          seen.push([...new Set(copy)]);
          return true;
        },
      };
    });
    b.push(all(1));
    finish(server);
    expect(seen).toEqual([[-1]]);
    expect(server.version).toBe(2);
  });
});

describe('a clock that closes in several turns', () => {
  it('is over at once for everyone: until then its pulls wait', () => {
    const { server, a, b } = newServer({ consistency: bsp(), minWorkers: 2 });
    a.enter();
    b.enter();
    a.push(all(2), { tick: true });
    b.push(all(4), { tick: true });
    finish(server);
    expect(server.version).toBe(1);
    expect(shownBy(a).at(-1)).toBe('push 1 buffered v0, clock 1');
    a.pull();
    b.pull();
    expect(shownBy(a)).toEqual(['pull 2: v1 [all -3]']);
  });

  it('with pushes, joins and leaves in between', () => {
    const { server, a, b } = newServer({ consistency: bsp(), minWorkers: 2 });
    a.enter();
    b.enter();
    a.push(all(2), { tick: true });
    b.push(all(4), { tick: true });
    // Up to the middle of the merge.
    while (server.core.state.clocks.minClock === 0) server.proceed();
    expect(server.version).toBe(0);
    const c = server.worker('c');
    c.pull();
    a.push(all(10), { tick: true });
    b.goodbye();
    a.pull();
    expect([a.lines().at(-1), c.lines()]).toEqual(['push 1 buffered v0, clock 1', []]);
    finish(server);
    expect(shownBy(c)).toEqual(['pull 1: v1 [all -3]']);
    expect([c.clock, server.table]).toEqual([1, 'a@2 c@1']);
    c.push(all(20), { tick: true });
    finish(server);
    expect(shownBy(a)).toEqual(['push 2 buffered v1, clock 2', 'pull 2: v2 [all -18]']);
  });

  it('takes as many turns when many clocks close together', () => {
    for (let length = 30; length <= 260; length++) {
      const parameters = { w: { shape: [length] } };
      const server = new TestServer({ parameters, consistency: bsp(), minWorkers: 2 });
      const [a, b] = [server.worker('a'), server.worker('b')];
      a.enter();
      b.enter();
      const ones = Array.from({ length }, () => 1);
      for (let clock = 0; clock < 8; clock++) a.push(ones, { tick: true });
      server.isContinuing = false;
      b.leave();
      // A clock costs 64 elements beside its own.
      expect(server.version).toBeLessThanOrEqual(Math.ceil(256 / (64 + length)));
      finish(server);
      expect([server.version, server.values[0]]).toEqual([8, -8]);
    }
  });

  it('goes before what is queued: a push of it that comes later is dropped', () => {
    const { server, a, b } = newServer({ consistency: bsp({ backupWorkers: 1 }), minWorkers: 3 });
    const c = server.worker('c');
    for (const worker of [a, b, c]) worker.enter();
    a.push(all(2), { tick: true });
    b.push(all(4), { tick: true });
    c.push(all(100));
    finish(server);
    expect(c.lines().at(-1)).toBe('push 1 dropped v1, clock 1');
    expect(server.values[0]).toBe(-3);
  });

  it('a change of the model waits its turn, and nothing is lost', () => {
    const { server, a, b } = newServer({ consistency: bsp(), minWorkers: 2 });
    a.enter();
    b.enter();
    a.push(all(2), { tick: true });
    a.push(all(8));
    const change = server.setConsistency(ssp({ staleness: 9 }));
    b.push(all(4));
    expect(change.isDone).toBe(false);
    finish(server);
    expect(change.isDone).toBe(true);
    expect(server.values[0]).toBe(-14);
    expect(b.lines().at(-1)).toMatch(/^push 1 applied/);
  });
});

describe('an optimizer of the user’s that throws half-way', () => {
  const fragile: UserOptimizer = {
    name: 'fragile',
    slots: [],
    learningRate: 1,
    apply(parameter, gradient) {
      for (let i = 0; i < parameter.length; i++) {
        if (gradient[i] === 13) throw new Error('unlucky');
        parameter[i] = (parameter[i] as number) - (gradient[i] as number);
      }
    },
  };

  it('changes no parameter; the push is refused, and training goes on', () => {
    const { server, a, b } = newServer({ optimizer: fragile });
    const bad = all(1);
    bad[900] = 13;
    a.push(bad, { tick: true });
    b.push(all(1));
    finish(server);
    expect(a.lines()).toEqual(['push 1 refused: PS_INTERNAL']);
    expect(b.lines()).toEqual(['push 1 applied v1, clock 0']);
    expect(new Set(server.values)).toEqual(new Set([-1]));
    expect(server.seen('error')[0]?.error.message).toContain('unlucky');
  });
});
