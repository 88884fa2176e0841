import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { decodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { INCARNATION, TestServer } from './kit.js';

const ONES = [1, 1, 1, 1];
type Worker = ReturnType<TestServer['worker']>;

/** Makes `worker` tick to `clock`. */
function tickTo(worker: Worker, clock: number): void {
  worker.enter();
  while (worker.clock < clock) worker.tick();
  worker.lines();
}

const since = (version: number, incarnation = INCARNATION) => ({ ifNewerThan: { incarnation, version } });

describe('the bound', () => {
  it.each([0, 1, 3])('s = %i: a pull at clock c is answered as soon as minClock ≥ c − s', (staleness) => {
    const server = new TestServer({ consistency: ssp({ staleness }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, staleness);
    a.pull();
    expect(a.lines()).toEqual([`pull ${staleness + 2}: v0 [0 0 0 0]`]);
    a.tick();
    a.lines();
    a.pull();
    expect(a.lines()).toEqual([]);
    b.tick();
    expect(a.lines()).toEqual([`pull ${staleness + 4}: v0 [0 0 0 0]`]);
  });

  it('is of the step that the pull is for: one ahead of its own clock waits for more', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 1 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, 1);
    a.pull({ clock: 2 });
    expect(a.lines()).toEqual([]);
    b.tick();
    expect(a.lines()).toHaveLength(1);
  });

  it('is not evaded by naming an earlier clock', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, 1);
    a.pull({ clock: 0 });
    expect(a.lines()).toEqual([]);
  });

  it('does not concern readers, nor pulls outside training, nor ASP', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, 5);
    a.look();
    server.reader('r').pull();
    expect(a.lines()).toEqual(['pull 7: v0 [0 0 0 0]']);
    server.setConsistency(asp());
    a.pull();
    expect(a.lines()).toEqual(['pull 8: v0 [0 0 0 0]']);
  });

  it('all that are within it are answered in one turn, oldest first', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }) });
    const slow = server.worker('slow');
    slow.enter();
    const order: string[] = [];
    const others = ['c', 'a', 'b'].map((id) => {
      const worker = server.worker(id);
      tickTo(worker, 1);
      worker.pull();
      const receive = worker.receive.bind(worker);
      worker.receive = (frame) => {
        order.push(id);
        receive(frame);
      };
      return worker;
    });
    expect(server.core.view.pulls.waiting).toBe(3);
    slow.tick();
    expect(order).toEqual(['c', 'a', 'b']);
    expect(others.map((worker) => worker.lines().length)).toEqual([1, 1, 1]);
  });
});

describe('minWorkers', () => {
  it('answers no training pull before so many have joined; then for good', () => {
    const server = new TestServer({ minWorkers: 2 });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.pull();
    a.look();
    expect(a.lines()).toEqual(['pull 2: v0 [0 0 0 0]']);
    server.tick(200);
    expect(a.lines()).toEqual(['pull 1 waits: minWorkers']);
    b.look();
    expect(a.lines()).toEqual([]);
    b.enter();
    expect(a.lines()).toEqual(['pull 1: v0 [0 0 0 0]']);
    b.goodbye();
    a.pull();
    expect(a.lines()).toEqual(['pull 3: v0 [0 0 0 0]']);
  });

  it('counts a worker once, also when it comes back as another process', () => {
    const server = new TestServer({ minWorkers: 2 });
    const a = server.worker('a');
    a.pull();
    a.drop();
    const again = server.worker('a', { key: 'other' });
    again.pull();
    expect(again.lines()).toEqual([]);
    server.worker('b').pull();
    expect(again.lines()).toHaveLength(1);
  });
});

describe('a partial pull', () => {
  const parameters = {
    a: { shape: [2], data: Float32Array.of(1, 2) },
    b: { shape: [] },
    none: { shape: [0] },
    c: { shape: [3], data: Float32Array.of(4, 5, 6) },
  };

  it.each([
    [[0], '1 2'],
    [[1], '0'],
    [[2], ''],
    [[0, 3], '1 2 4 5 6'],
    [[0, 1, 2, 3], '1 2 0 4 5 6'],
    [[], ''],
  ])('of %j brings those tensors, end to end', (tensors, values) => {
    for (const chunkBytes of [8, 1024]) {
      const server = new TestServer({ parameters, limits: { chunkBytes } });
      const a = server.worker('a');
      a.pull({ tensors });
      expect(a.lines()).toEqual([`pull 1: v0 [${values}]`]);
    }
  });

  it('of an unknown tensor is refused', () => {
    const server = new TestServer({ parameters });
    const a = server.worker('a');
    a.pull({ tensors: [0, 4] });
    expect(a.lines()).toEqual(['request 1 refused: PS_UNKNOWN_TENSOR']);
    expect(server.seen('rejected')).toHaveLength(1);
    a.pull();
    expect(a.lines()).toHaveLength(1);
  });
});

