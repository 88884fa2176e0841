import { spawn } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { adam } from '../../../src/core/optim/adam.js';
import type { ServerGroupOptions } from '../../../src/io/group/groupOptions.js';
import { ServerGroup } from '../../../src/io/group/serverGroup.js';
import { PARAMETERS } from '../worker/bench.js';

const root = new URL('../../../', import.meta.url);

/** Runs a program with `ServerGroup`, `Worker` and `parameters` at hand; resolves when it ends by itself. */
function run(body: string): Promise<{ code: number | null; output: string }> {
  const program = `
    import { adam } from './src/core/optim/adam.ts';
    import { asp, ssp } from './src/core/consistency/consistency.ts';
    import { sgd } from './src/core/optim/sgd.ts';
    import { ServerGroup } from './src/io/group/serverGroup.ts';
    import { Worker } from './src/io/worker/node/worker.ts';
    const parameters = { w: { shape: [300, 1000], init: 'normal' }, b: { shape: [7], data: Float32Array.of(1, 2, 3, 4, 5, 6, 7) } };
    const gradients = () => ({ w: new Float32Array(300_000).fill(1), b: new Float32Array(7).fill(1) });
    ${body}
  `;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', program], {
    cwd: root,
  });
  return new Promise((resolve) => {
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes) => (output += String(bytes)));
    child.on('close', (code) => resolve({ code, output }));
  });
}

describe('a ServerGroup', () => {
  it('trains in processes of its own, and lets the process end', async () => {
    const { code, output } = await run(`
      const group = new ServerGroup({ count: 3, parameters, optimizer: adam({ learningRate: 0.5 }), consistency: ssp({ staleness: 1 }) });
      const seen = [];
      group.on('listening', ({ urls }) => seen.push('listening ' + urls.length));
      group.on('worker:join', ({ id }) => seen.push('join ' + id));
      group.on('clock', ({ minClock }) => seen.push('clock ' + minClock));
      group.on('metrics', ({ metrics }) => seen.push('loss ' + metrics.loss));
      group.on('worker:leave', ({ id, reason }) => seen.push('leave ' + id + ' ' + reason));
      group.on('close', () => seen.push('close'));
      group.on('error', (error) => console.log(error));
      const left = new Promise((resolve) => group.on('worker:leave', resolve));
      await group.listen();
      const before = await group.parameters();
      const worker = new Worker([...group.urls].reverse(), { id: 'w' });
      await worker.run(() => ({ gradients: gradients(), metrics: { loss: 3 } }), { steps: 2 });
      const pulled = await worker.pull();
      const { version, versions, tensors } = await group.parameters();
      console.log(version, versions.join(), tensors.w.shape.join());
      console.log(tensors.w.data.every((value, i) => value === pulled.tensors.w.data[i] && value < before.tensors.w.data[i]));
      console.log((await group.workers()).map((each) => each.map(({ id, clock }) => id + clock).join()).join(' '));
      await worker.close();
      await left;
      await group.load(before);
      const after = await group.parameters();
      console.log(after.tensors.w.data.every((value, i) => value === before.tensors.w.data[i]), after.versions.join());
      await group.setLearningRate(0.25);
      console.log((await group.stats()).map(({ training }) => training).join());
      await group.close();
      console.log(seen.join(' | '));
    `);
    expect(output.split('\n')).toEqual([
      '2 2,2,2 300,1000',
      'true',
      'w2 w2 w2',
      'true 3,3,3',
      '0,0,0',
      'listening 3 | join w | loss 3 | clock 1 | loss 3 | clock 2 | leave w goodbye | close',
      '',
    ]);
    expect(code).toBe(0);
  });

  it('keeps a checkpoint that a group of another size can load, and its state in dataDir', async () => {
    const { code, output } = await run(`
      import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
      const directory = mkdtempSync('/tmp/pslib-group-');
      const dataDir = directory + '/state';
      const group = new ServerGroup({ count: 3, parameters, dataDir, seed: 8 });
      await group.listen();
      const worker = new Worker(group.urls);
      await worker.push(gradients());
      await worker.close();
      const { clock, shards } = await group.checkpoint(directory + '/saved');
      console.log(clock, shards.map(({ version }) => version).join(), readdirSync(directory + '/saved').length, readdirSync(dataDir).join());
      const { tensors } = await group.parameters();
      await group.close();
      const equal = (other) => Object.keys(tensors).every((name) => tensors[name].data.every((value, i) => value === other.tensors[name].data[i]));
      const same = new ServerGroup({ count: 3, parameters, dataDir, seed: 8 });
      await same.listen();
      console.log(equal(await same.parameters()), (await same.parameters()).versions.join());
      await same.close();
      const other = new ServerGroup({ count: 2, parameters });
      await other.listen();
      console.log(equal(await other.parameters()));
      await other.load(directory + '/saved');
      console.log(equal(await other.parameters()));
      await other.load(directory + '/nowhere').catch(({ code }) => console.log(code));
      // A part of which the first shard needs nothing.
      const last = shards.at(-1).path;
      const bytes = readFileSync(last);
      bytes[bytes.length - 20] ^= 1;
      writeFileSync(last, bytes);
      await other.load(directory + '/saved').catch(({ code }) => console.log(code));
      console.log((await other.parameters()).versions.join());
      await other.close();
      rmSync(directory, { recursive: true });
    `);
    expect(output.split('\n')).toEqual([
      '0 1,1,1 4 shard-0,shard-1,shard-2',
      'true 1,1,1',
      'false',
      'true',
      'PS_STORAGE',
      'PS_CORRUPT',
      '1,1',
      '',
    ]);
    expect(code).toBe(0);
  });

  it('takes options with functions from a module, and says what is wrong with them', async () => {
    const { code, output } = await run(`
      const options = new URL('./test/integration/group/moduleOptions.ts', 'file://' + process.cwd() + '/');
      const group = new ServerGroup({ count: 2, options, seed: 3 });
      await group.listen();
      const { tensors } = await group.parameters();
      console.log([...tensors.w.data].join());
      await group.close();
      const wrong = new ServerGroup({ count: 2, options, minWorkers: -1 });
      await wrong.listen().catch(({ code, message }) => console.log(code, message));
      await new ServerGroup({ count: 2, options: new URL('file:///nowhere.js') }).listen().catch(({ code }) => console.log(code));
      await group.listen().catch(({ code }) => console.log(code));
    `);
    expect(output.split('\n')).toEqual([
      '0,1,4,9,16',
      'PS_INVALID_ARGUMENT minWorkers must be an integer from 0, got -1',
      'PS_INTERNAL',
      'PS_CLOSED',
      '',
    ]);
    expect(code).toBe(0);
  });

  it('says when the process of a shard has ended', async () => {
    const { output } = await run(`
      import { execFileSync } from 'node:child_process';
      const group = new ServerGroup({ count: 2, parameters });
      await group.listen();
      const died = new Promise((resolve) => group.on('error', resolve));
      const [child] = execFileSync('pgrep', ['-f', 'shardProcess', '-P', String(process.pid)], { encoding: 'utf8' }).split('\\n');
      process.kill(Number(child), 'SIGKILL');
      console.log((await died).code, (await died).message.replace(/\\d/, 'i'));
      await group.parameters().catch(({ code }) => console.log(code));
      await group.close();
    `);
    expect(output.split('\n')).toEqual([
      'PS_INTERNAL the process of shard i has ended: SIGKILL',
      'PS_INTERNAL',
      '',
    ]);
  });

  it('starts a shard again whose process was killed: at its port, with its state, and the worker goes on', async () => {
    const { output } = await run(`
      import { execFileSync } from 'node:child_process';
      import { mkdtempSync, rmSync } from 'node:fs';
      import { tmpdir } from 'node:os';
      import { join } from 'node:path';
      const dataDir = mkdtempSync(join(tmpdir(), 'pslib-revival-'));
      const group = new ServerGroup({ count: 2, parameters, dataDir, optimizer: sgd({ learningRate: 1 }), consistency: asp() });
      await group.listen();
      const worker = new Worker(group.urls, { reconnect: { minDelayMs: 20, maxDelayMs: 100 } });
      const [name, { data }] = Object.entries((await worker.pull()).tensors)[0];
      const ones = { [name]: new Float32Array(data.length).fill(-1) };
      const before = [...data];
      await worker.push(ones);
      const errors = [];
      group.on('error', ({ code }) => errors.push(code));
      const [child] = execFileSync('pgrep', ['-f', 'shardProcess', '-P', String(process.pid)], { encoding: 'utf8' }).split('\\n');
      const again = new Promise((resolve) => group.on('warning', resolve));
      process.kill(Number(child), 'SIGKILL');
      await worker.push(ones);
      console.log((await again).message, errors.join());
      const { tensors } = await group.parameters();
      console.log(tensors[name].data.every((value, i) => value === Math.fround(Math.fround(before[i] + 1) + 1)));
      await worker.close();
      await group.close();
      rmSync(dataDir, { recursive: true });
    `);
    expect(output.split('\n')).toEqual(['it was started again and listens PS_INTERNAL', 'true', '']);
  });

  it('leaves no process behind when its own is killed', async () => {
    const { output } = await run(`
      import { execFileSync } from 'node:child_process';
      const group = new ServerGroup({ count: 2, parameters });
      await group.listen();
      console.log(execFileSync('pgrep', ['-f', 'shardProcess', '-P', String(process.pid)], { encoding: 'utf8' }).trim().split('\\n').join());
      process.kill(process.pid, 'SIGKILL');
    `);
    // The output has ended: so have all that had it open, the shards' processes among them.
    expect(output).toMatch(/^\d+,\d+\n$/);
  });
});

