/**
 * Starts the worker processes of the demo, and sees to those that die: before training has begun
 * one is started again, later the others go on without it. None outlives an interruption.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

const MAX_STARTS = 3;

export interface WorkerSettings {
  readonly url: string;
  readonly workers: number;
  readonly steps: number;
  readonly seed: number;
  readonly validation: boolean;
  /** Milliseconds that a worker rests in each step; 0. */
  readonly restMs?: number;
  /** Its abort ends all workers. */
  readonly signal: AbortSignal;
  /** Whether the workers train yet; until then all of them are awaited. */
  readonly hasBegun: () => boolean;
  /** Called with a line for the user: which processes there are, and when one dies. */
  readonly note: (text: string) => void;
}

/** Runs all workers to their ends and returns how many finished all their steps. */
export async function runWorkers(settings: WorkerSettings): Promise<number> {
  const running = new Set<ChildProcess>();
  settings.signal.addEventListener('abort', () => {
    for (const child of running) child.kill();
  });
  const ranks = Array.from({ length: settings.workers }, (_, rank) => rank);
  const ends = ranks.map((rank) => runWorker(rank, settings, running));
  settings.note(`Worker processes: ${Array.from(running, ({ pid }) => pid).join(', ')}`);
  const finished = await Promise.all(ends);
  return finished.filter(Boolean).length;
}

/** Runs one worker, which is among `running` meanwhile; whether it finished. */
async function runWorker(
  rank: number,
  settings: WorkerSettings,
  running: Set<ChildProcess>,
): Promise<boolean> {
  const { hasBegun, note, signal } = settings;
  for (let start = 1; start <= MAX_STARTS; start++) {
    const child = fork(new URL('./worker.ts', import.meta.url), { env: environmentOf(rank, settings) });
    running.add(child);
    const [code, killedBy] = await once(child, 'exit');
    running.delete(child);
    if (code === 0) return true;
    if (signal.aborted) return false;
    const cause = killedBy ?? `exit code ${code}`;
    if (hasBegun()) {
      note(`worker-${rank} (process ${child.pid}) died: ${cause}. The others go on without it.`);
      return false;
    }
    note(`worker-${rank} (process ${child.pid}) died before training began: ${cause}.`);
  }
  return false;
}

/** What a worker process is told: where the server is, which of how many it is, and the demo's own settings. */
function environmentOf(rank: number, settings: WorkerSettings): NodeJS.ProcessEnv {
  const { url, workers, steps, seed, validation, restMs = 0 } = settings;
  return {
    ...process.env,
    PSLIB_SERVERS: url,
    PSLIB_RANK: `${rank}`,
    PSLIB_WORLD_SIZE: `${workers}`,
    DIGITS_STEPS: `${steps}`,
    DIGITS_SEED: `${seed}`,
    DIGITS_VALIDATION: `${validation}`,
    DIGITS_REST_MS: `${restMs}`,
  };
}
