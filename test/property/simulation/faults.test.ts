/** Faults of the network: connections that are delayed, reset, stalled and parted. */
import { describe, it } from 'vitest';
import { expectAllHold } from './seeds.js';

describe('every rule holds', () => {
  it('on a network that delays, resets, stalls and parts', { timeout: 180_000 }, () => {
    expectAllHold('network', 40_000, 300);
  });
});
