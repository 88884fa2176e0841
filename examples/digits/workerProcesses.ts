/**
 * Starts the worker processes of the demo, and sees to those that die: before training has begun
 * one is started again, later the others go on without it.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';

const MAX_STARTS = 3;

export interface WorkerSettings {
  readonly url: string;
  readonly workers: number;
  readonly steps: number;
  readonly seed: number;
  /** Whether the workers train yet; until then all of them are awaited. */
  readonly hasBegun: () => boolean;
  /** Called with a line for the user when a worker dies. */
  readonly note: (text: string) => void;
}

/** Runs all workers to their ends and returns how many finished all their steps. */
export async function runWorkers(settings: WorkerSettings): Promise<number> {
  const ranks = Array.from({ length: settings.workers }, (_, rank) => rank);
  const finished = await Promise.all(ranks.map((rank) => runWorker(rank, settings)));
  return finished.filter(Boolean).length;
}

async function runWorker(rank: number, { url, workers, steps, seed, hasBegun, note }: WorkerSettings) {
  for (let start = 1; start <= MAX_STARTS; start++) {
    const child = fork(new URL('./worker.ts', import.meta.url), {
      env: {
        ...process.env,
        PSLIB_SERVERS: url,
        PSLIB_RANK: `${rank}`,
        PSLIB_WORLD_SIZE: `${workers}`,
        DIGITS_STEPS: `${steps}`,
        DIGITS_SEED: `${seed}`,
      },
    });
    const [code, signal] = await once(child, 'exit');
    if (code === 0) return true;
    const cause = signal ?? `exit code ${code}`;
    if (hasBegun()) {
      note(`worker-${rank} (process ${child.pid}) died: ${cause}. The others go on without it.`);
      return false;
    }
    note(`worker-${rank} (process ${child.pid}) died before training began: ${cause}.`);
  }
  return false;
}
