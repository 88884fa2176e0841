import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { Harness, MODEL, SPECS, welcomeOf } from './coreHarness.js';

const { hello, enter, push, tick, clockResult } = MessageType;

describe('the first connection', () => {
  it('says Hello when the transport opens, and settles connect at Welcome', () => {
    const h = new Harness({ id: 'ann', readOnly: true });
    const request = h.request({ kind: 'connect' });
    expect(h.effects).toEqual([
      { kind: 'observe', observation: { kind: 'connecting', attempt: 1 } },
      { kind: 'connect', connection: 1 },
    ]);
    h.step({ kind: 'opened', connection: 1 });
    const session = '0'.repeat(32);
    const expected = { t: hello, protocol: 1, worker: 'ann', session, readOnly: true, lineage: undefined };
    expect(h.sent()).toEqual([expected]);
    expect(h.core.isOpen).toBe(false);
    expect(h.outcome(request)).toBeUndefined();
    h.accept({ clock: 3, version: 7, resumed: true, epoch: 2 });
    expect(h.outcome(request)).toEqual({ value: undefined });
    const open = { kind: 'open', incarnation: 'life-1', epoch: 2, resumed: true, clock: 3, version: 7 };
    expect(h.observed('open')).toEqual([open]);
    expect([h.core.isOpen, h.core.clock]).toEqual([true, 3]);
    expect(h.core.catalogue?.entries.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
  });

  it('settles every connect that waits, and one while it is open at once', () => {
    const h = new Harness();
    const both = [h.request({ kind: 'connect' }), h.request({ kind: 'connect' })];
    expect(h.count('connect')).toBe(1);
    h.accept();
    both.push(h.request({ kind: 'connect' }));
    expect(both.map((each) => h.outcome(each))).toEqual([1, 2, 3].map(() => ({ value: undefined })));
  });

  it('tries again while the server is not there, and then says why it gave up', () => {
    const h = new Harness();
    const request = h.request({ kind: 'connect' });
    h.drop(1006, 'ECONNREFUSED');
    expect(h.observed('reconnecting')[0]?.error.code).toBe('PS_CONNECT_FAILED');
    while (h.outcome(request) === undefined) {
      h.redial();
      h.drop(1006, 'ECONNREFUSED');
    }
    expect(h.now).toBe(30_000);
    expect(h.code(request)).toBe('PS_CONNECT_TIMEOUT');
    const error = h.outcome(request)?.error;
    expect(error?.message).toContain('ECONNREFUSED');
    expect(error?.cause).toMatchObject({ code: 'PS_CONNECT_FAILED' });
    expect(h.core.nextTickAt()).toBe(Number.POSITIVE_INFINITY);
  });

  it('gives an attempt up that is not answered, and makes another', () => {
    const h = new Harness();
    h.request({ kind: 'connect' });
    h.step({ kind: 'opened', connection: 1 });
    h.pass(9999);
    expect(h.count('terminate')).toBe(0);
    h.pass(1);
    expect(h.count('terminate')).toBe(1);
    h.redial();
    expect(h.connection).toBe(2);
  });

  it('can be asked for again after it failed', () => {
    const h = new Harness({ reconnect: { retries: 0, minDelayMs: 1, maxDelayMs: 1, maxOfflineMs: 1 } });
    const first = h.request({ kind: 'connect' });
    h.drop(1006, 'not yet');
    expect(h.code(first)).toBe('PS_CONNECT_FAILED');
    expect(h.core.hasEnded).toBe(false);
    const second = h.open();
    expect(h.outcome(second)).toEqual({ value: undefined });
  });

  it('can be given up, and the attempt is then ended', () => {
    const h = new Harness();
    const request = h.request({ kind: 'connect' });
    const error = { code: 'PS_ABORTED' } as never;
    h.step({ kind: 'cancel', request, error });
    expect(h.outcome(request)).toEqual({ error });
    expect(h.count('terminate')).toBe(1);
    h.drop();
    expect(h.observed('reconnecting')).toEqual([]);
  });

  it('ends the worker where the server refuses it for good', () => {
    for (const [code, expected] of [
      [4401, 'PS_UNAUTHORIZED'],
      [4403, 'PS_FORBIDDEN'],
      [4406, 'PS_VERSION'],
      [4409, 'PS_FENCED'],
      [4410, 'PS_SESSION_EXPIRED'],
    ] as const) {
      const h = new Harness();
      const request = h.request({ kind: 'connect' });
      h.drop(code, 'no');
      expect(h.code(request)).toBe(expected);
      expect(h.observed('closed')[0]?.error?.code).toBe(expected);
      expect(h.code(h.pull())).toBe(expected);
    }
  });

  it('ends the worker for a fault that is final, with its text', () => {
    const h = new Harness();
    const request = h.request({ kind: 'connect' });
    h.step({ kind: 'opened', connection: 1 });
    h.refuse('PS_FORBIDDEN', { message: 'the token is for another id' });
    expect(h.outcome(request)?.error).toMatchObject({
      code: 'PS_FORBIDDEN',
      message: 'the token is for another id',
    });
    expect(h.core.hasEnded).toBe(true);
  });

  it('tries again where its id is in use, no later than the server says', () => {
    const h = new Harness({
      reconnect: { retries: 99, minDelayMs: 9000, maxDelayMs: 9000, maxOfflineMs: 9e9 },
    });
    const request = h.request({ kind: 'connect' });
    for (let i = 0; i < 20; i++) {
      h.step({ kind: 'opened', connection: h.connection });
      h.refuse('PS_ID_IN_USE', { retryAfterMs: 800 });
      expect(h.observed('reconnecting')[i]?.delayMs).toBeLessThanOrEqual(800);
      h.redial();
    }
    h.accept();
    expect(h.outcome(request)).toEqual({ value: undefined });
  });

  it('ends at once where the shell knows that no attempt can succeed, and else tries again', () => {
    const final = new Harness();
    const request = final.request({ kind: 'connect' });
    const cause = new PsError('PS_INVALID_ARGUMENT', 'url must be a ws: or wss: url');
    final.step({ kind: 'closed', connection: 1, code: 1006, reason: 'x', cause });
    expect(final.outcome(request)).toEqual({ error: cause });
    const passing = new Harness();
    const token = new Error('the token service is down');
    passing.request({ kind: 'connect' });
    passing.step({ kind: 'closed', connection: 1, code: 1006, reason: 'x', cause: token });
    expect(passing.observed('reconnecting')[0]?.error.cause).toBe(token);
  });

  it('does not take another protocol or a part of a model', () => {
    const versions = new Harness();
    expect(versions.code(versions.open({ protocol: 2 }))).toBe('PS_VERSION');
    const shards = new Harness();
    expect(shards.code(shards.open({ shardIndex: 1, shardCount: 2 }))).toBe('PS_MODEL_MISMATCH');
  });

  it('closes a connection that begins with anything but Welcome, and makes another', () => {
    const h = new Harness();
    h.request({ kind: 'connect' });
    h.step({ kind: 'opened', connection: 1 });
    h.receive({ t: MessageType.pong });
    expect(h.effects).toContainEqual(expect.objectContaining({ kind: 'close', code: 1008 }));
    h.redial();
    expect(h.connection).toBe(2);
  });

  it('takes a Welcome whose payload is no catalogue for a broken connection', () => {
    const h = new Harness();
    h.request({ kind: 'connect' });
    h.step({ kind: 'opened', connection: 1 });
    h.receive(welcomeOf(), Uint8Array.of(0xc1));
    expect(h.observed('reconnecting')[0]?.error.code).toBe('PS_PROTOCOL');
  });
});

describe('later connections', () => {
  it('carry the lineage of the last Welcome', () => {
    const h = new Harness();
    h.open();
    h.sent();
    h.reconnect();
    expect(h.sent()[0]).toMatchObject({ t: hello, lineage: 'line-1' });
  });

  it('end the worker if the model is another', () => {
    for (const specs of [
      SPECS.slice(0, 2),
      SPECS.map((spec, i) => (i === 1 ? { ...spec, shape: [5] } : spec)),
      SPECS.map((spec, i) => (i === 1 ? { ...spec, name: 'd' } : spec)),
      SPECS.map((spec, i) => (i === 1 ? { ...spec, trainable: false } : spec)),
    ]) {
      const h = new Harness();
      h.open();
      const pull = h.pull();
      h.drop();
      h.redial();
      h.accept({}, specs);
      expect(h.code(pull)).toBe('PS_MODEL_MISMATCH');
      expect(h.effects).toContainEqual(expect.objectContaining({ kind: 'close' }));
    }
  });

  it('enter the clock table again if the worker was in it, before anything else', () => {
    const h = new Harness();
    h.open();
    h.clock('enter');
    h.receive({ t: MessageType.clockResult, request: 1, clock: 0, minClock: 0 });
    h.sent();
    h.reconnect();
    expect(h.sent().slice(1)).toEqual([{ t: enter, request: 2, clock: 0 }]);
    h.receive({ t: MessageType.clockResult, request: 2, clock: 9, minClock: 9 });
    expect(h.core.clock).toBe(9);
  });

  it('say which clock the worker knows of, without the ticks that it sends again', () => {
    const h = new Harness();
    h.open();
    h.push(1, { tick: true });
    h.answerPush(1, { clock: 1 });
    h.push(2, { tick: true });
    h.clock('tick');
    h.pull();
    const asked = h.sent().find(({ t }) => t === MessageType.pull) as { request: number };
    // The answer to the pull tells of ticks that are not answered themselves.
    h.answerPull(asked.request, MODEL, { clock: 3 });
    expect(h.core.clock).toBe(3);
    h.reconnect({ committedSeq: 1, clock: 1 });
    const again = h.sent().slice(1);
    expect(again).toMatchObject([
      { t: enter, clock: 1 },
      { t: push, clock: 1, tick: 2 },
      { t: tick, clock: 3 },
    ]);
    h.answerPush(2, { clock: 3 });
    // It was moved up.
    h.receive({ t: clockResult, request: (again[2] as { request: number }).request, clock: 7, minClock: 7 });
    h.reconnect({ committedSeq: 2, clock: 3 });
    expect(h.sent().slice(1)).toMatchObject([{ t: enter, clock: 7 }]);
  });

  it('leave it if the worker had left, in case the server went back; a reader says nothing', () => {
    const left = new Harness();
    left.open();
    left.clock('enter');
    left.receive({ t: MessageType.clockResult, request: 1, clock: 0, minClock: 0 });
    left.clock('leave');
    left.receive({ t: MessageType.clockResult, request: 2, clock: 0, minClock: 0 });
    left.sent();
    for (let i = 0; i < 2; i++) {
      left.reconnect();
      expect(left.sent().slice(1)).toMatchObject([{ t: MessageType.leave }]);
    }
    const reader = new Harness({ readOnly: true });
    reader.open();
    reader.pull({ training: false });
    reader.answerPull(1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    reader.sent();
    reader.reconnect();
    expect(reader.sent().slice(1)).toEqual([]);
  });
});
