/** `pslib serve` as a process: model files, the environment, an end in good order, and what is wrong with a file. */
import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Worker } from '../../../src/index.js';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pslib-serve-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Process = ChildProcessByStdio<null, Readable, Readable>;

function pslib(args: readonly string[], env: Record<string, string> = {}): Process {
  return spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function write(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

/** A server that runs, its url, and a way to end it that gives back what it said and its exit code. */
async function served(
  args: readonly string[],
  env?: Record<string, string>,
): Promise<{ url: string; end: (signal: NodeJS.Signals) => Promise<[string[], unknown]> }> {
  const child = pslib(['serve', ...args], env);
  const errors = text(child.stderr);
  const ended = once(child, 'exit');
  const lines: string[] = [];
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line);
      const [found] = /ws:[^\s;]+/.exec(line) ?? [];
      if (found !== undefined) resolve(found);
    });
    void ended.then(async () => reject(new Error(`it ended: ${await errors}`)));
  });
  const end = async (signal: NodeJS.Signals): Promise<[string[], unknown]> => {
    child.kill(signal);
    const [code] = await ended;
    return [lines, code];
  };
  return { url, end };
}

/** Whether a process can be the first of a namespace here, as it is in a container. */
const mayIsolate = spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0;

test.skipIf(!mayIsolate && !process.env.CI)('as process 1 it hears SIGTERM, drains and ends', async () => {
  const file = write('first.json', JSON.stringify({ parameters: { w: { shape: [2] } } }));
  const args = [process.execPath, '--import', 'tsx', main, 'serve', file, '--port', '0'];
  const child = spawn('unshare', ['--pid', '--fork', '--mount-proc', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const ended = once(child, 'exit');
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line);
    if (!line.startsWith('serving')) return;
    const first = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8'));
    expect(readFileSync(`/proc/${first}/status`, 'utf8')).toMatch(/^NSpid:\t\d+\t1$/m);
    process.kill(first, 'SIGTERM');
  });
  expect(await ended).toEqual([0, null]);
  expect(lines.slice(1)).toEqual(['SIGTERM: draining', 'stopped at version 0']);
});

test('does not start with the token of the manifests', async () => {
  const file = write('token.json', JSON.stringify({ parameters: { w: { shape: [2] } } }));
  await expect(served([file, '--port', '0'], { PSLIB_TOKEN: 'replace-me' })).rejects.toThrow(
    /the token is "replace-me", which everyone can read: make one of your own/,
  );
});

test('serves a JSON model, keeps what was pushed, and ends in good order', async () => {
  const file = write(
    'model.json',
    JSON.stringify({
      parameters: { w: { shape: [2], init: 'ones' } },
      optimizer: { name: 'sgd', learningRate: 1 },
      consistency: { name: 'asp' },
    }),
  );
  const args = [file, '--port', '0', '--data-dir', join(folder, 'state')];
  const first = await served(args);
  const worker = new Worker(first.url, { id: 'ada' });
  await worker.push({ w: Float32Array.of(1, -1) });
  await worker.close();
  const [lines, code] = await first.end('SIGTERM');
  expect(lines).toEqual([
    expect.stringMatching(/^serving 1 parameter at ws:\S+; state in \S+state, version 0$/),
    'worker ada joined, epoch 1',
    'ada left: goodbye',
    'SIGTERM: draining',
    'stopped at version 1',
  ]);
  expect(code).toBe(0);
  const second = await served(args);
  const reader = new Worker(second.url, { readOnly: true });
  expect((await reader.pull()).tensors.w?.data).toEqual(Float32Array.of(0, 2));
  await reader.close();
  const [[again], codeAgain] = await second.end('SIGINT');
  expect(again).toMatch(/version 1$/);
  expect(codeAgain).toBe(0);
});

/** A model whose first update breaks what the server writes with. */
function breaking(calls: readonly string[], durability: string): string {
  return write(
    `${calls[0]}.mjs`,
    `import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    const fail = (...args) => setImmediate(args.at(-1), Object.assign(new Error('broken'), { code: 'EIO' }));
    const apply = () => {
      for (const call of ${JSON.stringify(calls)}) fs[call] = fail;
      syncBuiltinESMExports();
    };
    export default {
      parameters: { w: { shape: [2] } },
      optimizer: { name: 'mine', slots: [], apply },
      dataDir: ${JSON.stringify(join(folder, calls[0] as string))},
      durability: '${durability}',
    };`,
  );
}

test('ends with a code when it has failed for good, so that it can be started again', async () => {
  const child = pslib(['serve', breaking(['write', 'writev', 'fdatasync'], 'journal'), '--port', '0']);
  const ended = once(child, 'exit');
  const errors = text(child.stderr);
  const [serving] = (await once(createInterface(child.stdout), 'line')) as [string];
  const worker = new Worker(/ws:[^\s;]+/.exec(serving)?.[0] as string, { id: 'ada' });
  const push = worker.push({ w: Float32Array.of(1, -1) }).catch(() => {});
  expect(await ended).toEqual([1, null]);
  expect(await errors).toMatch(
    /^error: PS_STORAGE the journal can no longer be written.*\nerror: it can not go on/,
  );
  await worker.close();
  await push;
});

