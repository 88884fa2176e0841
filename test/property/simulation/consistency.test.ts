/** The consistency models, without faults: workers that join, pause, finish and leave, at every pace. */
import { describe, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { expectAllHold } from './seeds.js';

describe('every rule holds', () => {
  it.each([
    ['ssp(0)', ssp({ staleness: 0 })],
    ['ssp(1)', ssp({ staleness: 1 })],
    ['ssp(4)', ssp({ staleness: 4 })],
    ['bsp', bsp()],
    ['bsp with a backup worker', bsp({ backupWorkers: 1 })],
    ['asp', asp()],
  ])('under %s, for fixed and for changing membership', { timeout: 120_000 }, (_name, consistency) => {
    // One pull and one push in each clock, and nobody comes or goes: the bound on delays is checked too.
    expectAllHold('none', 10_000, 100, { consistency, membership: 'fixed', isPlain: true });
    expectAllHold('none', 20_000, 100, { consistency, membership: 'changing' });
  });

  it('whatever the seed draws', { timeout: 120_000 }, () => expectAllHold('none', 30_000, 300));
});
