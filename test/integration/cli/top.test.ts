import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { ParameterServer, Worker } from '../../../src/index.js';

// `pslib top` as a process, watching a server that trains.

const parameters = { w: { shape: [4] } } as const;
const root = fileURLToPath(new URL('../../..', import.meta.url));
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function started(): Promise<ParameterServer> {
  const auth = { seer: { role: 'monitor' }, hand: { role: 'worker' } } as const;
  const server = new ParameterServer({ parameters, port: 0, auth });
  await server.listen();
  ends.push(() => server.close());
  return server;
}

/** A worker `ann` that has taken 20 steps and is still there. */
async function trained(server: ParameterServer): Promise<void> {
  const worker = new Worker<typeof parameters>(server.url, { id: 'ann', token: 'hand' });
  ends.push(() => worker.close());
  await worker.run(() => ({ gradients: {}, metrics: { loss: 0.125 } }), { steps: 20 });
}

function top(token: string, ...args: string[]): ChildProcessByStdio<null, Readable, Readable> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', 'top', ...args], {
    cwd: root,
    env: { ...process.env, PSLIB_TOKEN: token },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  ends.push(async () => child.kill('SIGKILL'));
  return child;
}

async function endOf(
  child: ReturnType<typeof top>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { code, stdout, stderr };
}

it('prints one look, with the figures and the workers', async () => {
  const server = await started();
  await trained(server);
  const { code, stdout, stderr } = await endOf(top('seer', server.url, '--once'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const lines = stdout.split('\n');
  expect(lines[0]).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/ {2}SSP, staleness 3 · sgd, learning rate 0\.01 · up /);
  expect(lines[1]).toBe('No worker trains.');
  expect(lines[2]).toMatch(/^loss 0\.125 {3}minClock 20 {3}updates 20 /);
  expect(lines.find((line) => line.startsWith('ann'))).toMatch(/^ann +idle +20 /);
});

it('shows every shard of a group, in their order, whatever the order of the urls', async () => {
  const auth = { seer: { role: 'monitor' }, hand: { role: 'worker' } } as const;
  const servers = [0, 1].map(
    (index) => new ParameterServer({ parameters, port: 0, auth, shard: { index, count: 2 } }),
  );
  for (const server of servers) {
    await server.listen();
    ends.push(() => server.close());
  }
  const [first, second] = servers.map(({ url }) => url) as [string, string];
  const worker = new Worker<typeof parameters>([first, second], { id: 'ann', token: 'hand' });
  ends.push(() => worker.close());
  await worker.run(() => ({ gradients: {}, metrics: { loss: 0.125 } }), { steps: 20 });
  const { code, stdout, stderr } = await endOf(top('seer', second, first, '--once'));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const heads = stdout.split('\n').filter((line) => line.startsWith('ws:'));
  expect(heads.map((line) => line.split(' ')[0])).toEqual([first, second]);
  expect(heads.map((line) => / · (shard .*)$/.exec(line)?.[1])).toEqual(['shard 1 of 2', 'shard 2 of 2']);
  expect(stdout).toMatch(/^ann +idle +20 /m);
});

it('prints lines where there is no terminal, and ends when it is interrupted', async () => {
  const server = await started();
  await trained(server);
  const child = top('seer', server.url);
  const [line] = await once(createInterface(child.stdout), 'line');
  expect(line).toMatch(/^loss 0\.125 {2}minClock 20 {2}updates 20 /);
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it('says why it is refused, without the token', async () => {
  const server = await started();
  const { code, stdout, stderr } = await endOf(top('no-such-token', server.url, '--once'));
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toContain('PS_UNAUTHORIZED');
  expect(stderr).not.toContain('no-such-token');
});
