import { describe, expect, it } from 'vitest';
import { asp } from '../../../src/core/consistency/consistency.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { TestServer } from './kit.js';
import { hashOf } from './stateHash.js';

const ONES = [1, 1, 1, 1];

describe('an outcome', () => {
  it('applied: the version rises by one, and the answer names it', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push([1, 2, 3, 4]);
    a.push([1, 0, 0, 0]);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0', 'push 2 applied v2, clock 0']);
    expect(server.values).toEqual([-2, -2, -3, -4]);
    expect(server.seen('update')).toEqual([
      { kind: 'update', version: 1, workers: ['a'], clock: 0, delay: 0, scaled: false, applyMs: 0 },
      { kind: 'update', version: 2, workers: ['a'], clock: 0, delay: 0, scaled: false, applyMs: 0 },
    ]);
  });

  it('delay is the number of updates since the version that was pulled', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.pull();
    b.push(ONES);
    b.push(ONES);
    a.push(ONES);
    expect(a.lines().at(-1)).toBe('push 1 applied v3 delay 2, clock 0');
    expect(server.core.state.session('a').lastDelay).toBe(2);
  });

  it('delay, from a version of an earlier life, counts what both lives have in common', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.push(ONES);
    b.push(ONES);
    // This life began with version 0: version 1 of another stands for an update that is lost.
    a.push(ONES, { version: { incarnation: 'earlier', version: 1 } });
    expect(a.lines().at(-1)).toBe('push 1 applied v3 delay 2, clock 0');
    a.push(ONES, { version: 1 });
    expect(a.lines().at(-1)).toBe('push 2 applied v4 delay 2, clock 0');
  });

  it('scaled: by the delay policy, and the answer says so', () => {
    const server = new TestServer({ delay: { scale: 'inverse' } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.pull();
    b.push([0, 0, 0, 0]);
    a.push([4, 0, 0, 0]);
    b.push([0, 0, 0, 0]);
    a.push([4, 0, 0, 0], { version: 0 });
    expect(a.lines().slice(1)).toEqual([
      'push 1 applied v2 delay 1, clock 0',
      'push 2 scaled v4 delay 3, clock 0',
    ]);
    expect(server.values[0]).toBe(Math.fround(-4 - 4 * Math.fround(1 / 3)));
    expect(server.seen('update').map(({ scaled }) => scaled)).toEqual([false, false, false, true]);
  });

  it('dropped: over delay.max nothing changes but sequence and clock', () => {
    const server = new TestServer({ delay: { max: 1 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.pull();
    b.push(ONES);
    b.push(ONES);
    a.push(ONES, { tick: true });
    expect(a.lines().at(-1)).toBe('push 1 dropped v2 delay 2, clock 1');
    expect(server.values).toEqual([-2, -2, -2, -2]);
    expect(server.seen('dropped')).toEqual([{ kind: 'dropped', id: 'a', clock: 0, delay: 2 }]);
    a.pull();
    a.push(ONES);
    expect(a.lines().at(-1)).toBe('push 2 applied v3, clock 1');
  });

  it('refused: takes its sequence number, does not tick', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push([1, Number.NaN, 1, 1], { tick: true });
    expect(a.lines()).toEqual(['push 1 refused: PS_NOT_FINITE "w"']);
    expect([server.version, server.core.state.session('a').clock]).toEqual([0, 0]);
    expect(server.seen('rejected')).toMatchObject([{ id: 'a', seq: 1, error: { code: 'PS_NOT_FINITE' } }]);
    a.push(ONES, { tick: true });
    expect(a.lines()).toEqual(['push 2 applied v1, clock 1']);
  });
});

describe('what is refused', () => {
  const parameters = { w: { shape: [4] }, fixed: { shape: [2], trainable: false } };
  it.each<[string, object, number[], string]>([
    ['an unknown tensor', { tensors: [2] }, ONES, 'PS_UNKNOWN_TENSOR'],
    ['a tensor named twice or out of order is unknown', { tensors: [1, 5] }, ONES, 'PS_UNKNOWN_TENSOR'],
    ['too short', { tensors: [0] }, [1, 1], 'PS_WRONG_LENGTH'],
    ['too long', { tensors: [0] }, [1, 1, 1, 1, 1], 'PS_WRONG_LENGTH'],
    ['not trainable', { tensors: [1] }, [1, 1], 'PS_NOT_TRAINABLE "fixed"'],
    ['not trainable among others', {}, [1, 1, 1, 1, 1, 1], 'PS_NOT_TRAINABLE "fixed"'],
    ['NaN', { tensors: [0] }, [1, 1, Number.NaN, 1], 'PS_NOT_FINITE "w"'],
    ['infinite', { tensors: [0] }, [1, 1, 1, Number.POSITIVE_INFINITY], 'PS_NOT_FINITE "w"'],
    ['norm', { tensors: [0] }, [60, 80, 0, 1], 'PS_NORM_EXCEEDED'],
    ['a clock ahead', { tensors: [0], clock: 1 }, ONES, 'PS_CLOCK'],
    ['two ticks', { tensors: [0], tick: 2 }, ONES, 'PS_CLOCK'],
  ])('%s', (_what, details, values, code) => {
    for (const chunk of [1, 3, 100]) {
      const server = new TestServer({ parameters, maxPushNorm: 100 });
      const [a, b] = [server.worker('a'), server.worker('b')];
      const before = server.values;
      a.push(values, { ...details, chunk });
      expect(a.lines()).toEqual([`push 1 refused: ${code}`]);
      expect(server.values).toEqual(before);
      expect([server.version, server.table]).toEqual([0, '']);
      b.push(ONES, { tensors: [0] });
      expect(b.lines()).toEqual(['push 1 applied v1, clock 0']);
      a.push(ONES, { tensors: [0], chunk });
      expect(a.lines()).toEqual(['push 2 applied v2, clock 0']);
      expect(server.core.view.staging.usedBytes).toBe(0);
    }
  });

  it('at the norm that is allowed is not', () => {
    const server = new TestServer({ maxPushNorm: 2 });
    const a = server.worker('a');
    a.push(ONES);
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0']);
  });

  it("nonFinite 'zero' takes such values as 0; 'allow' takes them as they are", () => {
    const zero = new TestServer({ nonFinite: 'zero' });
    zero.worker('a').push([1, Number.NaN, Number.NEGATIVE_INFINITY, 2], { chunk: 1 });
    expect(zero.values).toEqual([-1, 0, 0, -2]);
    const allow = new TestServer({ nonFinite: 'allow' });
    allow.worker('a').push([1, Number.NaN, 0, 0]);
    expect(allow.values).toEqual([-1, Number.NaN, 0, 0]);
  });

  it('what the server itself fails at: a schedule that throws, a delay function that gives nonsense', () => {
    const broken = new TestServer({
      optimizer: sgd({
        learningRate: () => {
          throw new Error('mine');
        },
      }),
    });
    const a = broken.worker('a');
    a.push(ONES);
    expect(a.lines()).toEqual(['push 1 refused: PS_INTERNAL']);
    expect(broken.seen('error')[0]?.error.message).toContain('mine');
    const odd = new TestServer({ delay: { scale: () => -1 } });
    const b = odd.worker('b');
    b.push(ONES);
    expect(b.lines()).toEqual(['push 1 refused: PS_INTERNAL']);
    expect(odd.seen('error')[0]?.error.message).toContain('delay.scale(0)');
  });
});

describe('clipping', () => {
  it('by norm scales the whole push, over all its tensors', () => {
    const server = new TestServer({
      parameters: { a: { shape: [1] }, b: { shape: [1] } },
      clip: { norm: 1 },
    });
    server.worker('a').push([3, 4]);
    expect(server.values).toEqual(
      [0.6, 0.8].map((value) => Math.fround(-value)).map((value) => expect.closeTo(value, 6)),
    );
  });

  it('by value bounds each element after that', () => {
    const server = new TestServer({ clip: { norm: 10, value: 5 } });
    server.worker('a').push([0, 12, 16, 0]);
    expect(server.values).toEqual([0, -5, -5, 0]);
  });
});

describe('the sequence', () => {
  it('a repeat gets the original outcome and changes nothing', () => {
    const server = new TestServer({ delay: { max: 1, scale: 'inverse' } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.pull();
    a.push(ONES, { tick: true });
    a.push([Number.NaN, 0, 0, 0]);
    b.push(ONES);
    a.push(ONES, { version: 0 });
    const first = a.lines().slice(1);
    expect(first).toEqual([
      'push 1 applied v1, clock 1',
      'push 2 refused: PS_NOT_FINITE "w"',
      'push 3 dropped v2 delay 2, clock 1',
    ]);
    const before = hashOf(server.core.state);
    a.push([9, 9, 9, 9], { seq: 1 });
    a.push(ONES, { seq: 2 });
    a.push([Number.NaN], { seq: 3, chunk: 1 });
    expect(a.lines()).toEqual([
      'push 1 applied again v1, clock 1',
      'push 2 refused again: PS_NOT_FINITE "w"',
      'push 3 dropped again v2 delay 2, clock 1',
    ]);
    expect(hashOf(server.core.state)).toBe(before);
  });

  it('a gap is an error that names what is expected, and changes nothing', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push(ONES);
    const before = hashOf(server.core.state);
    a.push(ONES, { seq: 4 });
    expect(a.lines().at(-1)).toBe('push 4 refused: PS_SEQUENCE expected 2');
    expect(hashOf(server.core.state)).toBe(before);
    a.push(ONES, { seq: 2 });
    expect(a.lines()).toEqual(['push 2 applied v2, clock 0']);
  });

  it('answers are kept for more pushes than may be unanswered; then it is said that they are gone', () => {
    const server = new TestServer();
    const a = server.worker('a');
    for (let i = 0; i < 9; i++) a.push(ONES);
    a.lines();
    a.push(ONES, { seq: 2 });
    a.push(ONES, { seq: 1 });
    expect(a.lines()).toEqual(['push 2 applied again v2, clock 0', 'push 1 refused again: PS_SEQUENCE']);
    expect(server.core.state.session('a').answers.length).toBeLessThanOrEqual(8);
  });

  it('belongs to the session: each worker has its own', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.push(ONES);
    b.push(ONES);
    expect([a.lines(), b.lines()]).toEqual([['push 1 applied v1, clock 0'], ['push 1 applied v2, clock 0']]);
  });
});

describe('a tick', () => {
  it('takes effect after the push that it rides on: who waits for it sees the push', () => {
    const server = new TestServer({ consistency: { name: 'ssp', staleness: 0 } });
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.enter();
    b.enter();
    b.tick();
    b.lines();
    b.pull();
    a.push(ONES, { tick: true });
    expect(b.lines()).toEqual(['pull 3: v1 [-1 -1 -1 -1]']);
  });

  it('behind a push that is still arriving waits for it', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push(ONES, { chunk: 2, only: 1 });
    a.tick();
    expect(server.table).toBe('');
    a.chunk(1, 2, [1, 1]);
    expect(server.table).toBe('a@1');
  });

  it('is idempotent, raises by at most 1, and is told', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.tick(1);
    a.tick(1);
    a.tick(3);
    a.tick(2);
    a.push(ONES, { tick: 2 });
    expect(a.lines()).toEqual([
      'clock 1, min 1',
      'clock 1, min 1',
      'request 3 refused: PS_CLOCK',
      'clock 2, min 2',
      'push 1 applied v1, clock 2',
    ]);
    expect(server.seen('clock')).toEqual([
      { kind: 'clock', minClock: 1 },
      { kind: 'clock', minClock: 2 },
    ]);
  });
});

