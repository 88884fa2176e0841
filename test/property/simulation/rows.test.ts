/**
 * Rows of sparse tables in every push, beside the tensors: they must say what the tensors say, in every version, after
 * every recovery and in every pull, whatever goes wrong.
 */
import { describe, it } from 'vitest';
import { bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { expectAllHold, guardMs } from './seeds.js';

describe('every rule holds for rows', () => {
  it.each([
    ['ssp(1)', ssp({ staleness: 1 })],
    ['bsp', bsp()],
  ])('under %s, without faults', { timeout: guardMs(200) }, (_name, consistency) => {
    expectAllHold('none', 110_000, 60, { consistency, membership: 'fixed', isPlain: true, hasRows: true });
    expectAllHold('none', 120_000, 60, { consistency, membership: 'changing', hasRows: true });
  });

  it('while anything goes wrong', { timeout: guardMs(400) }, () => {
    expectAllHold('all', 130_000, 400, { hasRows: true });
  });

  it('while servers are killed and disks stall, fail, tear and forget', { timeout: guardMs(400) }, () => {
    expectAllHold('disk', 140_000, 400, { hasRows: true });
  });
});
