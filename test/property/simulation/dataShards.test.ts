/** Training on data shards, while the network and workers fail: every example counts once in every epoch. */
import { describe, it } from 'vitest';
import { expectAllHold, guardMs } from './seeds.js';

describe('every rule holds on data shards', () => {
  it('in peace, whoever comes and goes', { timeout: guardMs(500) }, () => {
    expectAllHold('none', 110_000, 500, { hasData: true });
  });

  it('on a network that delays, resets, stalls and parts', { timeout: guardMs(900) }, () => {
    expectAllHold('network', 120_000, 900, { hasData: true });
  });

  it('while workers stop, die, come back and are replaced', { timeout: guardMs(1_100) }, () => {
    expectAllHold('workers', 130_000, 1_100, { hasData: true });
  });
});
