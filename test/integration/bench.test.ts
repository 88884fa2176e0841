/** The benchmark harness works: processes, checks, the JSON document. No figure is asserted. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';

const run = promisify(execFile);
const short = [
  '--quick',
  '--sources',
  '--workers',
  '1',
  '--seconds',
  '0.05',
  '--repetitions',
  '1',
  '--pin',
  'never',
];
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pslib-bench-'));
});

afterAll(() => rm(dir, { recursive: true, force: true }));

async function bench(...words: string[]): Promise<{ machine: object; versions: object; rows: BenchRow[] }> {
  const json = join(dir, 'report.json');
  await run(process.execPath, ['--import', 'tsx', 'bench/main.ts', ...words, ...short, '--json', json]);
  return JSON.parse(await readFile(json, 'utf8'));
}

interface BenchRow {
  readonly suite: string;
  readonly subject: string;
  readonly value: { readonly median: number; readonly samples: number[] };
  readonly ratio?: { readonly median: number };
  readonly more: Record<string, number>;
  readonly isChecked: boolean;
}

test('a round of 4 KB is measured, its result is checked, and the report says on what', async () => {
  const report = await bench('round', '--sizes', '4KB', '--peers', 'pslib');
  expect(report).toMatchObject({
    date: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    commit: expect.any(String),
    machine: { cpu: expect.any(String), cores: expect.any(Number), memoryMiB: expect.any(Number) },
    versions: { node: process.version, ws: expect.any(String), pslib: expect.any(String) },
    settings: { repetitions: 1 },
  });
  expect(report.rows.map(({ subject }) => subject)).toEqual(['pslib']);
  for (const row of report.rows) {
    expect(row).toMatchObject({ suite: 'round', isChecked: true });
    expect(row.value.samples).toHaveLength(1);
    expect(row.value.median).toBeGreaterThan(0);
    expect(row.more['p99 ms']).toBeGreaterThanOrEqual(row.more['p50 ms'] as number);
  }
});

test('a size that is none is refused', async () => {
  await expect(bench('round', '--sizes', '4')).rejects.toThrow('--sizes has 4');
});
