/**
 * The names of files in a data directory. Numbers are those of records: a journal segment is named after
 * its first record, a checkpoint after the last record that is in it.
 *
 *     journal-0000000000000001.pslog            checkpoint-0000000000000000.safetensors
 *     lock   owner   sets/                      *.tmp (unfinished)   *.corrupt (put aside)
 */

/** The parameters of the best epoch, as a checkpoint that nothing removes; see `keepBest`. */
export const BEST_NAME = 'best.safetensors';
/** What a lock keeps in the directory, if it keeps anything there. */
export const LOCK_NAME = 'lock';
/** The file that says whose the directory is. */
export const OWNER_NAME = 'owner';
/** The directory of checkpoint sets that were asked for over the wire. */
export const SETS_NAME = 'sets';
/** What else lies there and belongs there. */
const OTHERS = new Set(['lost+found', LOCK_NAME, OWNER_NAME, SETS_NAME]);
const CHECKPOINT = /^checkpoint-(\d{16})\.safetensors$/;
const SEGMENT = /^journal-(\d{16})\.pslog$/;
const LEFT_OVER = /^(checkpoint-\d{16}\.safetensors|journal-\d{16}\.pslog|owner)(\.[0-9a-f]+)?\.tmp$/;
const PUT_ASIDE = /\.corrupt\d*$/;

/** What lies in a data directory. */
export interface DirectoryContent {
  /** Positions of checkpoints, highest first. */
  readonly checkpoints: readonly number[];
  /** First records of segments, lowest first. */
  readonly segments: readonly number[];
  /** Names of files that were not finished. */
  readonly leftOver: readonly string[];
  /** Names of files that pslib put aside. */
  readonly putAside: readonly string[];
  /** Names that are not pslib's. */
  readonly foreign: readonly string[];
}

/** Path of the checkpoint at `position`. */
export function checkpointPath(directory: string, position: number): string {
  return `${directory}/checkpoint-${digits(position)}.safetensors`;
}

/** Path of the segment that begins with record `first`. */
export function segmentPath(directory: string, first: number): string {
  return `${directory}/journal-${digits(first)}.pslog`;
}

/** Sorts the names of a data directory. Hidden files and `lost+found` are passed over. */
export function contentOf(names: readonly string[]): DirectoryContent {
  const visible = names.filter(
    (name) => !name.startsWith('.') && !OTHERS.has(name) && !name.startsWith(BEST_NAME),
  );
  const numbersOf = (pattern: RegExp): number[] =>
    visible.flatMap((name) => (pattern.test(name) ? [Number(pattern.exec(name)?.[1])] : []));
  return {
    checkpoints: numbersOf(CHECKPOINT).sort((a, b) => b - a),
    segments: numbersOf(SEGMENT).sort((a, b) => a - b),
    leftOver: visible.filter((name) => LEFT_OVER.test(name)),
    putAside: visible.filter((name) => PUT_ASIDE.test(name)),
    foreign: visible.filter(
      (name) => ![CHECKPOINT, SEGMENT, LEFT_OVER, PUT_ASIDE].some((pattern) => pattern.test(name)),
    ),
  };
}

function digits(number: number): string {
  return String(number).padStart(16, '0');
}
