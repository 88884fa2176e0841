/** Minimum rates: who is cut off, and who is not. */
import { describe, expect, it } from 'vitest';
import { type LinkState, LinkWatch } from '../../../src/io/server/linkWatch.js';

const LIMITS = {
  minRateBytesPerS: 1000,
  rateWindowMs: 10_000,
  pauseOutboundBytes: 100_000,
  maxOutboundBytes: 1_000_000,
};
const IDLE: LinkState = {
  bufferedBytes: 0,
  isSending: false,
  isReceiving: false,
  isComputing: false,
  isHoldingUp: false,
};

function setUp() {
  const wire = { bytesRead: 0, bytesWritten: 0 };
  return { wire, watch: new LinkWatch(wire, LIMITS) };
}

describe('LinkWatch', () => {
  it('leaves an idle connection alone for ever', () => {
    const { watch } = setUp();
    for (let now = 0; now <= 1e6; now += 5000) expect(watch.look(now, IDLE)).toBeUndefined();
  });

  it('cuts off a reader that takes less than the rate over a whole window', () => {
    const { wire, watch } = setUp();
    wire.bytesWritten = 500_000;
    const state = { ...IDLE, bufferedBytes: 500_000, isSending: true };
    expect(watch.look(0, state)).toBeUndefined();
    expect(watch.look(9_999, state)).toBeUndefined();
    expect(watch.look(10_000, { ...state, bufferedBytes: 491_000 })).toBe('reads too slowly');
  });

  it('lets a reader at the rate go on, window after window', () => {
    const { wire, watch } = setUp();
    wire.bytesWritten = 500_000;
    for (let second = 0; second <= 40; second++) {
      const state = { ...IDLE, bufferedBytes: 500_000 - second * 1000, isSending: true };
      expect(watch.look(second * 1000, state)).toBeUndefined();
    }
    const stuck = { ...IDLE, bufferedBytes: 460_000, isSending: true };
    expect(watch.look(50_000, stuck)).toBe('reads too slowly');
  });

  it('does not count the time in which nothing was under way', () => {
    const { wire, watch } = setUp();
    expect(watch.look(0, { ...IDLE, isReceiving: true })).toBeUndefined();
    expect(watch.look(1000, IDLE)).toBeUndefined();
    expect(watch.look(100_000, { ...IDLE, isReceiving: true })).toBeUndefined();
    wire.bytesRead = 9_999;
    expect(watch.look(110_000, { ...IDLE, isReceiving: true })).toBe('sends too slowly');
  });

  it('excuses a worker that computes', () => {
    const { watch } = setUp();
    const busy = { ...IDLE, isSending: true, isReceiving: true, isComputing: true };
    const state = { ...busy, bufferedBytes: 2_000_000 };
    expect(watch.look(0, state)).toBeUndefined();
    expect(watch.look(60_000, state)).toBeUndefined();
    expect(watch.look(60_000, { ...state, isComputing: false })).toBe(
      'more than 1000000 bytes wait to be read',
    );
  });
});
