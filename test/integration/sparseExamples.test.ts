/** The examples with sparse tables, in a short form: each ends by itself with what it promises. */
import { expect, test } from 'vitest';
import { outputOf, start } from './exampleProgram.js';

/** A guard against hangs; each takes some seconds. */
const PATIENCE_MS = 90_000;

test(
  'online-ctr: predictions go on while the parameter server is away, and what is clicked is learned',
  async () => {
    const args = ['--seconds', '9', '--rate', '300', '--freeze', '2', '--kill', '5'];
    const lines = await outputOf(start('examples/online-ctr/main.ts', ...args));
    const seconds = lines.filter((line) => /^ +\d+ +\d+ /.test(line));
    expect(seconds).toHaveLength(9);
    expect(seconds[4]).toContain('the parameter server is killed');
    const [, predictions, failed, learned, dropped] =
      /^(\d+) predictions, (\d+) failed; learned from (\d+), dropped (\d+)$/.exec(lines.at(-2) as string) ??
      [];
    expect([predictions, failed, dropped]).toEqual(['2700', '0', '0']);
    expect(learned).toBe('2700');
    const scoreOf = (name: string): number =>
      Number(lines.find((line) => line.startsWith(name))?.match(/0\.\d+/)?.[0]);
    const [online, truth] = [scoreOf('learns from feedback'), scoreOf('the truth')];
    // It knows something by now, and nobody knows more than the truth.
    expect(online).toBeLessThan(Math.log(2));
    expect(truth).toBeLessThan(online);
  },
  PATIENCE_MS,
);

test(
  'word2vec: four workers learn from the texts that they are given as well as one process',
  async () => {
    const args = ['README.md', 'docs/protocol.md', '--epochs', '2', '--near', 'worker,xyzzy'];
    const lines = await outputOf(start('examples/word2vec/main.ts', ...args));
    expect(lines[0]).toMatch(/^2 files: \d+ words, \d+ different ones$/);
    const losses = lines.slice(1, 3).map((line) => Number(/loss (\d\.\d{3})/.exec(line)?.[1]));
    // Guessing costs 6 log 2.
    for (const loss of losses) expect(loss).toBeLessThan(6 * Math.log(2) - 0.5);
    expect(Math.abs((losses[0] as number) - (losses[1] as number))).toBeLessThan(0.4);
    expect(lines.slice(3)).toEqual([expect.stringMatching(/^worker {5}(\S+, ){5}\S+$/)]);
  },
  PATIENCE_MS,
);
