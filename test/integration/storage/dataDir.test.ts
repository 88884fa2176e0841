import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adam, ParameterServer, type ParameterServerOptions, Worker } from '../../../src/index.js';

const parameters = {
  kernel: { shape: [3, 2], init: 'glorotUniform' },
  bias: { shape: [2] },
} as const;
const gradients = { kernel: Float32Array.of(1, 2, 3, 4, 5, 6), bias: Float32Array.of(-1, 1) };

const hasPython = spawnSync('python3', ['--version']).status === 0;
let root: string;
let dataDir: string;
const open: (() => Promise<void>)[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pslib-data-'));
  dataDir = join(root, 'state');
});

afterEach(async () => {
  for (const close of open.splice(0)) await close();
  rmSync(root, { recursive: true, force: true });
});

type Options = Partial<ParameterServerOptions<typeof parameters>>;

function make(options: Options = {}): ParameterServer<typeof parameters> {
  const server = new ParameterServer({ parameters, optimizer: adam(), port: 0, dataDir, ...options });
  open.push(() => server.close().catch(() => {}));
  return server;
}

async function listening(options: Options = {}): Promise<ParameterServer<typeof parameters>> {
  const server = make(options);
  await server.listen();
  return server;
}

async function connected(
  server: ParameterServer<typeof parameters>,
  id = 'w',
): Promise<Worker<typeof parameters>> {
  const worker = new Worker<typeof parameters>(server.url, { id });
  await worker.connect();
  open.push(() => worker.close());
  return worker;
}

async function valuesOf(server: ParameterServer<typeof parameters>): Promise<number[]> {
  const { tensors } = await server.parameters();
  return [...tensors.kernel.data, ...tensors.bias.data];
}

