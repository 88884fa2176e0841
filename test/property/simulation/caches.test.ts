/**
 * Workers with caches: whatever they use, tensors or rows, from the cache or from the server, holds the updates that the
 * staleness bound demands and all of their own, the bound being one that was in force since the server gave the last answer
 * that the worker has; and every other rule holds as without.
 */
import { describe, it } from 'vitest';
import { bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { expectAllHold, guardMs } from './seeds.js';

const CACHED = { hasRows: true, hasCache: true };

describe('every rule holds for workers with caches', () => {
  it.each([
    ['ssp(1)', ssp({ staleness: 1 })],
    ['ssp(3)', ssp({ staleness: 3 })],
    ['bsp', bsp()],
  ])('under %s, without faults', { timeout: guardMs(200) }, (_name, consistency) => {
    expectAllHold('none', 210_000, 20, { consistency, membership: 'changing', ...CACHED });
  });

  it('while the model is changed', { timeout: guardMs(250) }, () => {
    expectAllHold('none', 215_000, 50, { membership: 'changing', ...CACHED });
  });

  it('while anything goes wrong', { timeout: guardMs(400) }, () => {
    expectAllHold('all', 220_000, 100, CACHED);
  });
});