describe('one consistent cut', () => {
  it('a pull that is read slowly is of one version, while others push', () => {
    const server = new TestServer({ limits: { chunkBytes: 8 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.isReading = false;
    a.pull();
    a.read(2);
    b.push(ONES);
    b.push(ONES);
    a.read();
    expect(a.lines()).toEqual(['pull 1: v0 [0 0 0 0]']);
    expect(server.values).toEqual([-2, -2, -2, -2]);
    expect(server.core.state.table.versions.pinnedVersions).toBe(0);
  });

  it('without it, chunks carry the version that they are of', () => {
    const server = new TestServer({ limits: { chunkBytes: 8 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.isReading = false;
    a.pull({ consistent: false });
    // The first message of several brings no bytes.
    a.read(2);
    b.push(ONES);
    a.read();
    expect(a.lines()).toEqual(['pull 1: v0+1 [0 0 -1 -1]']);
    // Delay counts from the lowest.
    a.push(ONES);
    expect(a.lines()).toEqual(['push 1 applied v2 delay 1, clock 0']);
  });

  it('pinnedVersions bounds the versions that are held: then a pull shares one, or waits', () => {
    const server = new TestServer({ limits: { pinnedVersions: 2, chunkBytes: 8 } });
    const pusher = server.worker('p');
    const readers = ['a', 'b', 'c', 'd'].map((id) => server.worker(id));
    const [a, b, c, d] = readers as [Worker, Worker, Worker, Worker];
    for (const reader of readers) reader.isReading = false;
    a.pull();
    pusher.push(ONES);
    b.pull();
    pusher.push(ONES);
    const { versions } = server.core.state.table;
    expect(versions.pinnedVersions).toBe(2);
    c.pull();
    c.read();
    // The newest of those that are held.
    expect(c.lines()).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
    d.push(ONES);
    d.pull();
    d.read();
    // It must see its own push, and no version that is held has it.
    expect(d.lines()).toEqual(['push 1 applied v3, clock 0']);
    server.tick(200);
    expect(d.lines()).toEqual(['pull 1 waits: version']);
    a.read();
    d.read();
    expect(d.lines()).toEqual(['pull 1: v3 [-3 -3 -3 -3]']);
    b.read();
    expect(versions.pinnedVersions).toBe(0);
  });

  it('a version that is shared meets the bound of who shares it', () => {
    const limits = { pinnedVersions: 1, chunkBytes: 8 };
    const server = new TestServer({ consistency: ssp({ staleness: 0 }), limits });
    const [a, b, slow] = [server.worker('a'), server.worker('b'), server.worker('slow')];
    a.enter();
    b.enter();
    slow.isReading = false;
    slow.look();
    a.push(ONES, { tick: true });
    b.push(ONES, { tick: true });
    // v0 is of clock 0: at clock 1 it lacks updates of clock 0.
    b.lines();
    b.pull();
    expect(b.lines()).toEqual([]);
    const late = server.worker('late');
    late.look();
    expect(late.lines()).toEqual(['pull 1: v0 [0 0 0 0]']);
    slow.read();
    expect(b.lines()).toEqual(['pull 2: v2 [-2 -2 -2 -2]']);
  });

  it('an older version says the minClock of its time: what it lacks is not in it because time has passed', () => {
    const limits = { pinnedVersions: 1, chunkBytes: 8 };
    const server = new TestServer({ consistency: ssp({ staleness: 1 }), limits });
    const [a, slow, late] = [server.worker('a'), server.reader('slow'), server.reader('late')];
    a.enter();
    slow.isReading = false;
    slow.look();
    a.push(ONES, { tick: true });
    const told: number[] = [];
    const receive = late.receive.bind(late);
    late.receive = (frame) => {
      const { message } = decodeFrame(frame);
      if (message.t === MessageType.pullResult) told.push(message.version, message.minClock);
      receive(frame);
    };
    late.look();
    slow.read();
    late.look();
    expect(told).toEqual([0, 0, 1, 1]);
  });

  it('under BSP a training pull takes the current version, no other', () => {
    const server = new TestServer({ consistency: bsp(), limits: { pinnedVersions: 1, chunkBytes: 8 } });
    const [a, slow] = [server.worker('a'), server.worker('slow')];
    slow.isReading = false;
    slow.look();
    a.push(ONES, { tick: true });
    a.lines();
    a.pull();
    expect(a.lines()).toEqual([]);
    slow.read();
    expect(a.lines()).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
  });

  it('what fits into one message is copied from the current version when none can be held', () => {
    const server = new TestServer({ consistency: bsp(), limits: { pinnedVersions: 1 } });
    const [a, slow] = [server.worker('a'), server.worker('slow')];
    slow.isReading = false;
    slow.look();
    a.push(ONES, { tick: true });
    a.isReading = false;
    a.pull();
    expect(server.core.view.pulls.waiting).toBe(0);
    slow.pull();
    slow.push(ONES, { tick: true });
    a.push(ONES, { tick: true });
    a.read();
    slow.read();
    expect(a.lines()).toContain('pull 1: v1 [-1 -1 -1 -1]');
    expect(slow.lines()).toContain('pull 1: v0 [0 0 0 0]');
  });

  it('copies have so many bytes together, and those that nobody trains on half as many', () => {
    const length = 262_144;
    const parameters = { w: { shape: [length] }, other: { shape: [length] } };
    const server = new TestServer({ parameters, limits: { pinnedVersions: 1 } });
    const [a, slow] = [server.worker('a'), server.worker('slow')];
    for (const each of [a, slow]) each.isReading = false;
    slow.look();
    a.push(Array(length).fill(0), { tensors: [0] });
    for (let i = 0; i < 40; i++) a.look({ tensors: [0] });
    expect(server.core.view.pulls.waiting).toBe(8);
    for (let i = 0; i < 40; i++) a.pull({ tensors: [0] });
    expect(server.core.view.pulls.waiting).toBe(8 + 8);
    a.drop();
    a.reconnect();
    expect(server.core.view.pulls.waiting).toBe(0);
    for (let i = 0; i < 40; i++) a.look({ tensors: [0] });
    expect(server.core.view.pulls.waiting).toBe(8);
  });

  it('a lost connection gives its version back', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.isReading = false;
    a.pull();
    b.push(ONES);
    expect(server.core.state.table.versions.pinnedVersions).toBe(1);
    a.drop();
    expect(server.core.state.table.versions.pinnedVersions).toBe(0);
  });
});

describe('a conditional pull', () => {
  it('is told "not modified" when it has the current version', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.look(since(0));
    expect(a.lines()).toEqual(['pull 1: not modified since v0']);
    b.push(ONES);
    a.look(since(0));
    expect(a.lines()).toEqual(['pull 2: v1 [-1 -1 -1 -1]']);
    a.look(since(5));
    expect(a.lines()).toEqual(['pull 3: not modified since v1']);
  });

  it('of another incarnation is always sent', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.look(since(0, 'another life'));
    a.look({ ...since(0, 'another life'), wait: true });
    expect(a.lines()).toEqual(['pull 1: v0 [0 0 0 0]', 'pull 2: v0 [0 0 0 0]']);
  });

  it('in training waits for the bound first', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, 1);
    a.pull(since(0));
    expect(a.lines()).toEqual([]);
    b.tick();
    expect(a.lines()).toEqual(['pull 3: not modified since v0']);
  });

  it('that waits is answered by the next version', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.look({ ...since(0), wait: true });
    expect(a.lines()).toEqual([]);
    server.tick(500);
    expect(a.lines()).toEqual([]);
    b.push(ONES);
    expect(a.lines()).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
  });

  it('that waits is not given an old version that happens to be held', () => {
    const server = new TestServer({ limits: { pinnedVersions: 1, chunkBytes: 8 } });
    const [a, b, slow] = [server.worker('a'), server.worker('b'), server.worker('slow')];
    slow.isReading = false;
    slow.look();
    a.look({ ...since(0), wait: true });
    b.push(ONES);
    expect(a.lines()).toEqual([]);
    slow.read();
    expect(a.lines()).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
  });

  it('that waits for several versions is answered by the last of them, or by what there is after pullTimeoutMs', () => {
    const server = new TestServer({ limits: { pullTimeoutMs: 5000 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.look({ ...since(0), wait: true, versions: 3 });
    for (let i = 0; i < 2; i++) b.push(ONES);
    expect(a.lines()).toEqual([]);
    b.push(ONES);
    expect(a.lines()).toEqual(['pull 1: v3 [-3 -3 -3 -3]']);
    a.look({ ...since(3), wait: true, versions: 3 });
    b.push(ONES);
    server.wait(4999);
    expect(a.lines()).toEqual([]);
    server.wait(1);
    expect(a.lines()).toEqual(['pull 2: v4 [-4 -4 -4 -4]']);
    expect(server.seen('warning')).toEqual([]);
  });

  it('that waits for several versions within a time gets what there is then, or nothing', () => {
    const server = new TestServer({ limits: { pullTimeoutMs: 5000, pinnedVersions: 1, chunkBytes: 8 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.look({ ...since(0), wait: true, versions: 3, withinMs: 300 });
    b.push(ONES);
    server.wait(299);
    expect(a.lines()).toEqual([]);
    server.wait(1);
    expect(a.lines()).toEqual(['pull 1: v1 [-1 -1 -1 -1]']);
    a.look({ ...since(1), wait: true, versions: 3, withinMs: 300 });
    server.wait(300);
    expect(a.lines()).toEqual(['pull 2: not modified since v1']);
    // When no version is free then, it waits on for one.
    const slow = server.reader('slow');
    slow.isReading = false;
    slow.look();
    b.push(ONES);
    a.look({ ...since(1), wait: true, versions: 3, withinMs: 300 });
    server.wait(400);
    expect(a.lines()).toEqual(['pull 3 waits: version']);
    slow.read();
    expect(a.lines()).toEqual(['pull 3: v2 [-2 -2 -2 -2]']);
  });

  it('that waits ends with "not modified" after pullTimeoutMs', () => {
    const server = new TestServer({ limits: { pullTimeoutMs: 5000 } });
    const a = server.worker('a');
    a.look({ ...since(0), wait: true });
    server.wait(5000);
    expect(a.lines()).toEqual(['pull 1: not modified since v0']);
    expect(server.seen('warning')).toEqual([]);
  });
});

describe('cancel', () => {
  it('forgets a pull that waits', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    const request = a.look({ ...since(0), wait: true });
    a.cancel(request);
    b.push(ONES);
    expect(a.lines()).toEqual([]);
    expect(server.core.view.pulls.waiting).toBe(0);
  });

  it('forgets one that waits in the inbox, and no other request', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push(ONES, { chunk: 2, only: 1 });
    const tick = a.tick();
    const pull = a.pull();
    a.cancel(tick);
    a.cancel(pull);
    a.chunk(1, 2, [1, 1]);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0', 'clock 1, min 1']);
  });

  it('ends one that is being sent and frees its version', () => {
    const server = new TestServer({ limits: { chunkBytes: 8 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.isReading = false;
    const request = a.pull();
    a.read(2);
    a.cancel(request);
    a.read();
    b.push(ONES);
    expect(a.lines()).toEqual([]);
    expect(server.core.state.table.versions.pinnedVersions).toBe(0);
  });

  it('of what is not there is nothing', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.cancel(77);
    a.ping();
    expect(a.lines()).toEqual(['pong']);
  });
});

describe('a pull that waits too long', () => {
  it('ends with an error that names the laggards, their clocks and when each was last seen', () => {
    const limits = { pullTimeoutMs: 10_000, leaseMs: 100_000 };
    const server = new TestServer({ consistency: ssp({ staleness: 1 }), limits });
    const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((id) => server.worker(id)) as [
      Worker,
      Worker,
      Worker,
      Worker,
    ];
    for (const worker of [b, c, d]) worker.enter();
    tickTo(a, 3);
    c.tick();
    d.tick();
    d.tick();
    a.pull();
    server.wait(4000);
    b.ping();
    server.wait(5999);
    expect(a.lines().filter((line) => !line.includes('waits'))).toEqual([]);
    server.tick(1);
    expect(a.lines().filter((line) => !line.includes('waits'))).toEqual([
      'request 5 refused: PS_PULL_TIMEOUT',
    ]);
    const message = server.seen('warning')[0]?.message;
    expect(message).toContain('waited 10000 ms at clock 3 for b (clock 0, last seen 6000 ms ago)');
    expect(message).toContain('c (clock 1, last seen 10000 ms ago)');
    expect(message).not.toContain('d (');
    expect(server.core.view.pulls.waiting).toBe(0);
  });

  it('for a version or for workers to join, names nobody', () => {
    const server = new TestServer({ minWorkers: 2, limits: { pullTimeoutMs: 1000 } });
    const a = server.worker('a');
    a.pull();
    server.wait(1000, 100);
    expect(a.lines().at(-1)).toBe('request 1 refused: PS_PULL_TIMEOUT');
    const message = server.seen('warning')[0]?.message;
    expect(message).toContain('waited 1000 ms for 2 workers; 1 have joined');
  });

  it('tells before whom it waits for: soon, and when that changes, not more', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }), limits: { pullTimeoutMs: 60_000 } });
    const [a, b, c] = ['a', 'b', 'c'].map((id) => server.worker(id)) as [Worker, Worker, Worker];
    b.enter();
    c.enter();
    tickTo(a, 1);
    a.pull();
    server.tick(50);
    expect(a.lines()).toEqual([]);
    server.tick(50);
    expect(a.lines()).toEqual(['pull 3 waits: staleness b@0 100 ms, c@0 100 ms']);
    server.wait(5000, 100);
    expect(a.lines()).toEqual([]);
    c.tick();
    server.wait(1000, 100);
    expect(a.lines()).toEqual(['pull 3 waits: staleness b@0 6100 ms']);
    server.tick();
    expect(server.core.nextTickAt()).toBeGreaterThan(server.now);
  });

  it('is answered when the one that it waited for is evicted in the turn of its deadline', () => {
    const limits = { pullTimeoutMs: 10_000, leaseMs: 10_000 };
    const server = new TestServer({ consistency: ssp({ staleness: 0 }), limits });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, 1);
    a.pull();
    for (let i = 0; i < 10; i++) {
      a.ping();
      server.tick(1000);
    }
    expect(a.lines().at(-1)).toBe('pull 3: v0 [0 0 0 0]');
  });

  it('nobody is told of one that is answered at once', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.pull();
    server.wait(3000, 100);
    expect(a.lines()).toEqual(['pull 1: v0 [0 0 0 0]']);
  });
});

