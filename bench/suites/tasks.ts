/**
 * Tasks: how many empty ones are handed out and taken back in a second, and how fast the server sends a data set,
 * beside how fast workers pull.
 */
import { join } from 'node:path';
import { Child, memoryOf } from '../childProcess.js';
import { type Arrangement, measureInTurn, workersOf } from '../driver.js';
import { numberIn } from '../lines.js';
import type { Peer } from '../peer.js';
import { spreadOf } from '../statistics.js';
import { type Context, MIB, type Suite, sizeText } from '../suite.js';

/** Workers that handle tasks, and in how many processes. */
const HANDLERS = 8;
const HANDLER_PROCESSES = 2;
const TAKERS = 2;

/** Tasks per second, and bytes of items per second. */
export const tasks: Suite = {
  name: 'tasks',
  about: '100,000 empty tasks to 8 workers; 1 GB of items to 2 workers, against pulls of as many bytes',
  async run(context) {
    await handOut(context, context.isQuick ? 20_000 : 100_000);
    await sendItems(context, context.isQuick ? 256 * MIB : 1024 * MIB);
  },
};

async function handOut(context: Context, count: number): Promise<void> {
  const rates: number[] = [];
  const peaks: number[] = [];
  for (let turn = 0; turn < context.timing.repetitions; turn++) {
    await withServer(context, async (server, url) => {
      const each = HANDLERS / HANDLER_PROCESSES;
      const workers = Array.from({ length: HANDLER_PROCESSES }, () =>
        processOf(context, 'tasks', url, `${each}`),
      );
      while (numberIn(await server.ask('workers'), 'workers') < HANDLERS) await pause(20);
      await server.ask(`tasks ${count / 10}`);
      rates.push(count / numberIn(await server.ask(`tasks ${count}`), 'seconds'));
      peaks.push(memoryOf(server.pid).peakBytes / MIB);
      for (const worker of workers) await worker.end();
    });
  }
  context.report([
    {
      suite: 'tasks',
      case: `${count.toLocaleString('en')} empty tasks, ${HANDLERS} workers in ${HANDLER_PROCESSES} processes`,
      subject: 'tasks.map',
      unit: 'tasks/s',
      value: spreadOf(rates),
      more: { 'server MiB': spreadOf(peaks).median },
      isChecked: true,
    },
  ]);
}

async function sendItems(context: Context, bytes: number): Promise<void> {
  const peer = (await context.peer('pslib')) as Peer;
  const model = { bytes: 16 * MIB };
  const pull: Arrangement = { peer, model, workers: workersOf(TAKERS, 'pull') };
  const [pulls, items]: [number[], number[]] = [[], []];
  const [serverPeaks, workerPeaks]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < context.timing.repetitions; turn++) {
    const [outcome] = await measureInTurn(context.ground, [pull], { ...context.timing, repetitions: 1 });
    pulls.push(((outcome?.samples[0]?.rate ?? Number.NaN) * model.bytes) / 1e9);
    await withServer(context, async (server, url) => {
      const workers = Array.from({ length: TAKERS }, () => processOf(context, 'data', url));
      for (const worker of workers) await worker.next();
      for (const worker of workers) worker.send('take');
      items.push(bytes / 1e9 / numberIn(await server.ask(`items ${bytes} ${MIB}`), 'seconds'));
      const taken = await Promise.all(workers.map(async (worker) => numberIn(await worker.next(), 'bytes')));
      if (taken.reduce((sum, each) => sum + each, 0) !== bytes) throw new Error(`${taken} bytes were taken`);
      serverPeaks.push(memoryOf(server.pid).peakBytes / MIB);
      workerPeaks.push(Math.max(...workers.map(({ pid }) => memoryOf(pid).peakBytes)) / MIB);
      for (const worker of workers) await worker.end();
    });
  }
  const row = {
    suite: 'tasks',
    case: `${sizeText(bytes)} to ${TAKERS} workers`,
    unit: 'GB/s',
    isChecked: true,
  };
  const ratio = spreadOf(items.map((rate, turn) => rate / (pulls[turn] as number)));
  const more = { 'server MiB': spreadOf(serverPeaks).median, 'worker MiB': spreadOf(workerPeaks).median };
  context.report([
    { ...row, subject: 'pulls of a 16 MB model', value: spreadOf(pulls) },
    {
      ...row,
      subject: 'items of 1 MB, 16 in a data shard',
      value: spreadOf(items),
      ratio,
      ratioTo: 'pulls',
      more,
    },
  ]);
}

async function withServer(
  context: Context,
  use: (server: Child, url: string) => Promise<void>,
): Promise<void> {
  const server = processOf(context, 'server');
  try {
    const { url } = await server.next();
    await use(server, url as string);
  } finally {
    await server.end();
  }
}

function processOf({ ground }: Context, role: string, ...words: string[]): Child {
  const [node = '', ...rest] = ground.childCommand;
  const file = rest.at(-1)?.replace('child.', 'tasksProcess.') ?? join(ground.buildDir, 'tasksProcess.js');
  const flags = role === 'server' ? ground.serverFlags : ground.workerFlags;
  return new Child(`tasks ${role}`, [node, ...flags, ...rest.slice(0, -1), file, role, ...words]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
