import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT } from './markdown.js';
import { allPrograms, complaintsAbout } from './programs.js';

// The programs of our pages are programs: all compile, and those that are whole print what the page says.

const programs = allPrograms();

describe('every block of TypeScript compiles', () => {
  let complaints: Map<string, string[]>;
  beforeAll(() => {
    complaints = complaintsAbout(programs);
  }, 120_000);

  test('there are some', () => {
    expect(programs.length).toBeGreaterThan(10);
  });

  test.each(programs)('$name', ({ name }) => {
    expect(complaints.get(name)).toEqual([]);
  });
});

describe('whole programs print what the page says', () => {
  const whole = programs.filter(({ output }) => output !== undefined);

  test.each(whole)('$name', async ({ text, output }) => {
    const folder = await mkdtemp(join(tmpdir(), 'pslib-docs-'));
    try {
      const file = join(folder, 'program.mts');
      // A page may name a port that is taken here.
      await writeFile(file, text.replaceAll('8080', await freePort()));
      expect(await run(file)).toBe(output);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  /** What the program in `file` prints, with `pslib` being the sources. */
  async function run(file: string): Promise<string> {
    const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json'), NO_COLOR: '1' };
    const args = ['--import', 'tsx', file];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: ROOT, env });
    expect(stderr).toBe('');
    return stdout;
  }

  async function freePort(): Promise<string> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    server.close();
    await once(server, 'close');
    return String(typeof address === 'object' && address !== null ? address.port : 0);
  }
});