describe('a server with dataDir', () => {
  it('goes on where it was closed, bit for bit', async () => {
    const server = await listening();
    const worker = await connected(server);
    for (let i = 0; i < 5; i++) await worker.push(gradients);
    await worker.close();
    const before = await valuesOf(server);
    await server.close();
    const again = await listening();
    expect(await valuesOf(again)).toEqual(before);
    expect(again.stats().version).toBe(5);
  });

  it('keeps what was set while it ran', async () => {
    const server = await listening();
    await server.setLearningRate(0.125);
    const worker = await connected(server);
    await worker.push(gradients);
    await server.close();
    const again = await listening();
    const { kernel } = (await again.parameters()).tensors;
    const first = kernel.data[0] as number;
    const other = await connected(again, 'other');
    await other.push(gradients);
    const moved = first - ((await again.parameters()).tensors.kernel.data[0] as number);
    // Adam moves by about its rate while the gradient stays the same.
    expect(moved).toBeCloseTo(0.125, 4);
  });

  it('is alone in its directory, and gives it back when it closes', async () => {
    const server = await listening();
    const second = make();
    await expect(second.listen()).rejects.toMatchObject({ code: 'PS_DATA_DIR_IN_USE', retryable: true });
    await server.close();
    await second.listen();
    expect(second.stats().version).toBe(0);
  });

  it('gives it back, too, when it can not have its port', async () => {
    const blocker = await listening({ dataDir: join(root, 'other') });
    const port = blocker.address()?.port as number;
    await expect(make({ port }).listen()).rejects.toMatchObject({ code: 'PS_CONNECT_FAILED' });
    await listening();
  });

  it('is not read into one server twice', async () => {
    await (await listening()).close();
    const blocker = await listening({ dataDir: join(root, 'other') });
    const server = make({ port: blocker.address()?.port as number });
    await expect(server.listen()).rejects.toMatchObject({ code: 'PS_CONNECT_FAILED' });
    await blocker.close();
    await expect(server.listen()).rejects.toThrow('make a new ParameterServer');
    await listening();
  });

  it('is read before anybody is welcome: until then an upgrade is answered 503', async () => {
    const server = make({ port: undefined, noServer: true, path: '/' });
    const opening = server.listen();
    const socket = new PassThrough();
    const request = { url: '/', method: 'GET', headers: {}, socket } as unknown as IncomingMessage;
    expect(server.handleUpgrade(request, socket, Buffer.alloc(0))).toBe(true);
    expect(String(socket.read())).toMatch(/^HTTP\/1.1 503 /);
    await opening;
    expect(server.stats().connections).toBe(0);
  });

  it('keeps its files for its owner alone', async () => {
    await listening();
    for (const name of readdirSync(dataDir)) {
      if (name !== 'lock') expect(statSync(join(dataDir, name)).mode & 0o077).toBe(0);
    }
    expect(statSync(dataDir).mode & 0o077).toBe(0);
  });

  it('wants listen before anything changes the state', async () => {
    const server = make();
    for (const change of [
      () => server.setLearningRate(1),
      () =>
        server.load({ tensors: { kernel: { shape: [3, 2], dtype: 'float32', data: new Float32Array(6) } } }),
      () => server.checkpoint(),
    ]) {
      await expect(change()).rejects.toMatchObject({ code: expect.stringMatching(/INVALID_ARGUMENT/) });
    }
  });

  it('says what can not be used, with a typed error, and leaves it alone', async () => {
    const file = join(root, 'file');
    writeFileSync(file, 'not a directory');
    await expect(make({ dataDir: file }).listen()).rejects.toMatchObject({ code: 'PS_STORAGE' });
    await expect(make({ dataDir: join(file, 'below') }).listen()).rejects.toMatchObject({
      code: 'PS_STORAGE',
    });
    const home = join(root, 'home');
    mkdirSync(home);
    writeFileSync(join(home, 'letter.txt'), 'Dear …');
    await expect(make({ dataDir: home }).listen()).rejects.toMatchObject({ code: 'PS_INVALID_ARGUMENT' });
    expect(readdirSync(home)).toEqual(['letter.txt']);
  });

  it.skipIf(process.getuid?.() === 0)('says so when the directory can only be read', async () => {
    mkdirSync(dataDir);
    chmodSync(dataDir, 0o500);
    await expect(make().listen()).rejects.toMatchObject({ code: 'PS_STORAGE' });
    chmodSync(dataDir, 0o700);
  });

  it('starts on nothing but whole checkpoints', async () => {
    const server = await listening();
    await server.close();
    const [checkpoint] = readdirSync(dataDir) as [string];
    const bytes = readFileSync(join(dataDir, checkpoint));
    writeFileSync(join(dataDir, checkpoint), bytes.subarray(0, 200));
    const again = make();
    const warnings: string[] = [];
    again.on('warning', ({ message }) => warnings.push(message));
    await expect(again.listen()).rejects.toMatchObject({ code: 'PS_CORRUPT' });
    expect(warnings).toHaveLength(1);
    expect(readdirSync(dataDir)).toEqual([`${checkpoint}.corrupt`, 'owner']);
    expect(readFileSync(join(dataDir, `${checkpoint}.corrupt`)).length).toBe(200);
  });
});

