/**
 * Floods: the rate that two workers keep while another process does its worst, beside the rate just before. The sums
 * that the server then holds must be exact. Attacker, server and workers share the machine: a process that only computes
 * is the first row, and what processors each takes stands beside the rates.
 */
import { join } from 'node:path';
import { ATTACKS, type Attack } from '../attacks.js';
import { Child, cpuSecondsOf, memoryOf } from '../childProcess.js';
import { numberIn } from '../lines.js';
import type { Row } from '../report.js';
import { spreadOf } from '../statistics.js';
import { type Context, MIB, type Suite } from '../suite.js';

const WORKERS = 2;
/** Elements that readers pull beside the workers' 1,024: an answer is more than sockets hold. */
const BALLAST = 4 * MIB;
/** Until a flood is at its worst; one of connections, until a fleet's worth has come. */
const RISE_MS = 1500;
const CONNECTIONS_RISE_MS = 5000;

/** What one repetition found. */
interface Flood {
  readonly aloneRate: number;
  readonly rate: number;
  readonly serverCpu: number;
  readonly attackerCpu: number;
  readonly serverPeakBytes: number;
  readonly opened: number;
}

/** The share of their rate that workers keep. */
export const floods: Suite = {
  name: 'floods',
  about: 'the rate that 2 workers keep under each kind of flood',
  async run(context) {
    const rows: Row[] = [];
    const wanted = context.isQuick ? 1 : context.timing.repetitions;
    for (const attack of attacksNamed(context.attacks)) {
      const found: Flood[] = [];
      let failure: string | undefined;
      try {
        while (found.length < wanted) found.push(await flood(context, attack));
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error);
      }
      rows.push(rowOf(attack.name, found, failure));
    }
    context.report(rows);
  },
};

function attacksNamed(words: readonly string[] | undefined): readonly Attack[] {
  if (words === undefined) return ATTACKS;
  const chosen = ATTACKS.filter(({ name }) => words.some((word) => name.includes(word)));
  if (chosen.length === 0)
    throw new Error(`--attacks is ${words}; there are: ${ATTACKS.map(({ name }) => name).join('; ')}`);
  return chosen;
}

function rowOf(subject: string, found: readonly Flood[], failure: string | undefined): Row {
  const row = { suite: 'floods', case: `${WORKERS} workers, rounds of 4 KB`, subject, unit: 'rounds/s' };
  if (failure !== undefined) return { ...row, isChecked: false, failure };
  const median = (of: (each: Flood) => number): number => spreadOf(found.map(of)).median;
  return {
    ...row,
    value: spreadOf(found.map(({ rate }) => rate)),
    ratio: spreadOf(found.map(({ rate, aloneRate }) => rate / aloneRate)),
    ratioTo: 'alone',
    more: {
      'server CPUs': median(({ serverCpu }) => serverCpu),
      'attacker CPUs': median(({ attackerCpu }) => attackerCpu),
      'server MiB': median(({ serverPeakBytes }) => serverPeakBytes / MIB),
      connections: median(({ opened }) => opened),
    },
    isChecked: true,
  };
}

/** A server and workers of their own for each flood: what one leaves behind is not the next one's. */
async function flood(context: Context, attack: Attack): Promise<Flood> {
  const ms = Math.max(2000, context.timing.measureMs);
  const server = processOf(context, 'floodProcess', 'server', `${BALLAST}`);
  const children = [server];
  try {
    const { url } = await server.next();
    const workers = processOf(context, 'floodProcess', 'workers', `${url}`, `${WORKERS}`);
    children.push(workers);
    await workers.next();
    await workers.ask(`measure ${RISE_MS}`);
    const aloneRate = numberIn(await workers.ask(`measure ${ms}`), 'rate');
    const { name: _, ...plan } = attack;
    const port = Number(new URL(`${url}`).port);
    const attacker = processOf(context, 'attack', JSON.stringify({ ...plan, port }));
    children.push(attacker);
    await attacker.next();
    await workers.ask(`measure ${attack.openingsPerS === undefined ? RISE_MS : CONNECTIONS_RISE_MS}`);
    const cpus = [server, attacker].map(({ pid }) => cpuSecondsOf(pid));
    const begin = performance.now();
    const rate = numberIn(await workers.ask(`measure ${ms}`), 'rate');
    const seconds = (performance.now() - begin) / 1e3;
    const [serverCpu = 0, attackerCpu = 0] = [server, attacker].map(
      ({ pid }, i) => (cpuSecondsOf(pid) - (cpus[i] ?? 0)) / seconds,
    );
    const opened = numberIn(await attacker.ask('counts'), 'opened');
    await attacker.end();
    const steps = numberIn(await workers.ask('stop'), 'steps');
    const applied = numberIn(await server.ask('steps'), 'steps');
    if (applied !== steps) throw new Error(`${steps} pushes were answered, ${applied} are in the parameters`);
    return {
      aloneRate,
      rate,
      serverCpu,
      attackerCpu,
      serverPeakBytes: memoryOf(server.pid).peakBytes,
      opened,
    };
  } finally {
    for (const child of children.reverse()) await child.end();
  }
}

function processOf({ ground }: Context, program: string, ...words: string[]): Child {
  const [node = '', ...rest] = ground.childCommand;
  const file = rest.at(-1)?.replace('child.', `${program}.`) ?? join(ground.buildDir, `${program}.js`);
  const flags = words[0] === 'server' ? ground.serverFlags : ground.workerFlags;
  return new Child(`floods: ${words[0]}`, [node, ...flags, ...rest.slice(0, -1), file, ...words]);
}
