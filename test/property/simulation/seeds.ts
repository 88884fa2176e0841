/**
 * Searches of the simulator as tests: so many schedules, each from a seed, every rule checked in every turn
 * (`src/testing/check`). Each worker adds 1 to a cell of its own and to a shared one per clock; at clock i it
 * must see every other cell at i − s at least and its own at i; at the end cells equal acknowledged pushes.
 * `PSLIB_SIM_FACTOR=10 npm run test:simulation` runs ten times as many.
 */
import { expect } from 'vitest';
import { faultKindsOf } from '../../../src/testing/faults/faults.js';
import type { ScheduleOptions } from '../../../src/testing/search/schedule.js';
import { consistencyText } from '../../../src/testing/search/scheduleText.js';
import { search } from '../../../src/testing/search/search.js';

/** How many times the usual number of schedules are run. */
const FACTOR = Number(process.env.PSLIB_SIM_FACTOR ?? 1);
/** A guard against hangs: 5 schedules a second. */
export const guardMs = (seeds: number): number => seeds * FACTOR * 200;

/** Runs `seeds` × `PSLIB_SIM_FACTOR` schedules with faults of `group`. A failure names its seed and the command that replays it. */
export function expectAllHold(
  group: string,
  from: number,
  usual: number,
  options: ScheduleOptions = {},
): void {
  const seeds = usual * FACTOR;
  const found = search({ ...options, faults: faultKindsOf(group), from, seeds });
  const broken = found.failures.map(({ schedule, violations }) => ({
    replay: `npm run sim -- --seed ${schedule.seed} --faults ${group}${flagsOf(options)}`,
    broken: violations.map(({ rule, text }) => `${rule}: ${text}`),
  }));
  expect(broken).toEqual([]);
  expect(found.ran).toBe(seeds);
  // The schedules did something: several pushes and pulls were answered in each.
  expect(found.pushes).toBeGreaterThan(seeds * 10);
  expect(found.pulls).toBeGreaterThan(seeds * 10);
}

/** The options of `npm run sim` that draw the same schedules. */
function flagsOf({
  consistency,
  membership,
  durability,
  isPlain,
  hasData,
  hasRows,
  hasCache,
}: ScheduleOptions): string {
  const given: [name: string, value: string | undefined][] = [
    ['consistency', consistency && `'${consistencyText(consistency)}'`],
    ['membership', membership],
    ['durability', durability],
  ];
  const flags = given.flatMap(([name, value]) => (value === undefined ? [] : [` --${name} ${value}`]));
  const switches = { plain: isPlain, data: hasData, rows: hasRows, cache: hasCache };
  const chosen = Object.entries(switches).flatMap(([name, isOn]) => (isOn === true ? [` --${name}`] : []));
  return flags.join('') + chosen.join('');
}