describe('checkpoints', () => {
  it('are taken when asked for, said in an event, and hold what was answered before', async () => {
    const server = await listening();
    const events: unknown[] = [];
    server.on('checkpoint', (event) => events.push(event));
    const worker = await connected(server);
    await worker.push(gradients);
    const report = await server.checkpoint();
    expect(report).toMatchObject({ version: 1, path: expect.stringContaining(dataDir) });
    expect(statSync(report.path).size).toBe(report.bytes);
    expect(events).toEqual([report]);
  });

  it.skipIf(!hasPython)('are read by Python without pslib, and give the same bits', async () => {
    const server = await listening();
    const worker = await connected(server);
    for (let i = 0; i < 3; i++) await worker.push(gradients);
    const { path } = await server.checkpoint(join(root, 'model.safetensors'));
    const script = new URL('./readSafetensors.py', import.meta.url).pathname;
    const tensors = JSON.parse(execFileSync('python3', [script, path], { encoding: 'utf8' }));
    const { kernel, bias } = (await server.parameters()).tensors;
    expect(tensors.kernel).toEqual([[3, 2], [...kernel.data]]);
    expect(tensors.bias).toEqual([[2], [...bias.data]]);
    expect(tensors['pslib.slot.firstMoment.kernel'][0]).toEqual([3, 2]);
    expect(tensors['pslib.slot.secondMoment.bias'][1].every((value: number) => value > 0)).toBe(true);
  });

  it('load into another server, with or without a dataDir', async () => {
    const server = await listening({ dataDir: undefined as never });
    const worker = await connected(server);
    await worker.push(gradients);
    const path = join(root, 'model.safetensors');
    await server.checkpoint(path);
    const other = await listening({ seed: 99 });
    expect(await valuesOf(other)).not.toEqual(await valuesOf(server));
    await other.load(path);
    expect(await valuesOf(other)).toEqual(await valuesOf(server));
    await other.close();
    expect(await valuesOf(await listening())).toEqual(await valuesOf(server));
  });

  it('of other tools load, if they have the tensors', async () => {
    const server = await listening();
    const path = join(root, 'foreign.safetensors');
    const write = (header: object, data: Float32Array): void => {
      const json = new TextEncoder().encode(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeUInt32LE(json.length);
      writeFileSync(path, Buffer.concat([length, json, Buffer.from(data.buffer)]));
    };
    const tensor = (shape: number[], begin: number, end: number, dtype = 'F32'): object => ({
      dtype,
      shape,
      data_offsets: [begin, end],
    });
    const values = Float32Array.of(9, 8, 1, 2, 3, 4, 5, 6, 7);
    write({ bias: tensor([2], 0, 8), kernel: tensor([3, 2], 8, 32), more: tensor([1], 32, 36) }, values);
    await server.load(path);
    expect(await valuesOf(server)).toEqual([1, 2, 3, 4, 5, 6, 9, 8]);
    write({ bias: tensor([2], 0, 8), kernel: tensor([2, 3], 8, 32) }, values.subarray(0, 8).slice());
    await expect(server.load(path)).rejects.toMatchObject({
      code: 'PS_WRONG_LENGTH',
      details: { tensor: 'kernel' },
    });
    write({ bias: tensor([2], 0, 8) }, values.slice(0, 2));
    await expect(server.load(path)).rejects.toMatchObject({ code: 'PS_UNKNOWN_TENSOR' });
    write({ bias: tensor([2], 0, 8), kernel: tensor([3, 2], 8, 32) }, values.slice(0, 8).fill(Number.NaN, 3));
    await expect(server.load(path)).rejects.toMatchObject({ code: 'PS_NOT_FINITE' });
    writeFileSync(path, 'something else');
    await expect(server.load(path)).rejects.toMatchObject({ code: 'PS_CORRUPT' });
    await expect(server.load(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'PS_STORAGE' });
    expect(await valuesOf(server)).toEqual([1, 2, 3, 4, 5, 6, 9, 8]);
  });

  it('have nowhere to go without a dataDir or a path', async () => {
    const server = await listening({ dataDir: undefined as never });
    await expect(server.checkpoint()).rejects.toMatchObject({ code: 'PS_INVALID_ARGUMENT' });
    await expect(server.checkpoint(join(root, 'no', 'such', 'directory'))).rejects.toMatchObject({
      code: 'PS_STORAGE',
    });
  });
});

describe('drain', () => {
  it('finishes what is under way, tells workers to come back, and takes a checkpoint', async () => {
    const server = await listening();
    const worker = await connected(server);
    const events: string[] = [];
    worker.on('reconnecting', () => events.push('reconnecting'));
    const pushes = Array.from({ length: 4 }, () => worker.push(gradients));
    const reconnecting = once(worker as never, 'reconnecting');
    await pushes[0];
    const checkpoint = once(server as never, 'checkpoint');
    await server.drain({ retryAfterMs: 10 });
    await checkpoint;
    await reconnecting;
    const late = new Worker(server.url, { reconnect: false });
    await expect(late.connect()).rejects.toMatchObject({ code: 'PS_DRAINING' });
    const { port } = server.address() as { port: number };
    await server.close();
    const again = await listening({ port });
    const results = await Promise.all(pushes);
    expect(results.map(({ outcome }) => outcome)).toEqual(['applied', 'applied', 'applied', 'applied']);
    expect(again.stats().version).toBe(4);
  });
});
