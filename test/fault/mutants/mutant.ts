/** What a planted bug is: a textual change of the sources. */
import type { ScheduleOptions } from '../../../src/testing/search/schedule.js';

/** One change of one file. */
export interface Patch {
  /** Below `src`. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** A planted bug. */
export interface Mutant {
  readonly name: string;
  /** What the code does wrong. */
  readonly bug: string;
  readonly patches: readonly Patch[];
  /** What kind of schedules it is looked for in; default: everything drawn. */
  readonly options?: ScheduleOptions;
  /** It shows only in the bits of two runs. */
  readonly showsInBits?: boolean;
}
