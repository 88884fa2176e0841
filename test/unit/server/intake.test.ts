import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { referenceKernels as kernels } from '../../../src/core/kernels/reference.js';
import { MessageType, type Push } from '../../../src/core/protocol/messages.js';
import { bytesOf } from '../../../src/core/protocol/modelStream.js';
import { IncomingPush, type PushRules } from '../../../src/core/server/intake.js';
import { StagingPool } from '../../../src/core/table/stagingPool.js';
import { Catalogue } from '../../../src/core/tensor/catalogue.js';
import { TestServer, type TestServerOptions } from './kit.js';
import { hashOf } from './stateHash.js';

type Worker = ReturnType<TestServer['worker']>;
const ONES = [1, 1, 1, 1];
/** Larger than a block of the norm. */
const LENGTH = 20_000;
const catalogue = new Catalogue([{ name: 'w', shape: [LENGTH], dtype: 'float32', trainable: true }]);
const rules = {
  catalogue,
  tables: [],
  dims: [],
  kernels,
  nonFinite: 'reject',
  maxPushNorm: Number.POSITIVE_INFINITY,
  shard: { index: 0, count: 1 },
  maxPushBytes: LENGTH * 4,
} as const;
const message: Push = { t: MessageType.push, seq: 1, clock: 0, bytes: LENGTH * 4 };

/** The push of `gradient`, cut into chunks after the given elements. */
function arrived(gradient: Float32Array, cuts: readonly number[], room: 'now' | 'later'): IncomingPush {
  const pool = new StagingPool(LENGTH * 4, (length) => new Float32Array(length));
  const taken = room === 'later' ? pool.take(1) : undefined;
  const push = new IncomingPush(message, 1, rules, false, 0);
  const ends = [...new Set([...cuts, LENGTH])].sort((a, b) => a - b);
  let at = 0;
  for (const end of ends) {
    const payload = new Uint8Array(gradient.slice(at, end).buffer);
    if (at === 0) push.begin(payload, pool);
    else push.add(payload);
    at = end;
  }
  if (taken !== undefined) {
    pool.give(taken);
    if (push.isAwaitingRoom) expect(push.takeRoom(pool)).toBe(true);
  }
  expect(push.isComplete).toBe(true);
  return push;
}