describe('all or nothing', () => {
  it('a push whose bytes stop half-way leaves no trace', () => {
    const server = new TestServer({ optimizer: momentum({ learningRate: 1 }) });
    const [a, b] = [server.worker('a'), server.worker('b')];
    const before = hashOf(server.core.state);
    a.push(ONES, { chunk: 1, only: 3 });
    expect(hashOf(server.core.state)).toBe(before);
    a.drop();
    expect(hashOf(server.core.state)).toBe(before);
    b.push(ONES);
    expect(server.values).toEqual([-1, -1, -1, -1]);
  });

  it('comes again from byte 0', () => {
    const server = new TestServer();
    const a = server.worker('a');
    a.push([9, 9, 9, 9], { chunk: 1, only: 3 });
    a.reconnect();
    a.lines();
    a.push(ONES, { seq: 1, chunk: 1 });
    expect(a.lines()).toEqual(['push 1 applied v1, clock 0']);
    expect(server.values).toEqual([-1, -1, -1, -1]);
  });

  it('a partial push leaves the other tensors and their slots alone', () => {
    const parameters = { a: { shape: [2] }, b: { shape: [1] }, c: { shape: [2] } };
    const server = new TestServer({ parameters, optimizer: momentum({ learningRate: 1, momentum: 0.5 }) });
    const a = server.worker('a');
    a.push([1, 2, 3, 4, 5]);
    a.push([1, 1, 1], { tensors: [1, 2] });
    expect(server.values).toEqual([-1, -2, -5.5, -7, -8.5]);
    expect([...(server.core.state.table.slots[0] as Float32Array)]).toEqual([-1, -2, -2.5, -3, -3.5]);
    a.push([], { tensors: [], bytes: 0 });
    expect(a.lines().at(-1)).toBe('push 3 applied v3, clock 0');
  });
});

