/**
 * How long workers are without a server that was killed (kill -9) and started again at once: from its listening
 * again to each worker's next acknowledged push. At the end every acknowledged push is in the parameters, once.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from '../../src/index.js';
import { BUILD_DIR, childCommand } from '../build.js';
import { scratchRoot } from '../peers/pslibPush.js';
import { percentile, spreadOf } from '../statistics.js';
import type { Suite } from '../suite.js';

const WORKERS = 4;
const KILLS = 25;

/** Milliseconds from listening again to the next acknowledgement. */
export const reconnect: Suite = {
  name: 'reconnect',
  about: `${KILLS} kill -9 of a server under ${WORKERS} workers: milliseconds until they go on`,
  async run(context) {
    await childCommand(false);
    const dataDir = mkdtempSync(join(scratchRoot(), 'pslib-bench-'));
    try {
      const times = await killed(dataDir, context.isQuick ? 5 : KILLS);
      context.report([
        {
          suite: 'reconnect',
          case: 'server killed and started again at once',
          subject: `${WORKERS} workers, defaults`,
          unit: 'ms',
          value: spreadOf(times),
          more: { 'p99 ms': percentile(times, 0.99) },
          isChecked: true,
        },
      ]);
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  },
};

async function killed(dataDir: string, kills: number): Promise<number[]> {
  let server = await start(dataDir, '0');
  const { url } = server;
  const port = new URL(url).port;
  const pushers = Array.from({ length: WORKERS }, () => new Pusher(url));
  await Promise.all(pushers.map((each) => each.next()));
  const times: number[] = [];
  for (let i = 0; i < kills; i++) {
    server.child.kill('SIGKILL');
    await once(server.child, 'exit');
    server = await start(dataDir, port);
    const listensAt = performance.now();
    await Promise.all(pushers.map(async (each) => times.push((await each.next()) - listensAt)));
  }
  const answered = await Promise.all(pushers.map((each) => each.stop()));
  const reader = new Worker(url, { readOnly: true });
  const { tensors } = await reader.pull();
  await reader.close();
  server.child.kill('SIGKILL');
  const sum = answered.reduce((total, each) => total + each, 0);
  const found = -((tensors as Record<string, { data: Float32Array }>).w?.data[0] ?? 0);
  if (found !== sum) throw new Error(`${sum} pushes were acknowledged, the parameters hold ${found}`);
  return times;
}

/** Starts a server; resolves when it listens. */
async function start(dataDir: string, port: string): Promise<{ child: ChildProcess; url: string }> {
  const child = spawn(process.execPath, [join(BUILD_DIR, 'durableServer.js'), dataDir, port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [url] = (await once(createInterface(child.stdout), 'line')) as [string];
  return { child, url };
}

/** A worker that pushes without a pause. */
class Pusher {
  readonly #worker: Worker;
  readonly #loop: Promise<void>;
  #answered = 0;
  #isStopped = false;
  #waiting: ((at: number) => void) | undefined;

  constructor(url: string) {
    this.#worker = new Worker(url);
    this.#loop = this.#run();
  }

  /** When the next push is acknowledged. */
  next(): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }

  /** Ends it; resolves to how many pushes were acknowledged. */
  async stop(): Promise<number> {
    this.#isStopped = true;
    await this.#loop;
    await this.#worker.close();
    return this.#answered;
  }

  async #run(): Promise<void> {
    const w = new Float32Array(1024).fill(1);
    while (!this.#isStopped) {
      await this.#worker.push({ w } as never);
      this.#answered++;
      this.#waiting?.(performance.now());
      this.#waiting = undefined;
    }
  }
}
