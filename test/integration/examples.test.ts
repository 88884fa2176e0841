/**
 * The examples as their readers run them, with `pslib` being the sources: the digits demo learns,
 * survives the death of a worker and leaves nothing behind when it is stopped; the others end by
 * themselves with what they promise.
 */
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { outputOf, PATIENCE_MS, root, start } from './exampleProgram.js';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test(
  'digits: two worker processes learn to read; the last line is the accuracy',
  async () => {
    const lines = await outputOf(start('examples/digits/main.ts', '--workers', '2', '--steps', '60'));
    expect(lines.filter((line) => line.startsWith('minClock '))).toHaveLength(10);
    expect(lines.at(-2)).toMatch(/^2 of 2 workers finished; 120 updates in \d+\.\d s$/);
    expect(lines.at(-1)).toMatch(/^accuracy [01]\.\d{3}$/);
    // Guessing reads one digit of ten.
    expect(Number(lines.at(-1)?.split(' ')[1])).toBeGreaterThan(0.6);
  },
  PATIENCE_MS,
);

test(
  'digits: without a worker that is killed the others go on; an interruption ends all processes',
  async () => {
    const demo = start('examples/digits/main.ts', '--workers', '2', '--steps', '2000');
    const errors = text(demo.stderr);
    const ended = once(demo, 'exit');
    const lines = createInterface(demo.stdout)[Symbol.asyncIterator]();
    const next = async (start: string): Promise<string> => {
      for (;;) {
        const { value, done } = await lines.next();
        if (done) throw new Error(`no line begins with "${start}": ${await errors}`);
        if (value.startsWith(start)) return value;
      }
    };
    const pids = (await next('Worker processes: ')).match(/\d+/g)?.map(Number) ?? [];
    const [victim = 0, survivor = 0] = pids;
    await next('minClock ');
    process.kill(victim, 'SIGKILL');
    const note = 'The others go on without it.';
    expect(await next('worker-0 ')).toBe(`worker-0 (process ${victim}) died: SIGKILL. ${note}`);
    expect(await next('minClock ')).toContain('slowest worker-1');
    expect(isAlive(survivor)).toBe(true);
    demo.kill('SIGINT');
    expect(await ended).toEqual([1, null]);
    expect(await errors).toBe('stopped by SIGINT\n');
    expect(pids.filter(isAlive)).toEqual([]);
  },
  PATIENCE_MS,
);

test(
  'digits: what watches it stays there when training is over, if that is asked for',
  async () => {
    const demo = start('examples/digits/main.ts', '--workers', '2', '--steps', '20', '--stay');
    const ended = once(demo, 'exit');
    const lines = createInterface(demo.stdout)[Symbol.asyncIterator]();
    let line = '';
    while (!line.startsWith('The dashboard stays open at ')) line = (await lines.next()).value;
    const page = /http:\S+/.exec(line)?.[0] ?? '';
    const metrics = await (await fetch(new URL('../metrics', page))).text();
    expect(metrics).toContain('pslib_updates_total{shard="0"} 40');
    demo.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
  },
  PATIENCE_MS,
);

test(
  'digits: the single process that the demo is compared with learns too',
  async () => {
    const lines = await outputOf(start('examples/digits/singleProcess.ts', '--seeds', '2', '--steps', '120'));
    expect(lines).toHaveLength(3);
    const [, mean] = /^mean (0\.\d{4}), .* \(2 seeds\)$/.exec(lines[2] as string) ?? [];
    expect(Number(mean)).toBeGreaterThan(0.6);
  },
  PATIENCE_MS,
);

test(
  'quickstart: 500 steps lower the loss',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pslib-quickstart-'));
    try {
      const program = await readFile(join(root, 'examples/quickstart/main.ts'), 'utf8');
      const file = join(folder, 'main.mts');
      // The program names port 8080, which may be taken here.
      await writeFile(file, program.replaceAll('8080', await freePort()));
      const lines = await outputOf(start(file));
      expect(lines).toEqual([expect.stringMatching(/^500 steps: loss \d\.\d\d to \d\.\d\d$/)]);
      const [first, last] = lines[0]?.match(/\d\.\d\d/g)?.map(Number) ?? [];
      expect(last).toBeLessThan((first as number) / 4);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
  PATIENCE_MS,
);

test(
  'tfjs: two worker processes train a model of TensorFlow.js',
  async () => {
    const lines = await outputOf(start('examples/tfjs/main.ts'));
    expect(lines.filter((line) => line.startsWith('tfjs-'))).toHaveLength(2);
    expect(lines.at(-1)).toMatch(/^accuracy 0\.\d{3}$/);
    expect(Number(lines.at(-1)?.split(' ')[1])).toBeGreaterThan(0.85);
  },
  PATIENCE_MS,
);

test(
  'embedded --once: predictions, chat and training share one port, and it ends by itself',
  async () => {
    const lines = await outputOf(start('examples/embedded/main.ts', '--once'));
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['The', 'GET', 'POST', '/chat', 'Learned']);
    // 8 minutes + 4 km × 3.5 + 6 items × 0.75
    const [, minutes] = /^POST \/predict {2}(\d+\.\d) minutes$/.exec(lines[2] as string) ?? [];
    expect(Math.abs(Number(minutes) - 26.5)).toBeLessThan(1);
    expect(lines[3]).toMatch(/Is my pizza near\?$/);
  },
  PATIENCE_MS,
);

test(
  'simulate: every model on two clusters; the staleness bound holds, and nobody waits without one',
  async () => {
    const lines = await outputOf(start('examples/simulate/main.ts', '--seconds', '4'));
    const rows = lines.filter((line) => /^(bsp|ssp|asp)/.test(line));
    expect(rows).toHaveLength(12);
    for (const row of rows) {
      const [, name, stepsPerS, waiting, lead] = /^(.{16}) +(\d+) +(\d+) % +(\d+) /.exec(row) ?? [];
      expect(Number(stepsPerS), row).toBeGreaterThan(0);
      const [, staleness] = /ssp\((\d+)\)/.exec(name as string) ?? [];
      if (staleness !== undefined) expect(Number(lead), row).toBeLessThanOrEqual(Number(staleness));
      if (name?.startsWith('asp')) expect(waiting, row).toBe('0');
    }
  },
  PATIENCE_MS,
);

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return String(typeof address === 'object' && address !== null ? address.port : 0);
}
