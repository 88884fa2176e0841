/**
 * Runs one arrangement of server and workers, in processes of their own, and measures it: warm-up, the
 * measured time, the server's memory, the check of the result. Arrangements that are compared take turns
 * (A B A B …), so that what else the machine does meets all of them.
 */
import { availableParallelism } from 'node:os';
import type { ChildPlan, WorkerPlan } from './child.js';
import { Child, cpuSecondsOf, memoryOf } from './childProcess.js';
import { numberIn } from './lines.js';
import { type ModelPlan, partsOf } from './model.js';
import type { ConnectPlan, Peer, ServePlan } from './peer.js';
import type { WorkerReport } from './worker.js';

/** How children are started. */
export interface Ground {
  readonly childCommand: readonly string[];
  readonly buildDir: string;
  /** Where `taskset` puts processes: `'auto'` separates one server and one worker for small models. */
  readonly pin: 'auto' | 'always' | 'never';
  /** Added to the arguments of Node in the server or the workers, to profile them. */
  readonly serverFlags: readonly string[];
  readonly workerFlags: readonly string[];
}

/** One server (or group of servers) and its worker processes. */
export interface Arrangement {
  readonly peer: Peer;
  readonly model: ModelPlan;
  readonly workers: readonly WorkerPlan[];
  readonly serve?: Pick<ServePlan, 'consistency' | 'minWorkers'>;
  readonly ticks?: boolean;
  readonly watchesEventLoop?: boolean;
}

/** How long to measure. */
export interface Timing {
  readonly warmUpMs: number;
  readonly measureMs: number;
  readonly repetitions: number;
}

/** What one repetition found. */
export interface Sample {
  /** Of each worker process. */
  readonly reports: readonly WorkerReport[];
  /** Operations per second of all workers. */
  readonly rate: number;
  /** Highest resident memory of the servers together, before the check. */
  readonly serverPeakBytes: number;
  /** Processor seconds per second of time, of the servers and of the workers. */
  readonly serverLoad: number;
  readonly workerLoad: number;
  readonly stallMaxMs?: number;
  readonly stallP99Ms?: number;
}

/** Where pinning matters most: below this, a round takes less time than moving a process does. */
const SMALL_MODEL_BYTES = 1_000_000;

/** `workers` processes of one worker each. */
export function workersOf(count: number, operation: WorkerPlan['operation'] = 'round'): WorkerPlan[] {
  return Array.from({ length: count }, () => ({ connections: 1, operation }));
}

/** The repetitions of one arrangement, or why there are none. */
export interface Outcome {
  readonly samples: readonly Sample[];
  readonly failure?: string;
}

/** Measures each arrangement once per repetition, in turn. One that fails is not tried again. */
export async function measureInTurn(
  ground: Ground,
  arrangements: readonly Arrangement[],
  timing: Timing,
): Promise<Outcome[]> {
  const outcomes = arrangements.map((): { samples: Sample[]; failure?: string } => ({ samples: [] }));
  for (let repetition = 0; repetition < timing.repetitions; repetition++) {
    for (const [k, arrangement] of arrangements.entries()) {
      const outcome = outcomes[k] as (typeof outcomes)[number];
      if (outcome.failure !== undefined) continue;
      try {
        outcome.samples.push(await measure(ground, arrangement, timing));
      } catch (error) {
        outcome.failure = error instanceof Error ? error.message : String(error);
      }
    }
  }
  return outcomes;
}

/** One repetition, in fresh processes. Rejects if a process fails, or the result is not what it must be. */
export async function measure(ground: Ground, arrangement: Arrangement, timing: Timing): Promise<Sample> {
  return withProcesses(ground, arrangement, async ({ servers, serverPids, workers }) => {
    for (const worker of workers) worker.send(`measure ${timing.warmUpMs} ${timing.measureMs}`);
    await Promise.all(workers.map((worker) => worker.next()));
    await Promise.all(servers.map((server) => askServer(arrangement, server, 'mark')));
    const workerPids = workers.map(({ pid }) => pid);
    const loads = [serverPids, workerPids].map(loadMeter);
    const reports = await Promise.all(workers.map(async (worker) => reportIn(await worker.next())));
    const [serverLoad = 0, workerLoad = 0] = loads.map((load) => load());
    const [loop] = await Promise.all(servers.map((server) => askServer(arrangement, server, 'report')));
    const totals = await Promise.all(workers.map((worker) => worker.ask('stop')));
    const serverPeakBytes = sum(serverPids.map((pid) => memoryOf(pid).peakBytes));
    // Only rounds change the parameters; the first worker pulls them as it pulled all the time.
    const rounds = sum(
      totals.map((total, k) =>
        arrangement.workers[k]?.operation === 'round' ? numberIn(total, 'total') : 0,
      ),
    );
    await workers[0]?.ask(`check ${arrangement.serve?.consistency === 'bsp' ? 'any' : rounds}`);
    const rate = sum(reports.map((report) => report.rate));
    return { reports, rate, serverPeakBytes, serverLoad, workerLoad, ...loop };
  });
}

