/**
 * The digits on a real Slurm of three pretended nodes: one script in one step and in two, the same bits as on one
 * machine, a node that is lost, and a job that is put back into the queue.
 */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expandNodeList } from '../../src/launch/place/nodeList.js';
import { missingPrograms, SlurmCluster } from './cluster.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const SERVERS = 2;
const WORKERS = 6 - SERVERS;
/** A guard against hangs. */
const JOB_TIMEOUT_MS = 90_000;
const missing = missingPrograms();
if (missing.length > 0) console.log(`Slurm is not installed here: ${missing.join(', ')} are missing`);
// In CI it must be there.
const isSkipped = missing.length > 0 && !process.env.CI;

const cluster = new SlurmCluster(3);
const followers: ChildProcessByStdio<null, Readable, null>[] = [];

beforeAll(() => (isSkipped ? undefined : cluster.start()));
afterAll(async () => {
  for (const follower of followers) follower.kill();
  if (!isSkipped) await cluster.stop();
});

/** A job of the batch script `script`, whose output is read as it comes. */
class Job {
  readonly id: string;
  readonly lines: string[] = [];
  readonly #waiting: { pattern: RegExp; resolve: (line: string) => void }[] = [];

  constructor(id: string, output: string) {
    this.id = id;
    const follower = spawn('tail', ['-n', '+1', '-F', '-s', '0.05', output], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    followers.push(follower);
    createInterface(follower.stdout).on('line', (line) => {
      this.lines.push(line);
      for (const each of [...this.#waiting]) {
        if (!each.pattern.test(line)) continue;
        this.#waiting.splice(this.#waiting.indexOf(each), 1);
        each.resolve(line);
      }
    });
  }

  /** A line that matches, from now on. */
  async next(pattern: RegExp): Promise<string> {
    const line = new Promise<string>((resolve) => this.#waiting.push({ pattern, resolve }));
    const guard = new AbortController();
    const late = sleep(JOB_TIMEOUT_MS, undefined, { signal: guard.signal }).catch(() => undefined);
    const found = await Promise.race([line, late]);
    guard.abort();
    if (found !== undefined) return found;
    const { out } = await cluster.run('scontrol', ['show', 'job', this.id]);
    throw new Error(`no line ${pattern} of job ${this.id}\n${this.#told()}\n${out}\n${cluster.logs()}`);
  }

  /** Waits until Slurm says that the job has ended, and returns what it says. */
  async ended(): Promise<string> {
    let state = '';
    const isOver = async (): Promise<boolean> => {
      state = await this.#state();
      return !['PENDING', 'RUNNING', 'COMPLETING'].includes(state);
    };
    try {
      await cluster.until(`job ${this.id} has ended`, isOver, JOB_TIMEOUT_MS);
    } catch (error) {
      throw new Error(`${this.#told()}\n${(error as Error).message}`);
    }
    return state;
  }

  /** Puts the job back into the queue, from which Slurm starts it when its credential has expired. */
  async requeue(): Promise<void> {
    expect(await cluster.run('scontrol', ['requeue', this.id])).toMatchObject({ code: 0 });
  }

  #told(): string {
    return this.lines.slice(-40).join('\n');
  }

  async #state(): Promise<string> {
    const { out } = await cluster.run('scontrol', ['show', 'job', '--oneliner', this.id]);
    return /JobState=(\w+)/.exec(out)?.[1] ?? 'UNKNOWN';
  }
}

async function submit(script: string, variables: Readonly<Record<string, string>>): Promise<Job> {
  const place = join(cluster.folder, `job-${Math.random().toString(36).slice(2)}`);
  mkdirSync(place);
  const output = join(place, 'out');
  writeFileSync(output, '');
  const all = {
    PSLIB_SERVER_COUNT: `${SERVERS}`,
    PSLIB_WORKER_COUNT: `${WORKERS}`,
    PSLIB_DATA_DIR: join(place, 'state'),
    TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'),
    ...variables,
  };
  const exported = Object.entries(all).map(([name, value]) => `${name}=${value}`);
  const { code, out } = await cluster.run('sbatch', [
    ...['--parsable', `--chdir=${root}`, `--output=${output}`, `--export=ALL,${exported.join(',')}`],
    join(root, 'examples/slurm', script),
  ]);
  expect(code, out).toBe(0);
  return new Job(out.trim(), output);
}

/** What server 0 says at the end. */
function resultIn(lines: readonly string[]): { accuracy: number; hash: string } {
  const [, accuracy, hash = ''] = /accuracy (0\.\d{3})\s+parameters (\w+)/.exec(lines.join('\n')) ?? [];
  if (accuracy === undefined) throw new Error(`no accuracy in\n${lines.join('\n')}`);
  return { accuracy: Number(accuracy), hash };
}

/** The same training by `pslib launch`. */
async function localRun(
  variables: Readonly<Record<string, string>>,
): Promise<{ accuracy: number; hash: string }> {
  const args = ['launch', '--servers', `${SERVERS}`, '--workers', `${WORKERS}`];
  const train = [process.execPath, '--import', 'tsx', 'examples/launch/train.ts'];
  const out = await new Promise<string>((resolve, reject) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', 'src/cli/main.ts', ...args, '--', ...train],
      { cwd: root, env: { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'), ...variables } },
      (error, stdout, stderr) => (error === null ? resolve(stdout) : reject(new Error(stdout + stderr))),
    );
  });
  return resultIn(out.split('\n'));
}

describe.skipIf(isSkipped)('on three nodes', () => {
  test('node lists are written out as Slurm does it', async () => {
    for (const list of ['n[1-3]', 'n[2-3],n1', 'a[08-11,3],c', 'rack[1-2]n[1-2]']) {
      const { out } = await cluster.run('scontrol', ['show', 'hostnames', list]);
      expect(expandNodeList('SLURM_JOB_NODELIST', list)).toEqual(out.trim().split('\n'));
    }
  });

  test('one step and two steps end with the bits of the run on one machine', async () => {
    const variables = { DIGITS_STEPS: '40', DIGITS_CONSISTENCY: 'bsp' };
    const [local, ...jobs] = await Promise.all([
      localRun(variables),
      ...['one-step.sbatch', 'two-steps.sbatch'].map(async (script) => {
        const job = await submit(script, variables);
        expect(await job.ended(), job.lines.join('\n')).toBe('COMPLETED');
        return resultIn(job.lines);
      }),
    ]);
    expect(local.accuracy).toBeGreaterThan(0.6);
    expect(jobs).toEqual([local, local]);
  });

  test('a node that is lost costs its workers, and nothing else', async () => {
    const job = await submit('one-step.sbatch', { DIGITS_STEPS: '200' });
    await job.next(/minClock 50 /);
    await cluster.loseNode('n3', job.id);
    await job.ended();
    cluster.startNode('n3');
    const { accuracy } = resultIn(job.lines);
    expect(accuracy).toBeGreaterThan(0.9);
    const finished = job.lines.filter((line) => /worker \d took 200 steps/.test(line));
    expect(finished).toHaveLength(WORKERS - 2);
    await cluster.until('the node is back', async () => {
      return (await cluster.run('sinfo', ['--noheader', '--format=%D %t'])).out.trim() === '3 idle';
    });
  });

  test('a job that is put back into the queue goes on from the state of its servers', async () => {
    // So many steps that Slurm surely stops it before the last one.
    const job = await submit('one-step.sbatch', { DIGITS_STEPS: '1000' });
    await job.next(/minClock 50 /);
    const again = job.next(/server 0 .* goes on at minClock/);
    await job.requeue();
    const [, minClock] = /minClock (\d+)/.exec(await again) ?? [];
    expect(Number(minClock)).toBeGreaterThanOrEqual(50);
    expect(await job.ended(), job.lines.join('\n')).toBe('COMPLETED');
    expect(resultIn(job.lines).accuracy).toBeGreaterThan(0.9);
  });
});
