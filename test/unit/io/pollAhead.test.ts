import { describe, expect, it } from 'vitest';
import { PollAhead } from '../../../src/io/transport/stream/pollAhead.js';
import { processorWait } from '../../../src/io/transport/stream/processorWait.js';

const LARGE = 2 ** 20;

/** An event loop by hand: `turn` runs what was asked for in the turn before. */
function loop() {
  const clock = { ms: 0 };
  const system = { waited: 0 };
  let due: (() => void)[] = [];
  const poll = new PollAhead(
    () => clock.ms,
    (look) => due.push(look),
    () => system.waited,
  );
  const turn = (): boolean => {
    const looks = due;
    due = [];
    for (const look of looks) look();
    return due.length > 0;
  };
  /** Nothing comes within the window. */
  const miss = (): void => {
    poll.came(0);
    clock.ms += 1;
    turn();
  };
  /** A message that the loop sees `afterMs` later. */
  const message = (afterMs: number): void => {
    clock.ms += afterMs;
    poll.comes(0);
    poll.came(0);
  };
  return { clock, system, poll, turn, miss, message, isTurning: () => due.length > 0 };
}

describe('looking for the next message', () => {
  it('turns after a small message for a fifth of a millisecond, with one turn at a time', () => {
    const { clock, poll, turn, isTurning } = loop();
    expect(isTurning()).toBe(false);
    poll.came(100);
    poll.sent(100);
    expect(turn()).toBe(true);
    clock.ms += 0.19;
    expect(turn()).toBe(true);
    clock.ms += 0.02;
    expect(turn()).toBe(false);
  });

  it('begins anew with each message', () => {
    const { message, turn } = loop();
    for (let k = 0; k < 10; k++) {
      message(0.19);
      expect(turn()).toBe(true);
    }
  });

  it('gives the other end time for a large message, and the message time to come', () => {
    const { clock, poll, turn } = loop();
    poll.sent(LARGE);
    clock.ms += 0.9;
    expect(turn()).toBe(true);
    poll.comes(LARGE);
    clock.ms += 0.9;
    expect(turn()).toBe(true);
    clock.ms += 0.2;
    expect(turn()).toBe(false);
  });

  it('does not turn while large messages follow each other the same way', () => {
    const { poll, turn } = loop();
    poll.came(LARGE);
    expect(turn()).toBe(true);
    poll.comes(LARGE);
    expect(turn()).toBe(false);
    poll.came(LARGE);
    expect(turn()).toBe(false);
    poll.sent(LARGE);
    expect(turn()).toBe(true);
    poll.sent(LARGE);
    expect(turn()).toBe(false);
    poll.came(0);
    expect(turn()).toBe(true);
  });

  it('stops where nothing comes, and tries again after many messages, once', () => {
    const { clock, poll, turn, miss, isTurning } = loop();
    let misses = 0;
    for (; misses < 100; misses++) {
      miss();
      poll.came(0);
      if (!isTurning()) break;
      clock.ms += 1;
      turn();
      misses++;
    }
    expect(misses).toBeLessThan(8);
    let rest = 1;
    for (; rest < 10_000 && !isTurning(); rest++) poll.came(0);
    expect(rest).toBeGreaterThan(200);
    clock.ms += 1;
    turn();
    poll.came(0);
    expect(isTurning()).toBe(false);
  });

  it('goes on where a message comes in most windows', () => {
    const { message, poll, turn, miss, isTurning } = loop();
    for (let k = 0; k < 50; k++) {
      poll.came(0);
      for (let hit = 0; hit < 4; hit++) message(0.05);
      miss();
    }
    poll.came(0);
    expect(isTurning()).toBe(true);
    expect(turn()).toBe(true);
  });

  it('leaves the processor to others that want it, for a long time', () => {
    const { system, message, turn, isTurning } = loop();
    for (let k = 0; k < 2000; k++) message(0.05);
    expect(turn()).toBe(true);
    let messages = 0;
    for (; messages < 2000 && isTurning(); messages++) {
      system.waited += 0.03;
      message(0.05);
      turn();
    }
    expect(messages).toBeLessThan(1000);
    for (let k = 0; k < 1000; k++) message(0.05);
    expect(isTurning()).toBe(false);
    for (let k = 0; k < 2000; k++) message(0.05);
    expect(isTurning()).toBe(true);
  });

  it('tries ever less often where others always want it', () => {
    const { system, message, turn, isTurning } = loop();
    const rests: number[] = [];
    for (let k = 0, rest = 0; k < 500_000; k++) {
      system.waited += 0.03;
      message(0.05);
      turn();
      if (!isTurning()) rest++;
      else if (rest > 0) {
        rests.push(rest);
        rest = 0;
      }
    }
    expect(rests.length).toBeLessThan(40);
    expect(rests[0]).toBeLessThan(3000);
    expect(rests.at(-1)).toBeGreaterThan(15_000);
  });

  it('tries as soon as at first once it was let alone', () => {
    const { system, message, turn, isTurning } = loop();
    const restAfter = (): number => {
      for (let k = 0; k < 100_000 && isTurning(); k++) {
        system.waited += 0.03;
        message(0.05);
        turn();
      }
      let rest = 0;
      for (; rest < 100_000 && !isTurning(); rest++) message(0.05);
      return rest;
    };
    message(0.05);
    const [first, second] = [restAfter(), restAfter()];
    expect(second).toBeGreaterThan(1.5 * first);
    for (let k = 0; k < 2000; k++) {
      message(0.05);
      turn();
    }
    expect(restAfter()).toBe(first);
  });

  it('goes on where others take the processor a little, as V8 does when it collects garbage', () => {
    const { system, message, turn } = loop();
    for (let k = 0; k < 20_000; k++) {
      if (k % 200 === 0) system.waited += 1;
      message(0.05);
      expect(turn()).toBe(true);
    }
  });

  it('does not hold a rest against the time after it', () => {
    const { system, message, miss, isTurning } = loop();
    for (let k = 0; k < 10; k++) miss();
    expect(isTurning()).toBe(false);
    system.waited += 10_000;
    for (let k = 0; k < 256; k++) message(0.05);
    expect(isTurning()).toBe(true);
    for (let k = 0; k < 1000; k++) message(0.05);
    expect(isTurning()).toBe(true);
  });
});

describe('what this thread has waited for a processor', () => {
  it('is a time', () => {
    expect(Number.isFinite(processorWait())).toBe(true);
  });
});
