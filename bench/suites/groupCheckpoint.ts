/**
 * A checkpoint of a group while a worker trains: how long it takes, and for how long at a stretch the event loops of its
 * shards are busy meanwhile, beside the same time without one.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { asp, ServerGroup, sgd, Worker } from 'pslib';
import type { Row } from '../report.js';
import { spreadOf } from '../statistics.js';
import { MIB, type Suite, sizeText } from '../suite.js';

const COUNT = 2;
const SMALL = 1024;

/** Stalls of shards that take their parts. */
export const groupCheckpoint: Suite = {
  name: 'group-checkpoint',
  about: "stalls of a group's shards while it takes a checkpoint of 1 GB",
  async run(context) {
    for (const bytes of context.sizes ?? [context.isQuick ? 64 * MIB : 1024 * MIB]) {
      const found = await measure(bytes, context.isQuick ? 1 : 3);
      const row = {
        suite: 'group-checkpoint',
        case: `${sizeText(bytes)}, ${COUNT} shards`,
        unit: 'ms',
        isChecked: false,
      };
      const rows: Row[] = [
        { ...row, subject: 'longest stall without one', value: spreadOf(found.before) },
        { ...row, subject: 'longest stall during it', value: spreadOf(found.during) },
        { ...row, subject: 'the checkpoint', value: spreadOf(found.takes) },
        {
          ...row,
          subject: 'steps of the worker during it, per s',
          unit: '1/s',
          value: spreadOf(found.rates),
        },
      ];
      context.report(rows);
    }
  },
};

interface Found {
  readonly before: number[];
  readonly during: number[];
  readonly takes: number[];
  readonly rates: number[];
}

async function measure(bytes: number, repetitions: number): Promise<Found> {
  const directory = mkdtempSync(join(tmpdir(), 'pslib-bench-'));
  process.env.PSLIB_STALLS = join(directory, 'stall');
  const parameters = { large: { shape: [bytes / 4 - SMALL] }, small: { shape: [SMALL] } };
  const options = new URL('../stallWatch.ts', import.meta.url);
  const group = new ServerGroup({ count: COUNT, parameters, optimizer: sgd(), consistency: asp(), options });
  const found: Found = { before: [], during: [], takes: [], rates: [] };
  try {
    await group.listen();
    const stop = new AbortController();
    const worker = new Worker(group.urls, { id: 'w' });
    let steps = 0;
    const run = (async () => {
      while (!stop.signal.aborted) {
        await worker.push({ small: new Float32Array(SMALL).fill(1) });
        await worker.tick();
        steps++;
      }
    })();
    await sleep(500);
    for (let i = 0; i < repetitions; i++) {
      await stalls(directory);
      await sleep(2000);
      found.before.push(await stalls(directory));
      const [begin, first] = [performance.now(), steps];
      await group.checkpoint(join(directory, 'checkpoint'));
      const tookMs = performance.now() - begin;
      found.during.push(await stalls(directory));
      found.takes.push(tookMs);
      found.rates.push((1e3 * (steps - first)) / tookMs);
    }
    stop.abort();
    await run;
    await worker.close();
  } finally {
    await group.close();
    rmSync(directory, { recursive: true });
  }
  return found;
}

/** The longest stall of any shard since the last call, in milliseconds. */
async function stalls(directory: string): Promise<number> {
  const found = execFileSync('pgrep', ['-f', 'shardProcess', '-P', String(process.pid)], {
    encoding: 'utf8',
  });
  const longest: number[] = [];
  for (const pid of found.trim().split('\n')) {
    const file = join(directory, `stall.${pid}`);
    rmSync(file, { force: true });
    process.kill(Number(pid), 'SIGUSR2');
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') await sleep(5);
    longest.push(Number(readFileSync(file, 'utf8')));
  }
  return Math.max(...longest);
}
