/** Values on the command line as numbers; a wrong one ends with a line that says what is expected. */
import { InvalidArgumentError } from 'commander';

/** An integer from 0. */
export function integerArgument(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be an integer from 0.');
}

/** A number of seconds above 0. */
export function secondsArgument(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds < 1e9) return seconds;
  throw new InvalidArgumentError('It must be a number above 0, in seconds.');
}

/** `1/4`: shard 1 of 4. */
export function shardArgument(text: string): { index: number; count: number } {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? [];
  if (index !== undefined && Number(index) < Number(count))
    return { index: Number(index), count: Number(count) };
  throw new InvalidArgumentError('It must be INDEX/COUNT with INDEX from 0, such as 0/2.');
}
