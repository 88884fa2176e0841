/** Looks for one planted bug: how many schedules it takes until a rule is broken. */

import { FAULT_KINDS } from '../faults/faults.js';
import { compareBits } from './bits.js';
import type { ScheduleOptions } from './schedule.js';
import { search } from './search.js';

/** Runs that are compared when a bug shows only in bits: most pairs of runs differ in their order of arrival. */
const COMPARED = 60;

/** Where to look. */
export interface PlantedSearch {
  readonly seeds: number;
  /** The bug shows only in the bits of two runs. */
  readonly showsInBits: boolean;
  readonly options?: ScheduleOptions;
}

/** What was found. */
export interface PlantedResult {
  /** Schedules until it was found, the last included; undefined: it was not. */
  readonly foundAfter: number | undefined;
  /** The rule that was broken. */
  readonly rule: string;
}

/** Searches the seeds from 0. */
export function searchPlanted({ seeds, showsInBits, options }: PlantedSearch): PlantedResult {
  if (showsInBits) {
    const { differing } = compareBits({ from: 0, seeds: Math.min(seeds, COMPARED), workers: 4, clocks: 10 });
    const first = differing[0];
    return { foundAfter: first === undefined ? undefined : first + 1, rule: 'BSP gives the same bits' };
  }
  const { ran, failures } = search({ from: 0, seeds, faults: FAULT_KINDS, ...options });
  const rule = failures[0]?.violations[0]?.rule ?? '';
  return { foundAfter: failures.length === 0 ? undefined : ran, rule };
}
