/**
 * Searches of the simulator as tests: so many schedules, each from a seed, every rule checked in every turn
 * (`src/testing/check`). Each worker adds 1 to a cell of its own and to a shared one per clock; at clock i it
 * must see every other cell at i − s at least and its own at i; at the end cells equal acknowledged pushes.
 */
import { expect } from 'vitest';
import { faultKindsOf } from '../../../src/testing/faults/faults.js';
import type { ScheduleOptions } from '../../../src/testing/search/schedule.js';
import { search } from '../../../src/testing/search/search.js';

/** Runs `seeds` schedules with faults of `group`. A failure names its seed and the command that replays it. */
export function expectAllHold(
  group: string,
  from: number,
  seeds: number,
  options: ScheduleOptions = {},
): void {
  const found = search({ ...options, faults: faultKindsOf(group), from, seeds });
  const broken = found.failures.map(({ schedule, violations }) => ({
    replay: `npm run sim -- --seed ${schedule.seed} --faults ${group}`,
    options,
    broken: violations.map(({ rule, text }) => `${rule}: ${text}`),
  }));
  expect(broken).toEqual([]);
  expect(found.ran).toBe(seeds);
  // The schedules did something: several pushes and pulls were answered in each.
  expect(found.pushes).toBeGreaterThan(seeds * 10);
  expect(found.pulls).toBeGreaterThan(seeds * 10);
}
