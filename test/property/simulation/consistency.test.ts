/** The consistency models, without faults: workers that join, pause, finish and leave, at every pace. */
import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { compareBits } from '../../../src/testing/search/bits.js';
import { expectAllHold, guardMs } from './seeds.js';

describe('every rule holds', () => {
  it.each([
    ['ssp(0)', ssp({ staleness: 0 })],
    ['ssp(1)', ssp({ staleness: 1 })],
    ['ssp(4)', ssp({ staleness: 4 })],
    ['bsp', bsp()],
    ['bsp with a backup worker', bsp({ backupWorkers: 1 })],
    ['asp', asp()],
  ])('under %s, for fixed and for changing membership', { timeout: guardMs(280) }, (_name, consistency) => {
    // One pull and one push in each clock, and nobody comes or goes: the bound on delays is checked too.
    expectAllHold('none', 10_000, 140, { consistency, membership: 'fixed', isPlain: true });
    expectAllHold('none', 20_000, 140, { consistency, membership: 'changing' });
  });

  it('whatever the seed draws', { timeout: guardMs(400) }, () => expectAllHold('none', 30_000, 400));

  it('under bsp to the bit, on any network, at any pace, with resets and restarts', {
    timeout: guardMs(100),
  }, () => {
    const { compared, differing, failures } = compareBits({ from: 0, seeds: 100, workers: 4, clocks: 10 });
    expect(failures).toEqual([]);
    expect(differing).toEqual([]);
    // Those in which someone lost its place are left out.
    expect(compared).toBeGreaterThan(50);
  });
});