describe('the options of a group', () => {
  const make = (options: object): ServerGroup => new ServerGroup(options as ServerGroupOptions);

  it.each<[object, string]>([
    [{ parameters: PARAMETERS }, 'count'],
    [{ count: 0, parameters: PARAMETERS }, 'count'],
    [{ count: 5000, parameters: PARAMETERS }, 'count'],
    [{ count: 2 }, 'parameters'],
    [{ count: 2, parameters: PARAMETERS, colour: 'red' }, 'colour'],
    [{ count: 2, parameters: PARAMETERS, port: 70_000 }, 'port'],
    [{ count: 2, parameters: { w: { shape: [2], init: () => 1 } } }, 'parameters.w.init'],
    [
      { count: 2, parameters: PARAMETERS, optimizer: adam({ learningRate: () => 1 }) },
      'optimizer.learningRate',
    ],
    [{ count: 2, parameters: PARAMETERS, delay: { scale: () => 1 } }, 'delay.scale'],
    [{ count: 2, parameters: PARAMETERS, logger: new Map() }, 'logger'],
    [{ count: 2, options: './options.js' }, 'options'],
  ])('%o is refused', (options, option) => {
    expect(() => make(options)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option } }),
    );
  });

  it('may be the port of the first of them', () => {
    expect(make({ count: 2, parameters: PARAMETERS, port: 9000 }).count).toBe(2);
    expect(() => make({ count: 2, parameters: PARAMETERS, port: 65_535 })).toThrow(/port/);
  });

  it('has no urls before it listens', () => {
    expect(() => make({ count: 2, parameters: PARAMETERS }).urls).toThrow(/once the group listens/);
  });
});
