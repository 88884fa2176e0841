import { describe, expect, it } from 'vitest';
import { AwakeTime } from '../../../src/core/worker/awakeTime.js';

describe('AwakeTime', () => {
  it('leaves out what lies behind the time that was asked for', () => {
    const time = new AwakeTime();
    expect(time.wakeAt(10)).toBe(10);
    expect(time.read(60)).toBe(10);
    expect(time.read(61)).toBe(10);
    expect(time.wakeAt(12)).toBe(63);
    expect(time.read(62)).toBe(11);
  });

  it('has come to the time that was asked for, whatever the rounding', () => {
    const time = new AwakeTime();
    const skipped = 23.800000000000068;
    time.wakeAt(0);
    time.read(skipped);
    const due = time.wakeAt(1000.3);
    // Computed back, it would be a little earlier: a core that is woken then would find nothing due, for ever.
    expect(due - skipped).toBeLessThan(1000.3);
    expect(time.read(due)).toBe(1000.3);
  });

  it('never runs backwards', () => {
    const time = new AwakeTime();
    let [now, last] = [0, 0];
    for (let i = 0; i < 2_000; i++) {
      const due = time.wakeAt(last + ((i * 7919) % 31) / 10);
      now = Math.max(now, i % 3 === 0 ? due + (i % 13) / 7 : due - (i % 5) / 9);
      const awake = time.read(now);
      expect(awake).toBeGreaterThanOrEqual(last);
      last = awake;
    }
  });
});