/** A function that says how much processor time processes have used per second since now. */
function loadMeter(pids: readonly number[]): () => number {
  const used = (): number => sum(pids.map(cpuSecondsOf));
  const begin = performance.now();
  const before = used();
  return () => (used() - before) / ((performance.now() - begin) / 1e3);
}

/** The processes of an arrangement, connected. */
export interface Processes {
  readonly servers: readonly Child[];
  readonly serverPids: readonly number[];
  readonly workers: readonly Child[];
}

/** Starts the processes of an arrangement, hands them to `use`, and ends them. */
export async function withProcesses<T>(
  ground: Ground,
  arrangement: Arrangement,
  use: (processes: Processes) => Promise<T>,
): Promise<T> {
  const { peer } = arrangement;
  const started: Child[] = [];
  const start = (kind: 'server' | 'worker', words: string[]): Child => {
    const child = new Child(`${peer.name} ${kind}`, [...pinning(ground, arrangement, kind), ...words]);
    started.push(child);
    return child;
  };
  try {
    const count = peer.servers ?? 1;
    const servers = Array.from({ length: count }, (_, k) =>
      start('server', serverWords(ground, arrangement, k)),
    );
    const hellos = await Promise.all(servers.map((server) => server.next()));
    const ports = hellos.map((hello) => numberIn(hello, 'port'));
    const serverPids = hellos.map(({ pid }, k) =>
      typeof pid === 'number' ? pid : (servers[k] as Child).pid,
    );
    const workers = arrangement.workers.map((plan) =>
      start('worker', workerWords(ground, arrangement, plan, ports)),
    );
    await Promise.all(workers.map((worker) => worker.next()));
    return await use({ servers, serverPids, workers });
  } finally {
    // Workers first: a server that goes first would be missed.
    for (const child of started.reverse()) await child.end();
  }
}

function serverWords(
  ground: Ground,
  { peer, model, serve, watchesEventLoop }: Arrangement,
  k: number,
): string[] {
  if (peer.command !== undefined)
    return peer.command(ground.buildDir, { role: 'server', bytes: model.bytes });
  return nodeWords(ground.childCommand, ground.serverFlags, {
    role: 'server',
    peer: peer.name,
    serve: { parts: partsOf(model), index: k, count: peer.servers ?? 1, ...serve },
    watchesEventLoop: watchesEventLoop ?? false,
  });
}

function workerWords(ground: Ground, arrangement: Arrangement, plan: WorkerPlan, ports: number[]): string[] {
  const { peer, model, ticks = false } = arrangement;
  if (peer.command !== undefined) {
    const role = { role: 'worker', bytes: model.bytes, port: ports[0] as number } as const;
    return peer.command(ground.buildDir, { ...role, operation: plan.operation });
  }
  const connect: ConnectPlan = { parts: partsOf(model), ports, ticks };
  return nodeWords(ground.childCommand, ground.workerFlags, {
    role: 'worker',
    peer: peer.name,
    connect,
    ...plan,
  });
}

function nodeWords(command: readonly string[], flags: readonly string[], plan: ChildPlan): string[] {
  const [node = '', ...rest] = command;
  return [node, ...flags, ...rest, JSON.stringify(plan)];
}

function pinning(ground: Ground, { model, workers }: Arrangement, kind: 'server' | 'worker'): string[] {
  const isSmall = model.bytes < SMALL_MODEL_BYTES && workers.length === 1;
  return ground.pin === 'auto' && !isSmall ? [] : onItsCpu(ground, kind);
}

/** What puts a command on its CPU: servers on the first, workers on the others; nothing where that can't be, or must not. */
export function onItsCpu({ pin }: Ground, kind: 'server' | 'worker'): string[] {
  const cpus = availableParallelism();
  if (cpus < 2 || pin === 'never') return [];
  return ['taskset', '-c', kind === 'server' ? '0' : `1-${cpus - 1}`];
}

async function askServer({ peer }: Arrangement, server: Child, command: string): Promise<object> {
  return peer.command === undefined ? server.ask(command) : {};
}

function reportIn(fields: Readonly<Record<string, unknown>>): WorkerReport {
  const [rate, rounds, p50Us, p99Us, maxUs] = ['rate', 'rounds', 'p50Us', 'p99Us', 'maxUs'].map((name) =>
    numberIn(fields, name),
  ) as [number, number, number, number, number];
  return { rate, rounds, p50Us, p99Us, maxUs };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, each) => total + each, 0);
}
