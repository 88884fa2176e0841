/**
 * Real processes that share a directory and do not see each other's locks, as two machines on one file system: one
 * is stopped, the other takes over, the first goes on.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { Worker } from '../../../src/index.js';
import { gradientsOf, type PARAMETERS, rowGradientsOf, type TABLES } from './cells.js';
import { Child } from './child.js';

const children: Child[] = [];
const folders: string[] = [];
const ELSEWHERE = fileURLToPath(new URL('otherHost.mjs', import.meta.url));

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A server in `folder` on the machine called `host`. */
function serverOn(host: string, folder: string): Child {
  const within = ['env', `OTHER_HOST=${host}`, `NODE_OPTIONS=--import ${ELSEWHERE}`];
  const child = new Child('serverProcess.ts', [folder, 0], within);
  children.push(child);
  return child;
}

function workerOf(rank: number, url: () => string): Worker<typeof PARAMETERS & typeof TABLES> {
  const reconnect = { minDelayMs: 10, maxDelayMs: 100 };
  return new Worker<typeof PARAMETERS & typeof TABLES>(url, { id: `w${rank}`, reconnect });
}

async function cellsOf(server: Child): Promise<{ own: number[]; shared: number; version: number }> {
  const cells = server.next('cells');
  server.tell('read');
  return (await cells) as unknown as { own: number[]; shared: number; version: number };
}

it('a server that was stopped while another took its directory over answers nothing more', {
  timeout: 240_000,
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pslib-hosts-'));
  folders.push(folder);
  const first = serverOn('first', folder);
  let url = (await first.next('listening')).url as string;
  const moved = workerOf(0, () => url);
  const push = (worker: typeof moved, rank: number) =>
    worker.push({ ...gradientsOf(rank), ...rowGradientsOf(rank) });
  for (let i = 0; i < 5; i++) await push(moved, 0);
  await first.kill('SIGSTOP');
  // The system takes it for the server, which will find it when it goes on.
  const caught = push(moved, 0);

  const second = serverOn('second', folder);
  url = (await second.next('listening')).url as string;
  const settled = workerOf(1, () => url);
  for (let i = 0; i < 5; i++) await push(settled, 1);
  expect(readFileSync(join(folder, 'owner'), 'utf8')).toMatch(/^{"life":2,.*"host":"second"/);
  const failed = first.next('failed');
  await first.kill('SIGCONT');
  expect(await failed).toMatchObject({ code: 'PS_DATA_DIR_IN_USE' });
  // Not the first has answered it.
  expect(await caught).toMatchObject({ outcome: 'applied', duplicate: false });
  for (let i = 0; i < 4; i++) await push(moved, 0);
  await push(settled, 1);
  await Promise.all([moved.close(), settled.close()]);
  const cells = await cellsOf(second);
  expect(cells).toMatchObject({ shared: 16, version: 16 });
  expect(cells.own.slice(0, 2)).toEqual([10, 6]);
  await second.kill();

  const third = serverOn('second', folder);
  await third.next('listening');
  expect(await cellsOf(third)).toEqual(cells);
});