describe('the order of a worker’s own messages', () => {
  it('a pull behind a push that is still arriving waits for it, and sees it', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push(ONES, { chunk: 2, only: 1, tick: true });
    a.pull();
    a.look({ consistent: false });
    a.ping();
    expect(a.lines()).toEqual(['pong']);
    a.chunk(1, 2, [1, 1]);
    expect(a.lines()).toEqual([
      'push 1 applied v1, clock 1',
      'pull 1: v1 [-1 -1 -1 -1]',
      'pull 2: v1 [-1 -1 -1 -1]',
    ]);
  });

  it('other workers do not wait for it', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.push(ONES, { chunk: 2, only: 1 });
    b.pull();
    b.push(ONES);
    expect(b.lines()).toEqual(['pull 1: v0 [0 0 0 0]', 'push 1 applied v1, clock 0']);
  });
});

describe('what a wait costs', () => {
  it('is observed when the pull is answered, and counted for its worker', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, 1);
    server.observations.length = 0;
    a.pull();
    server.tick(25);
    b.tick();
    expect(server.seen('pull')).toEqual([
      { kind: 'pull', id: 'a', lead: 0, waitedMs: 25, reason: 'staleness' },
    ]);
    expect(server.core.state.session('a').waitedMs).toBe(25);
  });

  it('is charged to the worker that was awaited, while the wait lasts and after it', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    tickTo(a, 1);
    a.pull();
    server.tick(25);
    const { core } = server;
    const costs = () => ['a', 'b'].map((id) => core.awaitedMs(core.state.session(id), server.now));
    expect(costs()).toEqual([0, 25]);
    b.tick();
    server.tick(25);
    expect(costs()).toEqual([0, 25]);
  });

  it('stops with the pull: its connection is lost, or it has waited too long', () => {
    const server = new TestServer({ consistency: ssp({ staleness: 0 }), limits: { pullTimeoutMs: 40 } });
    const [a, b, c] = [server.worker('a'), server.worker('b'), server.worker('c')];
    b.enter();
    tickTo(a, 1);
    tickTo(c, 1);
    a.pull();
    c.pull();
    server.tick(10);
    c.drop();
    server.tick(30);
    server.tick(30);
    expect(server.core.awaitedMs(server.core.state.session('b'), server.now)).toBe(10 + 40);
  });

  it('is nothing where nobody waits', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.pull();
    expect(server.seen('pull')).toEqual([{ kind: 'pull', id: 'a', lead: 0, waitedMs: 0, reason: undefined }]);
  });
});
