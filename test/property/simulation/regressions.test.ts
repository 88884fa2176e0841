/**
 * Seeds that once broke a rule. What a seed means changes when the drawing of schedules does; these stay as
 * further seeds then, and the bug has a test of its own where it was one of the core.
 */
import { describe, expect, it } from 'vitest';
import { faultKindsOf } from '../../../src/testing/faults/faults.js';
import { runSchedule } from '../../../src/testing/search/checkedRun.js';
import { drawSchedule, type ScheduleOptions } from '../../../src/testing/search/schedule.js';

interface Found extends Pick<ScheduleOptions, 'durability'> {
  readonly seed: number;
  readonly faults: string;
  readonly was: string;
}

const FOUND: readonly Found[] = [
  {
    seed: 58_982,
    faults: 'workers',
    was: 'two updates in one turn, after a change of the model, taken for one',
  },
  { seed: 60_378, faults: 'all', was: 'minWorkers, and a failing disk forgot who had joined and finished' },
  { seed: 62_350, faults: 'all', was: 'a cell was used again while its push was applied' },
  { seed: 65_089, faults: 'all', was: 'the core asked to be woken at a time that, by rounding, never came' },
  { seed: 66_053, faults: 'all', was: 'the same' },
  { seed: 69_156, faults: 'all', was: 'a second reset of a connection dropped the news of the first' },
  { seed: 70_212, faults: 'all', durability: 'checkpoint', was: 'more pushes than cells after a rollback' },
  { seed: 71_653, faults: 'all', durability: 'checkpoint', was: 'minWorkers after a disk had failed' },
  {
    seed: 101_088,
    faults: 'network',
    was: 'a push made before its worker heard at which clock it had come back',
  },
  {
    seed: 1_013_232,
    faults: 'all',
    was: 'of two processes with one id the earlier took over from a server in memory that had restarted',
  },
];

describe('seeds that once broke a rule', () => {
  it.each(FOUND)('$seed: $was', ({ seed, faults, durability }) => {
    const { violations } = runSchedule(drawSchedule(seed, { faults: faultKindsOf(faults), durability }));
    expect(violations).toEqual([]);
  });
});
