import { describe, expect, it } from 'vitest';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { Harness, MODEL } from './coreHarness.js';

const { hello, push, pull, tick, enter } = MessageType;

/** A worker with pushes 1–3 answered, 4 and 5 not, at clock 3. */
function trained(): { h: Harness; unanswered: number[] } {
  const h = new Harness();
  h.open();
  h.pull();
  h.answerPull(1, MODEL, { version: 1 });
  for (let seq = 1; seq <= 3; seq++) {
    h.push(seq, { tick: true });
    h.answerPush(seq, { clock: seq, version: seq });
  }
  const unanswered = [h.push(4, { tick: true }), h.push(5)];
  h.sent();
  return { h, unanswered };
}

describe('a server that lost answered pushes', () => {
  it('has its rollback told, with what was lost', () => {
    const { h, unanswered } = trained();
    h.reconnect({ committedSeq: 1, clock: 1, minClock: 0, version: 40, incarnation: 'life-2' });
    expect(h.observed('rollback').map(({ rollback }) => rollback)).toEqual([
      {
        lostPushes: 4,
        unansweredPushes: 2,
        fromSeq: 2,
        toSeq: 5,
        startedAfresh: false,
        clock: 1,
        version: 40,
      },
    ]);
    expect(unanswered.map((each) => h.code(each))).toEqual(['PS_OUTCOME_UNKNOWN', 'PS_OUTCOME_UNKNOWN']);
    expect(h.core.clock).toBe(1);
  });

  it('has lost something if it lacks but the last one', () => {
    const { h } = trained();
    h.reconnect({ committedSeq: 2 });
    expect(h.observed('rollback')[0]?.rollback).toMatchObject({ lostPushes: 3, fromSeq: 3, toSeq: 5 });
  });

  it('is pushed to from its own number and clock, without a version of before', () => {
    const { h } = trained();
    h.reconnect({ committedSeq: 1, clock: 1, incarnation: 'life-2' });
    h.push(6, { tick: true });
    expect(h.sent()).toMatchObject([
      { t: hello },
      { t: enter },
      { t: push, seq: 2, clock: 1, tick: 2, version: undefined },
    ]);
  });

  it('by a new history has lost everything, and is told so', () => {
    const { h } = trained();
    h.reconnect({ lineage: 'line-2', incarnation: 'life-2', committedSeq: 0, clock: 0 });
    expect(h.observed('rollback')[0]?.rollback).toMatchObject({
      lostPushes: 5,
      fromSeq: 1,
      toSeq: 5,
      startedAfresh: true,
    });
    expect(h.core.clock).toBe(0);
    h.sent();
    h.reconnect({ lineage: 'line-2', incarnation: 'life-2' });
    expect(h.observed('rollback')).toHaveLength(1);
  });

  it('has lost a worker whose session it does not know, even one that was never answered', () => {
    const h = new Harness();
    h.open();
    const unanswered = h.push(1, { tick: true });
    h.clock('tick');
    h.reconnect({ resumed: false });
    expect(h.code(unanswered)).toBe('PS_OUTCOME_UNKNOWN');
    expect(h.observed('rollback')[0]?.rollback).toMatchObject({ startedAfresh: false, lostPushes: 1 });
    expect(h.core.clock).toBe(0);
  });

  it('discards pushes that were never sent, too', () => {
    const { h, unanswered } = trained();
    h.drop();
    unanswered.push(h.push(6));
    h.redial();
    h.accept({ lineage: 'line-2' });
    expect(unanswered.map((each) => h.code(each))).toEqual(Array(3).fill('PS_OUTCOME_UNKNOWN'));
    expect(h.observed('rollback')[0]?.rollback).toMatchObject({ unansweredPushes: 3, toSeq: 5 });
  });

  it('has pulls and ticks asked anew from its clock', () => {
    const { h } = trained();
    const requests = [h.clock('tick'), h.pull()];
    h.sent();
    h.reconnect({ lineage: 'line-2', clock: 0 });
    expect(h.sent()).toMatchObject([
      { t: hello },
      { t: enter },
      { t: tick, clock: 1 },
      { t: pull, clock: 1 },
    ]);
    expect(requests.map((each) => h.outcome(each))).toEqual([undefined, undefined]);
  });

  it('is told to readers as well, who lose nothing of their own', () => {
    const h = new Harness({ readOnly: true });
    h.open();
    h.reconnect({ resumed: false });
    expect(h.observed('rollback')).toEqual([]);
    h.reconnect({ lineage: 'line-2', resumed: false });
    expect(h.observed('rollback')[0]?.rollback).toMatchObject({ lostPushes: 0, fromSeq: 1, toSeq: 0 });
  });
});

describe('a server that lost nothing', () => {
  it('that knows all that was answered is no rollback, whatever its life is called', () => {
    for (const committedSeq of [3, 4, 5]) {
      const { h } = trained();
      h.reconnect({ committedSeq, incarnation: 'life-2', clock: 3 });
      expect(h.observed('rollback')).toEqual([]);
      const seqs = h.sent().flatMap((each) => (each.t === push ? [each.seq] : []));
      expect(seqs).toEqual([4, 5]);
    }
  });

  it('that is met for the first time is no rollback', () => {
    const h = new Harness();
    h.open({ lineage: 'any', committedSeq: 0 });
    expect(h.observed('rollback')).toEqual([]);
  });
});
