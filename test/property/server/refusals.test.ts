/**
 * Whatever is wrong with a message: it is answered, nothing changes, and the other workers go on. The state
 * that it meets is any; the hash is over all of it.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import { decodeFrame, encodeFrame } from '../../../src/core/protocol/codec.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import type { FakeWorker } from '../../unit/server/fakeWorker.js';
import { TestServer } from '../../unit/server/kit.js';
import { hashOf } from '../../unit/server/stateHash.js';

const PARAMETERS = { w: { shape: [4] }, fixed: { shape: [2], trainable: false }, v: { shape: [3] } };
const TRAINABLE = { tensors: [0, 2] };
const GOOD = [1, 2, 3, 4, 5, 6, 7];

/** What is wrong, and what may be told: a refusal, and perhaps the end of the connection. */
const WRONG: Record<string, (worker: FakeWorker) => void> = {
  'a push of an unknown tensor': (w) => w.push(GOOD, { tensors: [0, 7] }),
  'a push of one that is not trainable': (w) => w.push([1, 1], { tensors: [1] }),
  'a push that is too short': (w) => w.push([1], TRAINABLE),
  'a push that is too long': (w) => w.push([...GOOD, 8, 9], { ...TRAINABLE, chunk: 4 }),
  'a push with NaN': (w) => w.push([1, 2, 3, Number.NaN, 5, 6, 7], TRAINABLE),
  'a push with Infinity, in chunks': (w) =>
    w.push([1, 2, 3, 4, 5, 6, Number.NEGATIVE_INFINITY], { ...TRAINABLE, chunk: 2 }),
  'a push whose norm is too large': (w) =>
    w.push(
      GOOD.map((x) => x * 1e6),
      TRAINABLE,
    ),
  'a push of a clock to come': (w) => w.push(GOOD, { ...TRAINABLE, clock: w.clock + 1000 }),
  'a push that ticks twice': (w) => w.push(GOOD, { ...TRAINABLE, tick: w.clock + 1000 }),
  'a push with a gap before it': (w) => w.push(GOOD, { ...TRAINABLE, seq: w.seq + 5 }),
  'a push that was decided': (w) =>
    w.push(
      GOOD.map((x) => -x),
      { ...TRAINABLE, seq: 1 },
    ),
  'a tick by two': (w) => void w.tick(w.clock + 1000),
  'a pull of an unknown tensor': (w) => void w.pull({ tensors: [3] }),
  'a cancel of nothing': (w) => {
    w.cancel(12_345);
    w.ping();
  },
  'hello a second time': (w) => w.hello(),
  'a message of servers': (w) => w.send({ t: MessageType.pong }),
  'an empty frame': (w) => w.sendBytes(new Uint8Array(0)),
  'a chunk of nothing': (w) => w.chunk(w.seq + 1, 0, [1]),
  'a push in a push': (w) => {
    w.push(GOOD, { ...TRAINABLE, chunk: 1, only: 2 });
    w.push(GOOD, TRAINABLE);
  },
  'a chunk out of place': (w) => {
    w.push(GOOD, { ...TRAINABLE, chunk: 1, only: 2 });
    w.chunk(w.seq, 5, [1]);
  },
};

/** A server on which some things have happened. */
function serverAfter(
  history: readonly number[],
  model: 'ssp' | 'bsp' | 'asp',
): { server: TestServer; all: FakeWorker[] } {
  const server = new TestServer({
    parameters: PARAMETERS,
    optimizer: momentum({ learningRate: 0.5 }),
    consistency: { ssp: ssp({ staleness: 1 }), bsp: bsp(), asp: asp() }[model],
    maxPushNorm: 1000,
  });
  const all = ['a', 'b', 'c'].map((id) => server.worker(id));
  for (const worker of all) worker.push(GOOD, TRAINABLE);
  for (const what of history) {
    const worker = all[what % 3] as FakeWorker;
    if (what < 9) worker.push([what, 1, 1, 1, 1, 1, -what], { ...TRAINABLE, tick: what % 2 === 0 });
    else if (what < 12) worker.tick();
    else if (what < 15) worker.pull();
    else if (what < 17) worker.leave();
    else worker.push([0.1, 0.2, 0.3], { tensors: [2], chunk: 2 });
  }
  for (const worker of all) worker.lines();
  return { server, all };
}

