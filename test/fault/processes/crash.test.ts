/**
 * Real processes, killed: whatever dies, each cell equals the pushes that were acknowledged to its worker,
 * and the shared cell, the padding and the version equal their sum; so do rows of sparse tables.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { Worker } from '../../../src/index.js';
import { idOf, SHARED_ID, type TABLES, WORKERS } from './cells.js';
import { Child } from './child.js';

const children: Child[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.kill()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function start(file: string, args: readonly (string | number)[]): Child {
  const child = new Child(file, args);
  children.push(child);
  return child;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pslib-crash-'));
  folders.push(folder);
  return folder;
}

/** Every row says what the tensors say. */
async function expectRows(url: string, cells: Cells): Promise<void> {
  const reader = new Worker<typeof TABLES>(url, { readOnly: true });
  try {
    const ranks = cells.own.map((_, rank) => rank);
    const { data } = await reader.pullRows('rows', [...ranks.map(idOf), SHARED_ID]);
    expect([...data]).toEqual([...cells.own, cells.shared].flatMap((value) => [value, value]));
    expect([...(await reader.pullRows('recent', [SHARED_ID])).data]).toEqual([cells.shared]);
  } finally {
    await reader.close();
  }
}

interface Cells {
  version: number;
  own: number[];
  shared: number;
  padding: number[];
}

async function read(server: Child): Promise<Cells> {
  const cells = server.next('cells');
  server.tell('read');
  return (await cells) as unknown as Cells;
}

/** Everything that was applied adds up. */
function expectSum(cells: Cells): void {
  const sum = cells.own.reduce((a, b) => a + b, 0);
  expect(cells.shared).toBe(sum);
  expect(cells.version).toBe(sum);
  expect(new Set(cells.padding)).toEqual(new Set([sum]));
}

describe('kill -9', () => {
  it('of the server, 20 times under load: every acknowledged push is there once', {
    timeout: 240_000,
  }, async () => {
    const random = new Random(20);
    const folder = newFolder();
    let server = start('serverProcess.ts', [folder, 0, 3]);
    const { url } = await server.next('listening');
    const port = new URL(url as string).port;
    const workers = Array.from({ length: WORKERS }, (_, rank) =>
      start('workerProcess.ts', [url as string, rank, 'Infinity']),
    );
    await Promise.all(workers.map((worker) => worker.next('acknowledged')));
    for (let kill = 0; kill < 20; kill++) {
      await server.next('clock', 1 + random.nextInt(20));
      await server.kill();
      server = start('serverProcess.ts', [folder, port, 3]);
      await server.next('listening');
    }
    await server.next('clock', 5);
    const finished = workers.map((worker) => worker.next('finished'));
    server.tell('finish');
    const acknowledged = (await Promise.all(finished)).map((said) => said.acknowledged);
    const cells = await read(server);
    expect(cells.own).toEqual(acknowledged);
    expectSum(cells);
    await expectRows(url as string, cells);
    server.tell('close');
    await server.ended;
  });

  it('of workers, 50 times, with pauses: nothing is lost or doubled, and nobody waits for the dead', {
    timeout: 240_000,
  }, async () => {
    const random = new Random(50);
    // In memory: here the server lives. SSP: a dead worker that kept its place would stop the others.
    const server = start('serverProcess.ts', ['', 0, 2]);
    const { url } = await server.next('listening');
    const atLeast: number[] = Array(WORKERS).fill(0);
    const kills: number[] = Array(WORKERS).fill(0);
    const begin = (rank: number): Child => start('workerProcess.ts', [url as string, rank, 'Infinity']);
    const workers = Array.from({ length: WORKERS }, (_, rank) => begin(rank));
    await Promise.all(workers.map((worker) => worker.next('acknowledged')));
    const take = (rank: number): void => {
      const said = workers[rank]?.last.get('acknowledged')?.acknowledged;
      atLeast[rank] = (atLeast[rank] as number) + Number(said ?? 0);
    };
    for (let kill = 0; kill < 50; kill += 2) {
      // Two at a time: the others hold the clock meanwhile.
      const first = random.nextInt(WORKERS);
      const ranks = [first, (first + 1 + random.nextInt(WORKERS - 1)) % WORKERS];
      await Promise.all(
        ranks.map(async (rank) => {
          const worker = workers[rank] as Child;
          if (random.nextInt(3) === 0) await worker.kill('SIGSTOP');
          await worker.kill();
          take(rank);
          kills[rank] = (kills[rank] as number) + 1;
          workers[rank] = begin(rank);
          await workers[rank]?.next('acknowledged');
        }),
      );
    }
    const finished = workers.map((worker) => worker.next('finished'));
    server.tell('finish');
    await Promise.all(finished);
    for (let rank = 0; rank < WORKERS; rank++) take(rank);
    const cells = await read(server);
    expectSum(cells);
    await expectRows(url as string, cells);
    for (let rank = 0; rank < WORKERS; rank++) {
      const cell = cells.own[rank] as number;
      expect(cell).toBeGreaterThanOrEqual(atLeast[rank] as number);
      // Each kill leaves at most the push in flight, and what it had said but nobody had heard, unknown.
      expect(cell - (atLeast[rank] as number)).toBeLessThanOrEqual((kills[rank] as number) * 8);
    }
  });
});
