import { describe, expect, it } from 'vitest';
import { PollAhead } from '../../../src/io/transport/stream/pollAhead.js';

/** An event loop by hand: `turn` runs what was asked for in the turn before. */
function loop() {
  const clock = { ms: 0 };
  const system = { preemptions: 0 };
  let due: (() => void)[] = [];
  const poll = new PollAhead(
    () => clock.ms,
    (look) => due.push(look),
    () => system.preemptions,
  );
  const turn = (): boolean => {
    const looks = due;
    due = [];
    for (const look of looks) look();
    return due.length > 0;
  };
  /** Nothing comes within the window. */
  const miss = (): void => {
    poll.begin(0);
    clock.ms += 1;
    turn();
  };
  return { clock, system, poll, turn, miss, isTurning: () => due.length > 0 };
}

describe('looking for the next message', () => {
  it('turns after a small message for a tenth of a millisecond, with one turn at a time', () => {
    const { clock, poll, turn, isTurning } = loop();
    expect(isTurning()).toBe(false);
    poll.begin(100);
    poll.begin(100);
    expect(turn()).toBe(true);
    clock.ms += 0.09;
    expect(turn()).toBe(true);
    clock.ms += 0.02;
    expect(turn()).toBe(false);
  });

  it('begins anew with each message', () => {
    const { clock, poll, turn } = loop();
    poll.begin(0);
    for (let k = 0; k < 10; k++) {
      clock.ms += 0.09;
      poll.comes(0);
      poll.begin(0);
      expect(turn()).toBe(true);
    }
  });

  it('does not turn while a large message comes or goes', () => {
    const { poll, turn, isTurning } = loop();
    poll.begin(1_000_000);
    expect(isTurning()).toBe(false);
    poll.begin(0);
    poll.comes(1_000_000);
    expect(turn()).toBe(false);
  });

  it('stops where nothing comes, and tries again after many messages, once', () => {
    const { clock, poll, turn, miss, isTurning } = loop();
    let misses = 0;
    for (; misses < 100; misses++) {
      miss();
      poll.begin(0);
      if (!isTurning()) break;
      clock.ms += 1;
      turn();
      misses++;
    }
    expect(misses).toBeLessThan(8);
    let rest = 1;
    for (; rest < 10_000 && !isTurning(); rest++) poll.begin(0);
    expect(rest).toBeGreaterThan(200);
    clock.ms += 1;
    turn();
    poll.begin(0);
    expect(isTurning()).toBe(false);
  });

  it('goes on where a message comes in most windows', () => {
    const { clock, poll, turn, miss, isTurning } = loop();
    for (let k = 0; k < 50; k++) {
      for (let hit = 0; hit < 4; hit++) {
        poll.begin(0);
        clock.ms += 0.05;
        poll.comes(0);
      }
      miss();
    }
    poll.begin(0);
    expect(isTurning()).toBe(true);
    expect(turn()).toBe(true);
  });

  it('leaves the processor to others that want it, for a long time', () => {
    const { system, poll, turn, isTurning } = loop();
    const message = (): void => {
      poll.begin(0);
      poll.comes(0);
    };
    for (let k = 0; k < 200; k++) message();
    expect(turn()).toBe(true);
    let windows = 0;
    for (; windows < 200 && isTurning(); windows++) {
      system.preemptions++;
      message();
      turn();
    }
    expect(windows).toBeLessThan(100);
    for (let k = 0; k < 1000; k++) message();
    expect(isTurning()).toBe(false);
    for (let k = 0; k < 2000; k++) message();
    expect(isTurning()).toBe(true);
  });

  it('goes on where the processor is taken away in bursts, as by V8 when it collects garbage', () => {
    const { system, poll, turn, isTurning } = loop();
    for (let burst = 0; burst < 100; burst++) {
      system.preemptions += 20;
      for (let k = 0; k < 12 * 32; k++) {
        poll.begin(0);
        poll.comes(0);
        expect(isTurning()).toBe(true);
      }
      turn();
    }
  });
});
