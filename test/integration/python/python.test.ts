/**
 * The worker in Python of examples/python, which was written from docs/protocol.md alone, beside workers in
 * Node. Debian's python3 with websockets, msgpack and numpy is needed; in CI it must be there.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { loadDigits, partOf, splitDigits } from '../../../examples/digits/data.js';
import { Random } from '../../../src/core/base/random.js';
import { ParameterServer, sgd, Worker } from '../../../src/index.js';
import { gradientsOf, PARAMETERS, WORKERS } from '../../fault/processes/cells.js';
import { FaultyProxy } from '../../fault/processes/proxy.js';

const PYTHON = '/usr/bin/python3';
const root = join(import.meta.dirname, '../../..');
const ends: (() => Promise<unknown> | unknown)[] = [];

function isThere(): boolean {
  try {
    execFileSync(PYTHON, ['-c', 'import websockets, msgpack, numpy'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn('skipped: /usr/bin/python3 with websockets, msgpack and numpy is not there');
    return false;
  }
}

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A server that ends with the test. */
async function serve<S extends ConstructorParameters<typeof ParameterServer>[0]>(options: S) {
  const server = new ParameterServer({ port: 0, ...options });
  ends.push(() => server.close());
  await server.listen();
  return server;
}

function python(file: string, ...args: string[]) {
  const child = spawn(PYTHON, [join(import.meta.dirname, file), ...args], { stdio: 'pipe' });
  ends.push(() => child.exitCode ?? child.kill('SIGKILL'));
  return child;
}

/** What `child` prints until it ends, which must be in success. */
async function outputOf(child: ReturnType<typeof python>): Promise<string> {
  const exit = once(child as ChildProcess, 'exit');
  const [out, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exit]);
  expect(code, out + errors).toBe(0);
  return out.trim();
}

describe.skipIf(!isThere())('a worker in Python', () => {
  test('trains the digits with workers in Node', async () => {
    const program = ['--import', 'tsx', 'examples/python/main.ts', '--steps', '100'];
    // Unbuffered, Python writes a line in pieces.
    const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'), PYTHONUNBUFFERED: '1' };
    const { stdout } = await promisify(execFile)(process.execPath, program, { cwd: root, env });
    const lines = stdout.trim().split('\n');
    expect(
      lines.filter((line) => /^python-[23]: 100 steps with 359 digits/.test(line)),
      stdout,
    ).toHaveLength(2);
    expect(lines.at(-2)).toBe('400 updates');
    expect(Number(lines.at(-1)?.replace('accuracy ', ''))).toBeGreaterThan(0.85);
  });

  test('trains with the same digits as worker `rank` in Node would', async () => {
    const code = 'import digits; x, y = digits.training_part(2, 4); print(y.tolist(), float(x.sum()))';
    const { stdout } = await promisify(execFile)(PYTHON, ['-c', code], {
      cwd: join(root, 'examples/python'),
    });
    const { images, labels } = partOf(splitDigits(loadDigits()).training, 2, 4);
    const sum = images.data.reduce((total, pixel) => total + pixel, 0);
    expect(stdout.trim()).toBe(`[${[...labels].join(', ')}] ${sum.toFixed(4).replace(/0+$/, '')}`);
  });

  test('loses and doubles no push in a network that resets, stalls and slices', async () => {
    const limits = { chunkBytes: 1024, leaseMs: 1000, pingMs: 250 };
    const server = await serve({ parameters: PARAMETERS, optimizer: sgd({ learningRate: 1 }), limits });
    const proxy = new FaultyProxy(server.address()?.port as number, new Random(7));
    ends.push(() => proxy.close());
    const url = `ws://127.0.0.1:${await proxy.listen()}/`;
    const steps = 30;
    const inPython = [2, 3].map((rank) => outputOf(python('cells.py', url, `${rank}`, `${steps}`)));
    const inNode = [0, 1].map(async (rank) => {
      const worker = new Worker(url, { id: `w${rank}`, reconnect: { minDelayMs: 5, maxDelayMs: 50 } });
      ends.push(() => worker.close());
      return (await worker.run(() => ({ gradients: gradientsOf(rank) }), { steps })).steps;
    });
    expect(await Promise.all(inPython)).toEqual([`${steps}`, `${steps}`]);
    expect(await Promise.all(inNode)).toEqual([steps, steps]);
    expect(proxy.resets).toBeGreaterThan(WORKERS);
    const { version, tensors } = await server.parameters();
    expect([...(tensors.own?.data ?? [])]).toEqual(Array(WORKERS).fill(steps));
    expect(tensors.shared?.data[0]).toBe(WORKERS * steps);
    expect(new Set(tensors.padding?.data)).toEqual(new Set([WORKERS * steps]));
    expect(version).toBe(WORKERS * steps);
  });

  test('is told what is refused, goes on with the next number, and sees that a server lost its state', async () => {
    const options = { parameters: { w: { shape: [2] } }, optimizer: sgd({ learningRate: 1 }) } as const;
    const server = await serve(options);
    const port = server.address()?.port as number;
    const child = python('talk.py', server.url);
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const tell = async (word: string): Promise<unknown> => {
      child.stdin.write(`${word}\n`);
      return (await lines.next()).value;
    };
    expect(await tell('pull')).toBe('[0.0, 0.0]');
    expect(await tell('-1')).toBe('applied 1 1');
    expect(await tell('nan')).toBe('Refused 3');
    expect(await tell('-2')).toBe('applied 2 2');
    expect(await tell('pull')).toBe('[3.0, 3.0]');
    await server.close();
    await serve({ ...options, port });
    expect(await tell('pull')).toBe('StateLost');
    child.stdin.end();
    await outputOf(child);
  });
});
