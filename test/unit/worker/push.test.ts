import { describe, expect, it } from 'vitest';
import { MessageType, type Push, type WorkerMessage } from '../../../src/core/protocol/messages.js';
import { floatsOf } from '../../../src/core/protocol/modelStream.js';
import type { PullAnswer } from '../../../src/core/worker/events.js';
import { Harness, MODEL, offsetsOf, partsOf } from './coreHarness.js';

const { push, pushChunk, pull, tick, clockResult } = MessageType;

function opened(welcome = {}, options = {}): Harness {
  const h = new Harness(options);
  h.open(welcome);
  h.sent();
  return h;
}

function seqs(messages: readonly WorkerMessage[]): number[] {
  return messages.filter((each): each is Push => each.t === push).map(({ seq }) => seq);
}

/** The elements that `parts` carry, in order. */
function elements(parts: readonly { payload: Uint8Array }[]): number[] {
  return parts.flatMap(({ payload }) => [...floatsOf(payload)]);
}

describe('a push', () => {
  it('of one chunk is one message, and settles with its answer', () => {
    const h = opened();
    const request = h.push(3, { metrics: { loss: 0.5 }, examples: 32 });
    const [part] = h.sentParts();
    expect(part?.message).toEqual({
      t: push,
      seq: 1,
      clock: 0,
      version: undefined,
      tensors: [0, 1],
      bytes: 40,
      tick: undefined,
      metrics: { loss: 0.5 },
      examples: 32,
    });
    expect(elements([part as never])).toEqual(Array.from({ length: 10 }, () => 3));
    h.answerPush(1, { outcome: 'scaled', version: 9, delay: 2, clock: 4, minClock: 3 });
    const value = { outcome: 'scaled', duplicate: false, version: 9, delay: 2, clock: 4, minClock: 3 };
    expect(h.outcome(request)).toEqual({ value });
    expect(h.core.clock).toBe(4);
  });

  it('is computed from the version that its command says, if it says one', () => {
    const h = opened();
    const first = h.pull();
    h.answerPull(1, MODEL, { version: 5 });
    h.pull();
    h.answerPull(2, MODEL, { version: 8 });
    const answer = h.outcome(first)?.value as PullAnswer | undefined;
    h.push(1, { computedFrom: answer?.pulled });
    expect(h.sent().at(-1)).toMatchObject({ version: { incarnation: 'life-1', version: 5 } });
  });

  it('is computed from the version of the last training pull', () => {
    const h = opened();
    h.pull();
    h.answerPull(1, MODEL, { version: 5 });
    h.pull({ training: false });
    h.answerPull(2, MODEL, { version: 8 });
    h.push();
    expect(h.sent()[2]).toMatchObject({ version: { incarnation: 'life-1', version: 5 } });
  });

  it('of several chunks goes out in order, without gaps, across tensors', () => {
    const h = opened({ chunkBytes: 16 });
    const values = [Float32Array.of(0, 1, 2, 3, 4, 5), Float32Array.of(6, 7, 8, 9)];
    h.push(0, { values });
    const parts = h.sentParts();
    expect(offsetsOf(parts)).toEqual({ bytes: 40, isContiguous: true });
    expect(parts[0]?.message).toMatchObject({ t: push, bytes: 40 });
    expect(new Set(parts.slice(1).map(({ message }) => message.t))).toEqual(new Set([pushChunk]));
    expect(Math.max(...parts.map(({ payload }) => payload.length))).toBeLessThanOrEqual(16);
    expect(elements(parts)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('hands out chunks that stay as they are when the next is asked for', () => {
    const h = opened({ chunkBytes: 32 });
    h.push(0, { values: [Float32Array.of(0, 1, 2, 3, 4, 5), Float32Array.of(6, 7, 8, 9)] });
    expect(elements(partsOf(h.streams[0]))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('without bytes is one message too', () => {
    const h = opened();
    const request = h.push(0, { tensors: [], values: [] });
    expect(h.sent()).toMatchObject([{ t: push, seq: 1, bytes: 0, tensors: [] }]);
    h.answerPush(1);
    expect(h.outcome(request)?.value).toBeDefined();
  });

  it('that is refused is answered: the next takes the next number', () => {
    const h = opened();
    const request = h.push();
    h.refuse('PS_NOT_FINITE', { seq: 1, tensor: 'b' });
    expect(h.outcome(request)?.error).toMatchObject({ code: 'PS_NOT_FINITE', details: { tensor: 'b' } });
    h.push();
    expect(seqs(h.sent())).toEqual([1, 2]);
    h.reconnect({ committedSeq: 1 });
    expect(h.observed('rollback')).toEqual([]);
    expect(seqs(h.sent())).toEqual([2]);
  });
});

describe('order', () => {
  it('keeps what is asked for behind a transfer until that has left', () => {
    const h = opened({ chunkBytes: 16 });
    h.push(1, { tick: true });
    h.pull();
    h.clock('tick');
    expect(h.effects.filter(({ kind }) => kind === 'send')).toHaveLength(1);
    h.step({ kind: 'streamEnded', stream: 99 });
    expect(h.effects.filter(({ kind }) => kind === 'send')).toHaveLength(1);
    const types = h.sent().map(({ t }) => t);
    expect([types[0], types[1], ...types.slice(-3)]).toEqual([push, pushChunk, pushChunk, pull, tick]);
  });

  it('sends push, tick and pull at once when they are small: the pull is for the clock after', () => {
    const h = opened({ clock: 6 });
    h.push(1, { tick: true });
    h.pull();
    expect(h.sent()).toMatchObject([
      { t: push, seq: 1, clock: 6, tick: 7 },
      { t: pull, clock: 7 },
    ]);
    h.push(1, { tick: true });
    expect(h.sent()).toMatchObject([{ t: push, seq: 2, clock: 7, tick: 8 }]);
    expect(h.core.clock).toBe(6);
    h.answerPush(1, { clock: 7 });
    expect(h.core.clock).toBe(7);
  });

  it('lets four pushes be unanswered, and what follows wait its turn', () => {
    const h = opened();
    for (let i = 0; i < 6; i++) h.push();
    h.clock('tick');
    expect(seqs(h.sent())).toEqual([1, 2, 3, 4]);
    h.answerPush(1);
    expect(h.sent()).toMatchObject([{ t: push, seq: 5 }]);
    h.answerPush(2);
    expect(h.sent()).toMatchObject([
      { t: push, seq: 6 },
      { t: tick, clock: 1 },
    ]);
  });

  it('lets fewer be unanswered where the server says so', () => {
    const h = opened({ maxUnansweredPushes: 1 });
    h.push();
    h.push();
    expect(seqs(h.sent())).toEqual([1]);
    h.answerPush(1);
    expect(seqs(h.sent())).toEqual([2]);
  });

  it('bounds the bytes that are unanswered by the option, or by one whole model', () => {
    const byOption = opened({}, { limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 99 } });
    for (let i = 0; i < 3; i++) byOption.push();
    expect(seqs(byOption.sent())).toEqual([1, 2]);
    const byModel = opened({}, { limits: { maxUnansweredPushes: 4, maxUnansweredBytes: 1 } });
    for (let i = 0; i < 3; i++) byModel.push();
    expect(seqs(byModel.sent())).toEqual([1]);
    byModel.answerPush(1);
    expect(seqs(byModel.sent())).toEqual([2]);
  });
});

describe('ticks', () => {
  it('carry their target, and settle with the clocks', () => {
    const h = opened();
    const requests = [h.clock('tick'), h.clock('tick')];
    expect(h.sent()).toEqual([
      { t: tick, request: 1, clock: 1 },
      { t: tick, request: 2, clock: 2 },
    ]);
    h.receive({ t: clockResult, request: 1, clock: 1, minClock: 0 });
    h.receive({ t: clockResult, request: 2, clock: 2, minClock: 1 });
    expect(requests.map((each) => h.outcome(each)?.value)).toEqual([
      { clock: 1, minClock: 0 },
      { clock: 2, minClock: 1 },
    ]);
  });

  it('go on from where the server says the worker is', () => {
    const h = opened();
    h.push(1, { tick: true });
    h.answerPush(1, { clock: 5, minClock: 5 });
    h.clock('tick');
    expect(h.sent()[1]).toMatchObject({ t: tick, clock: 6 });
  });

  it('that were refused, alone or on a push, are not counted', () => {
    const h = opened();
    const refused = [h.push(1, { tick: true }), h.clock('tick')];
    h.refuse('PS_NOT_FINITE', { seq: 1 });
    h.refuse('PS_CLOCK', { request: 1 });
    expect(refused.map((each) => h.code(each))).toEqual(['PS_NOT_FINITE', 'PS_CLOCK']);
    h.sent();
    h.clock('tick');
    expect(h.sent()).toEqual([{ t: tick, request: 2, clock: 1 }]);
  });
});

describe('giving up a push', () => {
  const error = { code: 'PS_ABORTED' } as never;

  it('that was not sent takes it back', () => {
    const h = opened();
    h.drop();
    const request = h.push();
    h.step({ kind: 'cancel', request, error });
    expect(h.outcome(request)).toEqual({ error });
    h.redial();
    h.accept();
    h.push(2);
    expect(h.sent().slice(1)).toMatchObject([{ t: push, seq: 1 }]);
  });

  it('that was sent carries it through with a copy: the caller’s arrays are free', () => {
    const h = opened();
    const values = [new Float32Array(6).fill(1), new Float32Array(4).fill(1)];
    const request = h.push(0, { values });
    h.sent();
    h.step({ kind: 'cancel', request, error });
    expect(h.outcome(request)).toEqual({ error });
    for (const each of values) each.fill(7);
    h.reconnect();
    expect(elements(h.sentParts().slice(1))).toEqual(Array.from({ length: 10 }, () => 1));
    h.answerPush(1);
    expect(h.outcome(request)).toEqual({ error });
    h.push();
    expect(seqs(h.sent())).toEqual([2]);
  });

  it('that is leaving ends only when the system has let go of the caller’s arrays', () => {
    for (const isLost of [false, true]) {
      const h = opened({ chunkBytes: 16 });
      const values = [new Float32Array(6).fill(1), new Float32Array(4).fill(1)];
      const request = h.push(0, { values });
      const [stream] = h.streams;
      const parts = [stream?.next(), stream?.next()];
      h.step({ kind: 'cancel', request, error });
      expect(h.outcome(request)).toBeUndefined();
      if (isLost) {
        h.drop();
      } else {
        parts.push(...partsOf(stream));
        expect(elements(parts as never[])).toEqual(Array.from({ length: 10 }, () => 1));
        h.step({ kind: 'streamEnded', stream: stream?.id ?? 0 });
        h.drop();
      }
      expect(h.outcome(request)).toEqual({ error });
      for (const each of values) each.fill(7);
      h.sent();
      h.redial();
      h.accept({ chunkBytes: 16 });
      const again = h.sentParts().filter(({ payload }) => payload.length > 0);
      expect(elements(again)).toEqual(Array.from({ length: 10 }, () => 1));
      h.answerPush(1);
      h.push();
      expect(seqs(h.sent())).toEqual([2]);
    }
  });

  it('that is answered all the same settles with its answer, once', () => {
    const h = opened({ chunkBytes: 16 });
    const request = h.push(1);
    h.step({ kind: 'cancel', request, error });
    h.answerPush(1, { version: 3 });
    h.sent();
    expect(h.outcome(request)?.value).toMatchObject({ version: 3 });
  });

  it('by closing the worker lets not a byte more leave', () => {
    const h = opened({ chunkBytes: 16 });
    const request = h.push(1);
    const close = h.request({ kind: 'close', reason: '' });
    expect(h.count('terminate')).toBe(1);
    expect(h.code(request)).toBe('PS_OUTCOME_UNKNOWN');
    expect(h.outcome(close)).toEqual({ value: undefined });
  });

  it.each<[string, (h: Harness) => void]>([
    ['a fault that is final', (h) => h.refuse('PS_EVICTED')],
    ['one that is not', (h) => h.refuse('PS_REAUTHENTICATE')],
    ['bytes that are no message', (h) => void h.step({ kind: 'malformed', connection: 1, error })],
  ])('ends with its connection, and not a byte more of it leaves: %s', (_what, end) => {
    const h = opened({ chunkBytes: 16 });
    h.push(1);
    h.streams[0]?.next();
    end(h);
    expect([h.count('terminate'), h.count('close')]).toEqual([1, 0]);
    const idle = opened();
    end(idle);
    expect([idle.count('terminate'), idle.count('close')]).toEqual([0, 1]);
  });
});

describe('a push of several arrays', () => {
  it('copies chunks that span them to memory that is used again once it is taken, and not before', () => {
    const h = opened({ chunkBytes: 16 });
    h.push(2);
    const stream = h.streams[0];
    if (stream === undefined) throw new Error('no stream');
    stream.next();
    const parts = [];
    for (let part = stream.next(); part !== undefined; part = stream.next()) parts.push(part);
    const spanning = parts.filter(({ release }) => release !== undefined);
    expect(spanning.length).toBeGreaterThan(0);
    expect(new Set(spanning.map(({ payload }) => payload.buffer)).size).toBe(spanning.length);
    for (const { payload } of parts) expect(new Set(floatsOf(payload))).toEqual(new Set([2]));
  });
});
