import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

// examples/byzantine in small: one worker of five sends its gradients turned round and ten times as large.

it('ends the training of the mean, and of no robust aggregate', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const args = ['--import', 'tsx', 'examples/byzantine/main.ts', '--seeds', '1', '--steps', '60'];
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') };
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, env });
  const rows = [...stdout.matchAll(/^(\w+) +([\d.]+) \(.*?\) +([\d.]+) \(.*?\) +([\d.]+) \(/gm)];
  const attacked = new Map(rows.map(([, aggregate, , , accuracy]) => [aggregate, Number(accuracy)]));
  const honest = Number(rows[0]?.[2]);
  expect([...attacked.keys()]).toEqual(['mean', 'median', 'trimmedMean', 'krum']);
  expect(honest).toBeGreaterThan(0.92);
  expect(attacked.get('mean')).toBeLessThan(0.5);
  for (const aggregate of ['median', 'trimmedMean', 'krum']) {
    expect([aggregate, (attacked.get(aggregate) ?? 0) > honest - 0.08]).toEqual([aggregate, true]);
  }
});
