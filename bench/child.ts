/**
 * A server or a worker process of the suite. Its plan is the first argument, commands come by standard
 * input, answers go to standard output; it ends with its standard input, so none outlives the driver.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type Answer, answer, readLines } from './lines.js';
import { checkValues, type Part, roundsIn } from './model.js';
import type { ConnectPlan, Peer, PeerServer, PeerWorker, ServePlan } from './peer.js';
import { Measurement, type Operation, type Pace } from './worker.js';

/** The first argument of a child process. */
export type ChildPlan = { readonly peer: string } & (
  | { readonly role: 'server'; readonly serve: ServePlan; readonly watchesEventLoop: boolean }
  | ({ readonly role: 'worker'; readonly connect: ConnectPlan } & WorkerPlan)
);

/** What a worker process does. */
export interface WorkerPlan {
  /** Workers in this process. */
  readonly connections: number;
  readonly operation: Operation;
  readonly pace?: Pace;
}

/** Between two looks at the event loop. */
const WATCH_MS = 1;

async function serve(peer: Peer, plan: Extract<ChildPlan, { role: 'server' }>): Promise<void> {
  const server = await (peer.serve as NonNullable<Peer['serve']>)(plan.serve);
  const delay = plan.watchesEventLoop ? monitorEventLoopDelay({ resolution: WATCH_MS }) : undefined;
  delay?.enable();
  answer({ port: server.port, pid: server.pid ?? process.pid });
  obey((words) => {
    if (words[0] === 'mark') delay?.reset();
    // What the histogram holds is the time between two looks, its own period included.
    const stallMs = (ns: number): number => Math.max(0, ns / 1e6 - WATCH_MS);
    if (delay === undefined || words[0] === 'mark') return {};
    return { stallMaxMs: stallMs(delay.max), stallP99Ms: stallMs(delay.percentile(99)) };
  }, server);
}

async function work(peer: Peer, plan: Extract<ChildPlan, { role: 'worker' }>): Promise<void> {
  const connect = peer.connect as NonNullable<Peer['connect']>;
  const workers: PeerWorker[] = [];
  for (let k = 0; k < plan.connections; k++) workers.push(await connect(plan.connect));
  answer({ ready: true });
  let measurement: Measurement | undefined;
  obey(async ([command, ...values]) => {
    const [first = 0, second = 0] = values.map(Number);
    if (command === 'measure') {
      const span = { warmUpMs: first, measureMs: second };
      measurement = new Measurement(workers, plan.operation, plan.pace, span, plan.connect.ticks);
      await measurement.warm();
      answer({ warm: true });
      return { ...(await measurement.report()) };
    }
    if (command === 'stop') return { total: (await measurement?.stop()) ?? 0 };
    if (command === 'repeat') {
      for (let k = 0; k < first; k++) await workers[0]?.round();
      return { total: first };
    }
    if (command === 'check') {
      const worker = plan.connect.ticks ? await connect({ ...plan.connect, readOnly: true }) : workers[0];
      await check(worker as PeerWorker, plan.connect, peer.applies ? first : 0);
    }
    return { ok: true };
  });
}

/** Pulls, and compares every value with what it must be after so many rounds; NaN: after the same number all. */
async function check(worker: PeerWorker, { parts }: ConnectPlan, rounds: number): Promise<void> {
  await worker.pull();
  const values = worker.pulled() as readonly [Float32Array, ...Float32Array[]];
  const applied = Number.isNaN(rounds) ? roundsIn(parts[0] as Part, values[0]) : rounds;
  parts.forEach((part, k) => {
    checkValues(part, values[k] as Float32Array, applied);
  });
  await worker.checkPush?.();
}

/** Carries out commands until there are no more, then ends the process. */
function obey(command: (words: string[]) => object | Promise<object>, server?: PeerServer): void {
  readLines(
    process.stdin,
    (line) => {
      Promise.resolve(command(line.split(' '))).then((fields) => answer(fields as Answer), fail);
    },
    () => {
      server?.close?.();
      process.exit(0);
    },
  );
}

function fail(error: unknown): void {
  console.error(error);
  process.exit(1);
}

const plan = JSON.parse(process.argv[2] ?? 'null') as ChildPlan;
const { peer } = (await import(`./peers/${plan.peer}.js`)) as { peer: Peer };
await (plan.role === 'server' ? serve(peer, plan) : work(peer, plan)).catch(fail);
