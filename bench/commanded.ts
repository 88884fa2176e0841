/** A process of a benchmark that does what its standard input says, line by line, and ends with it. */
import { answer, readLines } from './lines.js';

/** Answers each line by what `command` makes of its words. */
export function obey(command: (words: string[]) => Promise<object>): void {
  readLines(
    process.stdin,
    (line) => {
      command(line.split(' ')).then((fields) => answer({ ...fields }), fail);
    },
    () => process.exit(0),
  );
}

/** Ends the process, which its owner takes for a failed benchmark. */
export function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}
