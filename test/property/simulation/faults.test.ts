/** Faults of the network and of workers, and all kinds at once, in storms. */
import { describe, it } from 'vitest';
import { expectAllHold, guardMs } from './seeds.js';

describe('every rule holds', () => {
  it('on a network that delays, resets, stalls and parts', { timeout: guardMs(1_000) }, () => {
    expectAllHold('network', 40_000, 1_000);
  });

  it('while workers stop, die, come back and are replaced', { timeout: guardMs(1_000) }, () => {
    expectAllHold('workers', 50_000, 1_000);
  });

  it('while anything goes wrong', { timeout: guardMs(1_000) }, () => {
    expectAllHold('all', 60_000, 1_000);
  });
});
