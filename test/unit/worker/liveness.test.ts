import { describe, expect, it } from 'vitest';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { Harness, MODEL } from './coreHarness.js';

const { ping, computing, goodbye } = MessageType;
const pong = { t: MessageType.pong } as const;

function opened(welcome = {}): Harness {
  const h = new Harness();
  h.open({ pingMs: 10_000, leaseMs: 30_000, ...welcome });
  h.sent();
  return h;
}

describe('pings', () => {
  it('go out when nothing else was sent for pingMs', () => {
    const h = opened();
    h.pass(9999);
    expect(h.sent()).toEqual([]);
    h.pass(1);
    expect(h.sent()).toEqual([{ t: ping }]);
    h.receive(pong);
    h.pass(5000);
    h.clock('tick');
    h.sent();
    h.pass(9999);
    expect(h.sent()).toEqual([]);
    h.pass(1);
    expect(h.sent()).toEqual([{ t: ping }]);
  });

  it('are none where the server wants none', () => {
    const h = opened({ pingMs: 0, leaseMs: 0 });
    h.pass(1e9);
    expect(h.sent()).toEqual([]);
    expect(h.core.isOpen).toBe(true);
  });
});

describe('a silent connection', () => {
  it('is dead after a lease without a word: it is ended, and another is made', () => {
    const h = opened();
    const request = h.push();
    h.pass(29_999);
    expect(h.count('terminate')).toBe(0);
    h.pass(1);
    expect(h.count('terminate')).toBe(1);
    expect(h.observed('reconnecting')[0]?.error.code).toBe('PS_CONNECTION_LOST');
    h.redial();
    h.accept();
    h.answerPush(1);
    expect(h.outcome(request)?.value).toBeDefined();
  });

  it('lives on with parts of a message that takes longer than a lease', () => {
    const h = opened();
    for (let i = 0; i < 10; i++) {
      h.pass(29_000);
      h.progress();
    }
    expect(h.count('terminate')).toBe(0);
    h.pass(30_000);
    expect(h.count('terminate')).toBe(1);
  });

  it('lives on with any message', () => {
    const h = opened();
    for (let i = 0; i < 100; i++) {
      h.pass(29_000);
      h.receive(pong);
    }
    expect(h.count('terminate')).toBe(0);
  });
});

describe('an event loop that was blocked', () => {
  it('does not find its own connection dead', () => {
    const h = opened();
    const pull = h.pull({ timeoutMs: 60_000 });
    h.pass(5000);
    h.now += 300_000;
    h.step({ kind: 'tick' });
    h.pass(0);
    expect(h.count('terminate')).toBe(0);
    expect(h.outcome(pull)).toBeUndefined();
    h.answerPull(1, MODEL);
    expect(h.outcome(pull)?.value).toBeDefined();
  });

  it('still finds a dead one, after the time that it has seen', () => {
    const h = opened();
    h.pass(5000);
    h.now += 300_000;
    h.step({ kind: 'tick' });
    h.pass(29_999);
    expect(h.count('terminate')).toBe(1);
  });

  it('has no time-outs of pulls for the time in which it could not run', () => {
    const h = opened();
    const pull = h.pull({ timeoutMs: 1000 });
    h.now += 50_000;
    h.receive(pong);
    h.pass(0);
    expect(h.outcome(pull)).toBeDefined();
    const next = h.pull({ timeoutMs: 1000 });
    h.pass(999);
    expect(h.outcome(next)).toBeUndefined();
    h.pass(1);
    expect(h.code(next)).toBe('PS_PULL_TIMEOUT');
  });
});

describe('the announcement of computing', () => {
  it('is sent at once, bounded by the server, and asks when the system has taken it', () => {
    const h = opened({ maxStepMs: 5000 });
    const request = h.request({ kind: 'computing', stepMs: 600_000 });
    expect(h.effects.at(-1)).toEqual({
      kind: 'send',
      message: { t: computing, stepMs: 5000 },
      whenTaken: request,
    });
    expect(h.outcome(request)).toBeUndefined();
  });

  it('is over at once without a connection', () => {
    const h = opened();
    h.drop();
    const request = h.request({ kind: 'computing', stepMs: 1 });
    expect(h.outcome(request)).toEqual({ value: undefined });
    expect(h.sent()).toEqual([]);
  });
});

describe('closing', () => {
  it('says goodbye, then ends the connection; settles when it has ended', () => {
    const h = opened();
    const pending = [h.push(), h.pull(), h.clock('tick')];
    h.sent();
    const close = h.request({ kind: 'close', reason: 'done' });
    expect(h.sent()).toEqual([{ t: goodbye, reason: 'done' }]);
    expect(h.effects.at(-1)).toEqual({ kind: 'close', code: 1000, reason: 'done' });
    expect(pending.map((each) => h.code(each))).toEqual(['PS_OUTCOME_UNKNOWN', 'PS_CLOSED', 'PS_CLOSED']);
    expect(h.outcome(close)).toBeUndefined();
    const again = h.request({ kind: 'close', reason: 'done' });
    h.answerPush(1);
    h.drop(1000, 'done');
    expect([h.outcome(close), h.outcome(again)]).toEqual([{ value: undefined }, { value: undefined }]);
    expect(h.observed('closed')).toEqual([{ kind: 'closed', error: undefined }]);
    expect(h.core.nextTickAt()).toBe(Number.POSITIVE_INFINITY);
  });

  it('does not wait for ever', () => {
    const h = opened();
    const close = h.request({ kind: 'close', reason: '' });
    h.pass(4999);
    expect(h.outcome(close)).toBeUndefined();
    h.pass(1);
    expect(h.outcome(close)).toEqual({ value: undefined });
    expect(h.count('terminate')).toBe(1);
  });

  it('ends an attempt, and a wait between attempts', () => {
    const dialling = new Harness();
    const connect = dialling.request({ kind: 'connect' });
    dialling.request({ kind: 'close', reason: '' });
    expect(dialling.code(connect)).toBe('PS_CLOSED');
    expect(dialling.count('terminate')).toBe(1);
    const waiting = opened();
    waiting.drop();
    const close = waiting.request({ kind: 'close', reason: '' });
    expect(waiting.outcome(close)).toEqual({ value: undefined });
    waiting.pass(1e6);
    expect(waiting.connection).toBe(1);
  });

  it('with an error fails what is pending, and what comes after, with it', () => {
    const h = opened();
    const pull = h.pull();
    h.request({ kind: 'close', reason: 'aborted', error: { code: 'PS_ABORTED', message: 'stop' } });
    h.drop(1000);
    expect(h.code(pull)).toBe('PS_ABORTED');
    expect(h.code(h.pull())).toBe('PS_ABORTED');
    expect(h.outcome(h.request({ kind: 'close', reason: '' }))).toEqual({ value: undefined });
  });

  it('before anything was connected leaves nothing to do', () => {
    const h = new Harness();
    const close = h.request({ kind: 'close', reason: '' });
    expect(h.outcome(close)).toEqual({ value: undefined });
    expect(h.code(h.request({ kind: 'connect' }))).toBe('PS_CLOSED');
  });
});

describe('requests before the first connection', () => {
  it('fail: nothing is known of the model', () => {
    const h = new Harness();
    expect([h.code(h.pull()), h.code(h.push()), h.code(h.clock('tick'))]).toEqual(Array(3).fill('PS_CLOSED'));
  });
});