const history = fc.array(fc.nat(19), { maxLength: 12 });
const model = fc.constantFrom('ssp' as const, 'bsp' as const, 'asp' as const);

/** The server answers the others as if nothing had been. */
function expectOthersGoOn(server: TestServer, others: readonly FakeWorker[]): void {
  for (const worker of others) {
    const seq = worker.seq + 1;
    worker.push(GOOD, { ...TRAINABLE, clock: worker.clock });
    worker.look();
    const lines = worker.lines();
    expect(
      lines.some((line) => /^push \d+ (applied|buffered|dropped)/.test(line) && line.includes(` ${seq} `)),
    ).toBe(true);
    expect(lines.some((line) => /^pull \d+: v\d+ \[/.test(line))).toBe(true);
  }
  expect(server.core.view.staging.usedBytes).toBe(0);
}

describe('a refused message', () => {
  it.each(Object.entries(WRONG))('%s', (_what, send) => {
    fc.assert(
      fc.property(history, model, fc.boolean(), (events, name, isPlacing) => {
        const { server, all } = serverAfter(events, name);
        server.isPlacing = isPlacing;
        const [bad, ...others] = all as [FakeWorker, FakeWorker, FakeWorker];
        const before = hashOf(server.core.state, false);
        send(bad);
        const told = bad.lines();
        expect(told.some((line) => /refused|again|pong/.test(line))).toBe(true);
        expect(hashOf(server.core.state, false)).toBe(before);
        expectOthersGoOn(server, others);
      }),
      { numRuns: 25 },
    );
  });
});

describe('bytes that are no message', () => {
  const gradient = new Uint8Array(Float32Array.from(GOOD).buffer);
  const frames = [
    encodeFrame({ t: MessageType.push, seq: 2, clock: 0, bytes: 28, tensors: [0, 2] }, gradient),
    encodeFrame({ t: MessageType.pull, request: 1, training: true, clock: 0, wait: false, consistent: true }),
    encodeFrame({ t: MessageType.tick, request: 1, clock: 1 }),
  ];
  const isMessage = (bytes: Uint8Array): boolean => {
    try {
      decodeFrame(bytes);
      return true;
    } catch {
      return false;
    }
  };
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    // A frame that is cut off, or goes on.
    fc.record({ frame: fc.nat(2), length: fc.nat(100) }).map(({ frame, length }) => {
      const whole = frames[frame] as Uint8Array;
      const bytes = new Uint8Array(length);
      bytes.set(whole.subarray(0, length));
      return bytes;
    }),
    // A frame with some bytes changed.
    fc
      .record({
        frame: fc.nat(2),
        flips: fc.array(fc.record({ at: fc.nat(60), value: fc.nat(255) }), { minLength: 1 }),
      })
      .map(({ frame, flips }) => {
        const bytes = (frames[frame] as Uint8Array).slice();
        for (const { at, value } of flips) bytes[at % bytes.length] = value;
        return bytes;
      }),
  );

  it('change nothing, and end the connection only after the fifth', () => {
    fc.assert(
      fc.property(history, model, fc.array(garbage, { maxLength: 8 }), (events, name, all) => {
        const frames = all.filter((bytes) => !isMessage(bytes));
        const { server, all: workers } = serverAfter(events, name);
        const [bad, ...others] = workers as [FakeWorker, FakeWorker, FakeWorker];
        const before = hashOf(server.core.state);
        for (const bytes of frames) bad.sendBytes(bytes);
        const told = bad.lines();
        const refusals = Math.min(5, frames.length);
        expect(told.filter((line) => line === 'refused: PS_PROTOCOL')).toHaveLength(refusals);
        expect(told.filter((line) => line === 'closed 1008')).toHaveLength(refusals === 5 ? 1 : 0);
        expect(hashOf(server.core.state)).toBe(before);
        expectOthersGoOn(server, others);
      }),
      { numRuns: 300 },
    );
  });

  it('before hello end the connection at once', () => {
    fc.assert(
      fc.property(garbage, (bytes) => {
        fc.pre(!isMessage(bytes));
        const server = new TestServer();
        const stranger = server.stranger('s');
        stranger.sendBytes(bytes);
        expect(stranger.lines()).toEqual(['refused: PS_PROTOCOL', 'closed 1008']);
        expect(server.core.state.sessions.size).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});
