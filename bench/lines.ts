/**
 * How the driver and its child processes talk: a line of words is a command, a line of JSON its answer.
 * So a program in C can take part with scanf and printf.
 */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** Answers of unlike shape; the fields that a command promises are checked by whoever reads them. */
export type Answer = Readonly<Record<string, unknown>>;

/** Calls `onLine` for each line of `input`, and `onEnd` after the last. */
export function readLines(input: Readable, onLine: (line: string) => void, onEnd: () => void): void {
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  lines.on('line', onLine);
  lines.on('close', onEnd);
}

/** Prints an answer of a child process. */
export function answer(fields: Answer): void {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}

/** A number that an answer must hold. */
export function numberIn(fields: Answer, name: string): number {
  const value = fields[name];
  if (typeof value !== 'number') throw new Error(`no number "${name}" in ${JSON.stringify(fields)}`);
  return value;
}