describe('settings that change while it runs', () => {
  it('the learning rate: slots stay', () => {
    const server = new TestServer({ optimizer: momentum({ learningRate: 1, momentum: 0.5 }) });
    const a = server.worker('a');
    a.push([2, 0, 0, 0]);
    server.record({ kind: 'optimizer', learningRate: 0.5 });
    a.push([2, 0, 0, 0]);
    expect(server.values[0]).toBe(-2 - 1 - 1);
    server.record({ kind: 'optimizer', learningRate: (version) => version });
    a.push([1, 0, 0, 0]);
    expect(server.values[0]).toBe(-4 - 1 - 2);
  });

  it('the optimizer: slots start anew', () => {
    const server = new TestServer({ optimizer: momentum({ learningRate: 1, momentum: 0.5 }) });
    const a = server.worker('a');
    a.push([2, 0, 0, 0]);
    server.record({ kind: 'optimizer', optimizer: momentum({ learningRate: 1, momentum: 0.5 }) });
    a.push([2, 0, 0, 0]);
    expect(server.values[0]).toBe(-4);
  });

  it('a load replaces all values, and counts as an update', () => {
    const server = new TestServer({
      optimizer: momentum({ learningRate: 1, momentum: 0.5 }),
      consistency: asp(),
    });
    const [a, reader] = [server.worker('a'), server.reader('r')];
    a.push(ONES);
    reader.pull({ wait: true, ifNewerThan: { incarnation: 'incarnation', version: 1 } });
    server.record({ kind: 'load', values: Float32Array.of(5, 6, 7, 8) });
    expect(reader.lines()).toEqual(['pull 1: v2 [5 6 7 8]']);
    a.push(ONES);
    expect(server.values).toEqual([4, 5, 6, 7]);
  });
});

describe('metrics', () => {
  it('are reported by clock when minClock has passed it, weighted by examples', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    a.enter();
    b.enter();
    a.push(ONES, { tick: true, metrics: { loss: 1 }, examples: 30 });
    b.push(ONES, { metrics: { loss: 5, other: 2 }, examples: 10 });
    expect(server.seen('metrics')).toEqual([]);
    b.tick();
    expect(server.seen('metrics')).toEqual([
      { kind: 'metrics', clock: 0, workers: 2, examples: 40, metrics: { loss: 2, other: 2 } },
    ]);
  });

  it('that nobody will close are reported when all have left, and when there are too many', () => {
    const server = new TestServer();
    const [a, b] = [server.worker('a'), server.worker('b')];
    b.enter();
    for (let i = 0; i < 70; i++) a.push(ONES, { tick: true, metrics: { loss: i } });
    expect(server.seen('metrics').map(({ clock }) => clock)).toEqual([0, 1, 2, 3, 4, 5]);
    a.goodbye();
    b.goodbye();
    expect(server.seen('metrics')).toHaveLength(64);
  });
});