describe('a push that arrives in chunks', () => {
  it('has the same bytes and the same norm, to the bit, however it is cut, with room at once or later', () => {
    const gradient = Float32Array.from({ length: LENGTH }, (_, i) => Math.sin(i * i));
    const expected = kernels.sumSquares(gradient);
    const cuts = fc.array(fc.integer({ min: 1, max: LENGTH - 1 }), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, fc.constantFrom('now' as const, 'later' as const), (at, room) => {
        const push = arrived(gradient, at, room);
        expect(push.normSquared).toBe(expected);
        expect(push.gradient).toEqual(gradient);
        expect(push.fault).toBeUndefined();
      }),
      { numRuns: 40 },
    );
  });

  it('a value that is not finite is found wherever it stands', () => {
    fc.assert(
      fc.property(
        fc.nat(LENGTH - 1),
        fc.array(fc.integer({ min: 1, max: LENGTH - 1 }), { maxLength: 5 }),
        (where, cuts) => {
          const gradient = new Float32Array(LENGTH).fill(1e19);
          gradient[where] = Number.NaN;
          expect(arrived(gradient, cuts, 'now').fault).toMatchObject({
            code: 'PS_NOT_FINITE',
            details: { tensor: 'w' },
          });
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a push to a shard', () => {
  const gradient = new Float32Array(LENGTH).fill(0.5);
  const own = kernels.sumSquares(gradient);

  /** What becomes of the slice, of a gradient that is said to have this sum of squares. */
  function judged(normSquared: number | undefined, options: Partial<PushRules> = {}): IncomingPush {
    const push = new IncomingPush(
      { ...message, normSquared },
      1,
      { ...rules, shard: { index: 0, count: 2 }, ...options },
      false,
      0,
    );
    push.begin(bytesOf(gradient.slice()), new StagingPool(LENGTH * 4, (length) => new Float32Array(length)));
    expect(push.isComplete).toBe(true);
    return push;
  }

  it('counts with the norm of the whole gradient', () => {
    expect(judged(own + 9)).toMatchObject({ fault: undefined, normSquared: own + 9 });
    expect(judged(own * (1 - 1e-9))).toMatchObject({ fault: undefined, normSquared: own * (1 - 1e-9) });
  });

  it.each<[string, number | undefined, Partial<PushRules>, string]>([
    ['that does not say the norm', undefined, {}, 'PS_PROTOCOL'],
    ['that says less than its slice alone has', own * 0.99, {}, 'PS_NORM_EXCEEDED'],
    ['whose whole exceeds maxPushNorm', 1e6, { maxPushNorm: 999 }, 'PS_NORM_EXCEEDED'],
    ['that is not finite elsewhere', Number.NaN, {}, 'PS_NOT_FINITE'],
    ['that escapes clipping by Infinity', Number.POSITIVE_INFINITY, { nonFinite: 'zero' }, 'PS_NOT_FINITE'],
  ])('%s is refused', (_name, normSquared, options, code) => {
    expect(judged(normSquared, options).fault).toMatchObject({ code });
  });

  it('that is not finite elsewhere is taken where that is allowed', () => {
    expect(judged(Number.NaN, { nonFinite: 'allow' }).fault).toBeUndefined();
  });
});

describe.each([false, true])('written in place: %s', (isPlacing) => {
  const newServer = (options: TestServerOptions = {}): TestServer => {
    const server = new TestServer(options);
    server.isPlacing = isPlacing;
    return server;
  };

  it('any cut gives the same values, an empty first chunk too', () => {
    for (const chunk of [1, 2, 3, 4]) {
      const server = newServer();
      server.worker('a').push([1, 2, 3, 4], { chunk });
      expect(server.values).toEqual([-1, -2, -3, -4]);
      const b = server.worker('b');
      b.push([], { bytes: 16 });
      for (let i = 0; i < 4; i += chunk) b.chunk(1, i, [1, 1, 1, 1].slice(i, i + chunk));
      expect(server.values).toEqual([-2, -3, -4, -5]);
      expect(server.core.view.staging.usedBytes).toBe(0);
    }
  });

  /** Begins a push of which `count` elements come, and then something else. */
  const begun = (count: number, then: (a: Worker) => void) => (a: Worker) => {
    a.push(ONES, { chunk: count, only: 1 });
    then(a);
  };
  const halfElement = (a: Worker): void =>
    a.send({ t: MessageType.pushChunk, seq: 1, offset: 12 }, new Uint8Array(2));

  it.each<[string, (a: Worker) => void]>([
    ['a chunk without a push', (a) => a.chunk(1, 0, ONES)],
    ['a chunk of another push', begun(1, (a) => a.chunk(2, 1, [1]))],
    ['a chunk out of order', begun(1, (a) => a.chunk(1, 2, [1]))],
    ['a chunk twice', begun(2, (a) => a.chunk(1, 0, [1]))],
    ['a chunk past the end', begun(3, (a) => a.chunk(1, 3, [1, 1]))],
    ['an empty chunk', begun(3, (a) => a.chunk(1, 3, []))],
    ['a push within a push', begun(3, (a) => a.push(ONES))],
    ['more bytes than announced', (a) => a.push(ONES, { bytes: 12 })],
    [
      'half an element',
      (a) => a.send({ t: MessageType.push, seq: 1, clock: 0, bytes: 16 }, new Uint8Array(6)),
    ],
    ['half an element at last', begun(3, halfElement)],
  ])('%s ends the connection and changes nothing', (_what, act) => {
    const server = newServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    const before = hashOf(server.core.state);
    act(a);
    expect(a.lines().slice(-2)).toEqual(['refused: PS_PROTOCOL', 'closed 1008']);
    expect(hashOf(server.core.state)).toBe(before);
    expect(server.core.view.staging.usedBytes).toBe(0);
    b.push(ONES);
    expect(b.lines()).toEqual(['push 1 applied v1, clock 0']);
    a.reconnect();
    a.push(ONES, { seq: 1 });
    expect(a.lines().at(-1)).toBe('push 1 applied v2, clock 0');
  });

  it('the bytes of a refused or repeated push are taken and dropped, whatever their number', () => {
    const server = newServer();
    const a = server.worker('a');
    a.push(
      Array.from({ length: 300 }, () => 1),
      { chunk: 7 },
    );
    a.push(ONES);
    a.push(
      Array.from({ length: 50 }, () => 1),
      { seq: 2, chunk: 9 },
    );
    expect(a.lines()).toEqual([
      'push 1 refused: PS_WRONG_LENGTH',
      'push 2 applied v1, clock 0',
      'push 2 applied again v1, clock 0',
    ]);
    expect(server.core.view.staging.usedBytes).toBe(0);
  });

  describe('room in the staging pool', () => {
    const small = { limits: { stagingBytes: 16 } };

    it('is given first come, first served; who waits for it is not read from', () => {
      const server = newServer(small);
      const [a, b, c] = ['a', 'b', 'c'].map((id) => server.worker(id)) as [Worker, Worker, Worker];
      a.push(ONES, { chunk: 1, only: 3 });
      b.push([2, 2, 2, 2], { chunk: 1 });
      c.push([3, 3, 3, 3], { chunk: 1 });
      expect([a.isPaused, b.isPaused, c.isPaused]).toEqual([false, true, true]);
      a.chunk(1, 3, [1]);
      expect([a, b, c].map((each) => each.lines())).toEqual([
        ['push 1 applied v1, clock 0'],
        ['push 1 applied v2, clock 0'],
        ['push 1 applied v3, clock 0'],
      ]);
      expect([b.isPaused, c.isPaused]).toEqual([false, false]);
      expect(server.core.view.staging.usedBytes).toBe(0);
    });

    it('is not taken by one that comes later and would fit: the first is not starved', () => {
      const parameters = { big: { shape: [4] }, tiny: { shape: [2] } };
      const server = newServer({ parameters, limits: { stagingBytes: 24 } });
      const [a, b, c] = ['a', 'b', 'c'].map((id) => server.worker(id)) as [Worker, Worker, Worker];
      a.push([1, 1], { tensors: [1], chunk: 1, only: 1 });
      b.push([2, 2, 2, 2, 2, 2], { chunk: 1 });
      c.push([3, 3], { tensors: [1], chunk: 1 });
      expect([b.isPaused, c.isPaused]).toEqual([true, true]);
      a.chunk(1, 1, [1]);
      expect(b.lines()).toEqual(['push 1 applied v2, clock 0']);
      expect(c.lines()).toEqual(['push 1 applied v3, clock 0']);
    });

    it('is freed by a connection that is lost, for the next', () => {
      const server = newServer(small);
      const [a, b, c] = ['a', 'b', 'c'].map((id) => server.worker(id)) as [Worker, Worker, Worker];
      a.push(ONES, { chunk: 1, only: 3 });
      b.push(ONES, { chunk: 1 });
      c.push(ONES, { chunk: 1 });
      b.drop();
      a.drop();
      expect(c.lines()).toEqual(['push 1 applied v1, clock 0']);
      b.reconnect();
      b.push(ONES, { seq: 1, chunk: 1 });
      expect(b.lines().at(-1)).toBe('push 1 applied v2, clock 0');
    });

    it('is needed by a push of one chunk, which waits where it was received', () => {
      const server = newServer(small);
      const [a, b] = [server.worker('a'), server.worker('b')];
      a.push(ONES, { chunk: 1, only: 3 });
      b.push(ONES);
      expect(b.isPaused).toBe(true);
      expect(b.lines()).toEqual([]);
      a.chunk(1, 3, [1]);
      expect(b.lines()).toEqual(['push 1 applied v2, clock 0']);
      expect(b.isPaused).toBe(false);
    });

    it('that a repeat has given back goes to the next', () => {
      const server = newServer({ ...small, isDurable: true });
      const [a, b] = [server.worker('a'), server.worker('b')];
      server.persist();
      a.push(ONES);
      server.persist();
      a.lines();
      // The repeat is on its way into an area when b asks for one.
      const repeat: Push = { t: MessageType.push, seq: 1, clock: 0, bytes: 16 };
      const place = isPlacing ? server.core.placeOf(a.connection, repeat, 16) : undefined;
      b.push(ONES, { chunk: 1 });
      expect(b.isPaused).toBe(isPlacing);
      const payload = place?.bytes ?? new Uint8Array(16);
      server.step({ kind: 'message', connection: a.connection, message: repeat, payload, now: server.now });
      expect(a.lines()).toEqual(['push 1 applied again v1, clock 0']);
      expect(b.isPaused).toBe(false);
      server.persist();
      expect(b.lines()).toContain('push 1 applied v2, clock 0');
    });

    it('an area that is reserved for a message that never comes is given back', () => {
      const server = newServer(small);
      const [a, b] = [server.worker('a'), server.worker('b')];
      const push: Push = { t: MessageType.push, seq: 1, clock: 0, bytes: 16 };
      expect(server.core.placeOf(a.connection, push, 16)).toBeDefined();
      b.push(ONES, { chunk: 1 });
      expect(b.isPaused).toBe(true);
      a.drop();
      expect(b.lines()).toEqual(['push 1 applied v1, clock 0']);
      expect(server.core.view.staging.usedBytes).toBe(0);
    });

    it('a worker that waits for it is not evicted for its silence, and hears that the server lives', () => {
      const server = newServer({ limits: { stagingBytes: 16, leaseMs: 1000 } });
      const [a, b] = [server.worker('a'), server.worker('b')];
      a.push(ONES, { chunk: 1, only: 3 });
      b.push(ONES, { chunk: 1 });
      for (let i = 0; i < 30; i++) {
        server.tick(100);
        a.ping();
      }
      expect(b.isOpen).toBe(true);
      a.drop();
      expect(b.lines()).toEqual(['pong', 'push 1 applied v1, clock 0']);
    });
  });
});