test('closes, and ends with a code, when it can not drain', async () => {
  const child = pslib(['serve', breaking(['rename'], 'checkpoint'), '--port', '0']);
  const ended = once(child, 'exit');
  const errors = text(child.stderr);
  const [serving] = (await once(createInterface(child.stdout), 'line')) as [string];
  const worker = new Worker(/ws:[^\s;]+/.exec(serving)?.[0] as string);
  await worker.push({ w: Float32Array.of(1, -1) });
  await worker.close();
  child.kill('SIGTERM');
  expect(await ended).toEqual([1, null]);
  expect(await errors).toMatch(/^error: it could not drain: a checkpoint could not be written/);
  expect(await errors).toMatch(/error: it could not close in good order/);
});

test('serves the default export of a module, as the shard that the environment says', async () => {
  const file = write(
    'options.mjs',
    `export default {
      parameters: { w: { shape: [4], init: (i) => i } },
      optimizer: { name: 'mine', slots: [], apply() {} },
    };`,
  );
  // Nobody listens there yet; the file says nothing of where.
  const env = {
    ...{ PSLIB_ROLE: 'server', PSLIB_RANK: '1', PSLIB_WORLD_SIZE: '2' },
    PSLIB_SERVERS: 'ws://127.0.0.1:1,ws://127.0.0.1:2',
  };
  const { url, end } = await served([file, '--port', '0'], env);
  expect(new URL(url).port).not.toBe('2');
  const [[line], code] = await end('SIGTERM');
  expect(line).toMatch(/; shard 1 of 2; in memory$/);
  expect(code).toBe(0);
});

test('lets who has the token in PSLIB_MONITOR_TOKEN watch, and nothing else', async () => {
  const file = write('monitor.json', '{ "parameters": { "w": { "shape": [1] } } }');
  const env = { PSLIB_TOKEN: 'open-sesame', PSLIB_MONITOR_TOKEN: 'peep' };
  const { url, end } = await served([file, '--port', '0'], env);
  await expect(new Worker(url, { token: 'peep' }).connect()).rejects.toMatchObject({ code: 'PS_FORBIDDEN' });
  const metrics = await fetch(new URL('/metrics', url.replace(/^ws/, 'http')), {
    headers: { authorization: 'Bearer peep' },
  });
  expect(metrics.status).toBe(200);
  expect((await end('SIGTERM'))[1]).toBe(0);
});

test('asks for the token in PSLIB_TOKEN', async () => {
  const file = write('token.json', '{ "parameters": { "w": { "shape": [1] } } }');
  const { url, end } = await served([file, '--port', '0'], { PSLIB_TOKEN: 'open-sesame' });
  await expect(new Worker(url).connect()).rejects.toMatchObject({ code: 'PS_UNAUTHORIZED' });
  const worker = new Worker(url, { token: 'open-sesame' });
  await worker.connect();
  await worker.close();
  const [lines, code] = await end('SIGTERM');
  expect(lines.join()).not.toContain('sesame');
  expect(code).toBe(0);
});

test.each<[string, string, readonly string[], RegExp]>([
  ['none.json', '', [], /none\.json can't be read: ENOENT/],
  ['text.json', 'hello', [], /text\.json is no JSON: /],
  ['list.json', '[]', [], /must hold an object of options, holds \[\]/],
  ['option.json', '{ "parameter": {} }', [], /parameter must be a known option/],
  [
    'optimizer.json',
    '{ "parameters": { "w": { "shape": [1] } }, "optimizer": { "name": "adm" } }',
    [],
    /optimizer/,
  ],
  ['server.json', '{ "server": {} }', [], /may not have the option server/],
  ['empty.mjs', 'export const options = {};', [], /empty\.mjs has no default export/],
  ['broken.mjs', 'export default {', [], /broken\.mjs can't be imported: /],
  [
    'host.json',
    '{ "parameters": { "w": { "shape": [1] } } }',
    ['--host', '0.0.0.0'],
    /host must be an address of this/,
  ],
  ['shard.json', '{}', ['--shard', '2/2'], /'2\/2' is invalid. It must be INDEX\/COUNT/],
])('refuses %s', async (name, content, args, message) => {
  const file = content === '' ? join(folder, name) : write(name, content);
  const child = pslib(['serve', file, '--port', '0', ...args]);
  const [errors, [code]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect(errors).toMatch(message);
  expect(errors.trimEnd().split('\n')).toHaveLength(1);
  expect(code).not.toBe(0);
});
