import { expect, test } from 'vitest';
import { outputOf, PATIENCE_MS, start } from '../exampleProgram.js';

test(
  'epochs: a worker is killed, another one joins; every digit is in the parameters once for each epoch',
  async () => {
    const lines = await outputOf(start('examples/epochs/main.ts'));
    const epochs = lines.filter((line) =>
      /^epoch \d+\/24 {2}loss \d\.\d{3} {2}accuracy \d\.\d{3}$/.test(line),
    );
    expect(epochs).toHaveLength(24);
    expect(lines).toContain('epoch 9: worker-0 is killed');
    expect(lines).toContain('epoch 17: worker-3 joins');
    expect(lines.at(-3)).toBe(`24 epochs of 1437 digits: ${24 * 1437} examples counted`);
    expect(lines.at(-2)).toBe('every digit is in the parameters 24 times');
    // As of the demo, whose workers take as many steps and are not killed.
    expect(Number(/^accuracy (\d\.\d{3})$/.exec(lines.at(-1) ?? '')?.[1])).toBeGreaterThanOrEqual(0.95);
  },
  PATIENCE_MS,
);

test(
  'grid-search: every combination is tried, and a table shows them, best first',
  async () => {
    const lines = await outputOf(
      start('examples/grid-search/main.ts', '--workers', '2', '--steps', '30', '--seeds', '1'),
    );
    expect(
      lines.filter((line) => /^rate [\d.]+, batches of \d+, seed 1: accuracy \d\.\d{3}$/.test(line)),
    ).toHaveLength(15);
    const at = lines.findIndex((line) => line.trim().startsWith('rate '));
    const rows = lines.slice(lines.indexOf('') + 2).map((line) => line.trim().split(/ +/).map(Number));
    expect(at).toBeGreaterThanOrEqual(0);
    expect(rows).toHaveLength(15);
    expect(new Set(rows.map(([rate, batch]) => `${rate}/${batch}`)).size).toBe(15);
    const means = rows.map(([, , mean]) => mean as number);
    expect(means).toEqual([...means].sort((a, b) => b - a));
    expect(rows.every((row) => row[5] === 0)).toBe(true);
    expect(means[0]).toBeGreaterThan(0.5);
  },
  PATIENCE_MS,
);

test(
  'text: words and bigrams of the pages, counted by workers that got them from the server, are those of one process',
  async () => {
    const lines = await outputOf(start('examples/text/main.ts'));
    const [, pages = '', words = ''] =
      /^(\d+) pages, (\d+) words, \d+ different ones$/.exec(lines[0] ?? '') ?? [];
    expect(Number(pages)).toBeGreaterThan(20);
    expect(Number(words)).toBeGreaterThan(20_000);
    const read = lines.flatMap(
      (line) => /^ {2}worker-\d read (\d+) pages$/.exec(line)?.slice(1).map(Number) ?? [],
    );
    expect(read.reduce((sum, count) => sum + count, 0)).toBe(Number(pages));
    expect(lines).toContain('words and bigrams are those that one process counts');
    expect(lines.find((line) => line.startsWith('data → '))).toMatch(/shard \d+ %/);
  },
  PATIENCE_MS,
);
