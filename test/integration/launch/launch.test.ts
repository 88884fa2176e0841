/**
 * `launch` and `pslib launch` with real processes: what they are told, what becomes of those that die, of
 * signals, of output, and of what they have started themselves.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type LaunchOptions, launch } from '../../../src/index.js';

const main = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url));
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A program in a line of JavaScript. */
const program = (code: string): string[] => [process.execPath, '-e', code];

interface Ran {
  readonly exitCode: number;
  /** `name: text`, in the order of each process. */
  readonly lines: string[];
  readonly exits: string[];
}

async function run(options: LaunchOptions): Promise<Ran> {
  const job = launch(options);
  const lines: string[] = [];
  const exits: string[] = [];
  job.on('line', ({ name, text }) => lines.push(`${name}: ${text}`));
  job.on('exit', ({ name, code, signal, restartInMs }) => {
    exits.push(`${name} ${signal ?? code}${restartInMs === undefined ? '' : ' again'}`);
  });
  const { exitCode } = await job.ended;
  return { exitCode, lines, exits };
}

function pslib(...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, ['--import', 'tsx', main, ...args], {
    cwd: root,
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function ran(child: ReturnType<typeof pslib>): Promise<{ code: unknown; out: string; err: string }> {
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, out, err };
}

/** Whether a process runs; one that has ended and that nobody has waited for does not. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('launch', () => {
  test('tells every process its place, and that of the servers', async () => {
    const names = ['ROLE', 'RANK', 'WORLD_SIZE', 'WORKER_COUNT', 'SERVERS', 'RESTARTS'];
    // The job is over when the workers are: they wait until every server has said its line, and listens.
    const code = `console.log(${JSON.stringify(names)}.map((name) => process.env['PSLIB_' + name]).join(' '));
      const { PSLIB_ROLE, PSLIB_RANK, PSLIB_SERVERS } = process.env;
      const ports = PSLIB_SERVERS.split(',').map((url) => Number(new URL(url).port));
      import('node:net').then(({ connect, createServer }) => {
        if (PSLIB_ROLE === 'server') createServer((socket) => socket.destroy()).listen(ports[PSLIB_RANK], '127.0.0.1');
        else for (const port of ports) {
          const reach = () => {
            const socket = connect(port, '127.0.0.1', () => socket.destroy());
            socket.on('error', () => setTimeout(reach, 20));
          };
          reach();
        }
      });`;
    const { exitCode, lines } = await run({ command: program(code), servers: 2, workers: 3 });
    expect(exitCode).toBe(0);
    const [, urls = ''] = /(ws:\S+)/.exec(lines[0] ?? '') ?? [];
    expect(urls).toMatch(/^ws:\/\/127\.0\.0\.1:\d+,ws:\/\/127\.0\.0\.1:\d+$/);
    expect(lines.sort()).toEqual([
      `server-0: server 0 2 3 ${urls} 0`,
      `server-1: server 1 2 3 ${urls} 0`,
      ...[0, 1, 2].map((rank) => `worker-${rank}: worker ${rank} 3 3 ${urls} 0`),
    ]);
  });

  test('starts again what dies, within bounds; the exit code is the worst of the last ones', async () => {
    const code = `const { PSLIB_RANK, PSLIB_RESTARTS } = process.env;
      if (PSLIB_RANK === '0') process.exit(PSLIB_RESTARTS === '2' ? 0 : 9);
      if (PSLIB_RANK === '1') process.exit(5);
      if (PSLIB_RANK === '2') process.kill(process.pid, 'SIGKILL');`;
    const restart = { retries: 2, minDelayMs: 1 };
    const connect = ['ws://127.0.0.1:1'];
    const { exitCode, exits } = await run({
      command: program(code),
      ...{ servers: 0, workers: 3, connect, restart },
    });
    expect(exitCode).toBe(128 + 9);
    expect(exits.sort()).toEqual([
      ...['worker-0 0', 'worker-0 9 again', 'worker-0 9 again'],
      ...['worker-1 5', 'worker-1 5 again', 'worker-1 5 again'],
      ...['worker-2 SIGKILL', 'worker-2 SIGKILL again', 'worker-2 SIGKILL again'],
    ]);
  });

  test('leaves nothing behind: what a process has started ends with it', async () => {
    const grandchild = `require('child_process').spawn(process.execPath,
      ['-e', 'console.log(process.pid); setInterval(() => {}, 1000)'], { stdio: 'inherit' });`;
    const job = launch({
      command: program(`${grandchild} setInterval(() => {}, 1000)`),
      servers: 0,
      connect: ['ws://h'],
    });
    const [{ text: pid }] = (await once(job as never, 'line')) as [{ text: string }];
    expect(isAlive(Number(pid))).toBe(true);
    await job[Symbol.asyncDispose]();
    expect((await job.ended).exitCode).toBe(143);
    await expect.poll(() => isAlive(Number(pid))).toBe(false);
  });

  test('ends with what it was told when its signal is aborted, also before it has begun', async () => {
    const aborted = await run({
      command: program('setInterval(() => {}, 1000)'),
      signal: AbortSignal.abort(),
    });
    expect(aborted).toEqual({ exitCode: 143, lines: [], exits: [] });
  });

  test('kills who does not end in time', async () => {
    const code = "process.on('SIGTERM', () => {}); console.log('deaf'); setInterval(() => {}, 1000)";
    const job = launch({ command: program(code), servers: 0, connect: ['ws://h'], stopTimeoutMs: 50 });
    job.once('line', () => job.stop());
    const exits: unknown[] = [];
    job.on('exit', ({ signal, isExpected }) => exits.push({ signal, isExpected }));
    expect((await job.ended).exitCode).toBe(143);
    expect(exits).toEqual([{ signal: 'SIGKILL', isExpected: false }]);
  });

  test('says what could not be started', async () => {
    const job = launch({ command: ['no-such-program'], servers: 0, connect: ['ws://h'] });
    const [exit] = (await once(job as never, 'exit')) as [{ failure: string; restartInMs: unknown }];
    expect(exit).toMatchObject({ failure: '"no-such-program" was not found', restartInMs: undefined });
    expect((await job.ended).exitCode).toBe(127);
  });

  test('takes ports that are free, below those of outgoing connections', async () => {
    const code = `const [, port] = /:(\\d+)$/.exec(process.env.PSLIB_SERVERS);
      require('net').createServer((socket) => { socket.destroy(); process.exit(); }).listen(port, '127.0.0.1', () => console.log(port));`;
    const job = launch({ command: program(code), workers: 0 });
    const [{ text: port }] = (await once(job as never, 'line')) as [{ text: string }];
    expect(Number(port)).toBeGreaterThanOrEqual(20_000);
    expect(Number(port)).toBeLessThan(32_768);
    connect(Number(port), '127.0.0.1').on('error', () => {});
    expect((await job.ended).exitCode).toBe(0);
  });

  test.each<[string, object]>([
    ['options.server', { command: ['x'], server: 2 }],
    ['command', { command: 'node train.js' }],
    ['command', { command: [] }],
    ['servers', { command: ['x'], servers: -1 }],
    ['workers', { command: ['x'], workers: 1.5 }],
    ['workers', { command: ['x'], workers: 5000 }],
    ['workers', { command: ['x'], workers: 0, servers: 0, connect: ['ws://h'] }],
    ['connect', { command: ['x'], servers: 0 }],
    ['connect', { command: ['x'], connect: ['ws://h'] }],
    ['connect', { command: ['x'], servers: 0, connect: ['http://h'] }],
    ['port', { command: ['x'], port: 70_000 }],
    ['restart.retries', { command: ['x'], restart: { retries: -1 } }],
    ['restart.tries', { command: ['x'], restart: { tries: 1 } }],
    ['stopTimeoutMs', { command: ['x'], stopTimeoutMs: 0 }],
  ])('refuses a wrong %s', (option, options) => {
    const refused = expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' });
    expect(() => launch(options as LaunchOptions)).toThrow(refused);
    expect(() => launch(options as LaunchOptions)).toThrow(option.split('.').at(-1));
  });
});

describe('pslib launch', () => {
  test('puts a name before every line, says what happens, and ends with the worst exit code', async () => {
    const code = `console.log('out'); console.error('err'); process.exit(process.env.PSLIB_RANK === '1' ? 4 : 0)`;
    const job = pslib(
      'launch',
      '--workers',
      '2',
      '--connect',
      'ws://h:1',
      '--restarts',
      '0',
      '--',
      ...program(code),
    );
    const { code: exitCode, out, err } = await ran(job);
    expect(exitCode).toBe(4);
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toBe('pslib    | 0 servers, 2 workers; servers at ws://h:1');
    expect(lines.filter((line) => line.endsWith('| out')).sort()).toEqual([
      'worker-0 | out',
      'worker-1 | out',
    ]);
    expect(err.trimEnd().split('\n').sort()).toEqual(['worker-0 | err', 'worker-1 | err']);
    expect(lines).toContain('pslib    | worker-0 has ended');
    expect(lines).toContain('pslib    | worker-1 died (exit code 4) and is not started again');
    expect(lines.at(-1)).toMatch(/^pslib {4}\| ended with exit code 4; worker-1 4; \d+ s$/);
  });

  test('passes an interruption on, to workers first and then to servers, and ends with 130', async () => {
    const code = `const { PSLIB_ROLE } = process.env;
      for (const name of ['SIGINT', 'SIGTERM'])
        process.once(name, () => { console.log(name); setTimeout(() => process.exit(), 50); });
      setInterval(() => {}, 1000);
      console.log('ready');`;
    const job = pslib('launch', '--', ...program(code));
    const lines: string[] = [];
    let ready = 0;
    createInterface(job.stdout).on('line', (line) => {
      lines.push(line);
      if (line.endsWith('| ready') && ++ready === 2) job.kill('SIGINT');
    });
    expect(await once(job, 'exit')).toEqual([130, null]);
    expect(lines.slice(3, -1)).toEqual([
      'pslib    | stopping: SIGINT was received',
      'worker-0 | SIGINT',
      'pslib    | worker-0 has ended',
      'server-0 | SIGTERM',
      'pslib    | server-0 has ended',
    ]);
  });

  test('ends the job when nobody reads its output any more', async () => {
    const code = 'setInterval(() => console.log(process.pid), 5)';
    const job = pslib('launch', '--', ...program(code));
    const pids = new Set<number>();
    await new Promise<void>((resolve) => {
      createInterface(job.stdout).on('line', (line) => {
        const [, pid] = /\d \| (\d+)$/.exec(line) ?? [];
        if (pid !== undefined && pids.add(Number(pid)).size === 2) resolve();
      });
    });
    job.stdout.destroy();
    expect(await once(job, 'exit')).toEqual([143, null]);
    expect([...pids].filter(isAlive)).toEqual([]);
  });

  test.each([
    [['launch'], /missing required argument 'command'/],
    [['launch', '--workers', 'many', '--', 'x'], /'many' is invalid. It must be an integer from 0/],
    [
      ['launch', '--workers', '0', '--servers', '0', '--', 'x'],
      /workers must be above 0.*\(PS_INVALID_ARGUMENT\)/,
    ],
  ])('%j says what is wrong', async (args, message) => {
    const { code, err } = await ran(pslib(...args));
    expect(code).not.toBe(0);
    expect(err).toMatch(message);
  });

  test('trains: one script is the server and all workers', async () => {
    const train = ['node', '--import', 'tsx', 'examples/launch/train.ts'];
    const job = spawn(
      process.execPath,
      ['--import', 'tsx', main, 'launch', '--workers', '2', '--', ...train],
      {
        cwd: root,
        env: { ...process.env, DIGITS_STEPS: '60', TSX_TSCONFIG_PATH: `${root}/tsconfig.json` },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const { code, out, err } = await ran(job);
    expect(code, out + err).toBe(0);
    expect(out).toMatch(/^worker-0 \| worker 0 took 60 steps/m);
    expect(out).toMatch(/^worker-1 \| worker 1 took 60 steps/m);
    const [, accuracy] = /^server-0 \| accuracy (0\.\d{3}) /m.exec(out) ?? [];
    expect(Number(accuracy)).toBeGreaterThan(0.6);
  });
});
