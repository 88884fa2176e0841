/**
 * `npm run bench -- [names] [options]`: measures pslib beside its baselines, prints tables and writes JSON.
 * Fails if a result was not what it must be. See `docs/performance.md`.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { BUILD_DIR, childCommand } from './build.js';
import type { Ground, Timing } from './driver.js';
import type { Peer } from './peer.js';
import { align, headOf, type Report, type Row, tableOf } from './report.js';
import type { Context, Suite } from './suite.js';
import { crowd } from './suites/crowd.js';
import { durability } from './suites/durability.js';
import { fanOut } from './suites/fanOut.js';
import { floods } from './suites/floods.js';
import { group } from './suites/group.js';
import { groupCheckpoint } from './suites/groupCheckpoint.js';
import { growth } from './suites/growth.js';
import { kernels } from './suites/kernels.js';
import { manyTensors } from './suites/manyTensors.js';
import { prompt } from './suites/prompt.js';
import { reconnect } from './suites/reconnect.js';
import { recovery } from './suites/recovery.js';
import { round } from './suites/round.js';
import { rows } from './suites/rows.js';
import { stragglers } from './suites/stragglers.js';
import { tasks } from './suites/tasks.js';
import { type Verdict, verdictsOf } from './targets.js';

const SUITES: readonly Suite[] = [
  round,
  fanOut,
  manyTensors,
  crowd,
  prompt,
  growth,
  group,
  groupCheckpoint,
  durability,
  recovery,
  reconnect,
  tasks,
  rows,
  floods,
  stragglers,
  kernels,
];

const OPTIONS = {
  sizes: { type: 'string' },
  workers: { type: 'string' },
  peers: { type: 'string' },
  attacks: { type: 'string' },
  seconds: { type: 'string' },
  repetitions: { type: 'string' },
  json: { type: 'string' },
  quick: { type: 'boolean', default: false },
  pin: { type: 'string', default: 'auto' },
  sources: { type: 'boolean', default: false },
  'profile-server': { type: 'string' },
  'profile-workers': { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const satisfies ParseArgsConfig['options'];

const HELP = `npm run bench -- [names] [options]

${SUITES.map(({ name, about }) => `  ${name.padEnd(14)}${about}`).join('\n')}

  --sizes 4KB,1MB,16MB,100MB    models to move (powers of 1,024)
  --workers 1,2,4,8             worker processes
  --peers rawC,pslib            peers: rawC rawNet bareWs naive grpc redis pslib pslibPushPull
  --attacks Stats,pings         floods whose names have one of these words in them; all
  --seconds N                   measured time of a repetition; 0.6
  --repetitions R               3
  --quick                       all benchmarks in about a minute, one repetition, roughly
  --pin auto|always|never       servers on the first CPU, workers on the others, by taskset;
                                auto: one worker and a small model
  --json FILE                   default bench/results/<date>.json
  --profile-server DIR          a CPU profile of each server; --profile-workers DIR: of each worker
  --sources                     run the sources, without a build (slower to start, more memory)`;

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>['values'];

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  if (values.help) {
    console.log(HELP);
    return;
  }
  const suites = positionals.length === 0 ? SUITES : positionals.map(suiteNamed);
  const begin = performance.now();
  const rows: Row[] = [];
  const context = contextOf(values, await groundOf(values), (added) => {
    rows.push(...added);
    console.log(tableOf(added));
  });
  const head = headOf({ suites: suites.map(({ name }) => name), ...values, ...context.timing });
  for (const suite of suites) await suite.run(context);
  const verdicts = verdictsOf(rows);
  if (verdicts.length > 0) console.log(`targets\n${align(verdicts.map(lineOf))}`);
  const report: Report = { ...head, seconds: (performance.now() - begin) / 1e3, rows, verdicts };
  const failed = rows.filter(({ failure }) => failure !== undefined);
  for (const { suite, case: name, subject, failure } of failed) {
    console.error(`FAILED ${suite}, ${name}, ${subject}: ${failure}`);
  }
  console.log(`${report.seconds.toFixed(0)} s; written to ${write(report, values.json)}`);
  if (failed.length > 0 || rows.length === 0) process.exitCode = 1;
}

function lineOf({ target, wanted, measured, isReached }: Verdict): string[] {
  return [target, measured, wanted, isReached ? 'reached' : 'missed'];
}

function contextOf(values: Values, ground: Ground, report: Context['report']): Context {
  const timing: Timing = {
    warmUpMs: values.quick ? 150 : 300,
    measureMs: 1e3 * positive('seconds', values.seconds ?? (values.quick ? '0.3' : '0.6')),
    repetitions: positive('repetitions', values.repetitions ?? (values.quick ? '1' : '3')),
  };
  const list = (text: string | undefined): string[] | undefined => text?.split(',');
  const loaded = new Map<string, Promise<Peer | undefined>>();
  return {
    ground,
    timing,
    sizes: list(values.sizes)?.map(bytesIn),
    workers: list(values.workers)?.map((text) => positive('workers', text)),
    peers: list(values.peers),
    attacks: list(values.attacks),
    isQuick: values.quick ?? false,
    peer(name) {
      const peer = loaded.get(name) ?? loadPeer(name);
      loaded.set(name, peer);
      return peer;
    },
    report,
  };
}

async function groundOf(values: Values): Promise<Ground> {
  const { pin = 'auto' } = values;
  if (pin !== 'auto' && pin !== 'always' && pin !== 'never') {
    throw new Error(`--pin is ${pin}, not auto, always or never`);
  }
  const profile = (dir: string | undefined): string[] =>
    dir === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${resolve(dir)}`];
  return {
    childCommand: await childCommand(values.sources ?? false),
    buildDir: BUILD_DIR,
    pin,
    serverFlags: profile(values['profile-server']),
    workerFlags: profile(values['profile-workers']),
  };
}

/** A peer that can run here; otherwise a note says why not. */
async function loadPeer(name: string): Promise<Peer | undefined> {
  const { peer } = (await import(`./peers/${name}.js`)) as { peer: Peer };
  const reason = await peer.prepare?.(BUILD_DIR);
  if (reason === undefined) return peer;
  console.log(`${peer.title} is left out: ${reason}\n`);
  return undefined;
}

function suiteNamed(name: string): Suite {
  const suite = SUITES.find((each) => each.name === name);
  if (suite === undefined)
    throw new Error(`no benchmark ${name}; there are ${SUITES.map((each) => each.name)}`);
  return suite;
}

function bytesIn(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(KB|MB|GB)$/.exec(text) ?? [];
  const power = ['KB', 'MB', 'GB'].indexOf(unit ?? '') + 1;
  if (power === 0) throw new Error(`--sizes has ${text}, not something like 4KB, 1MB or 1GB`);
  return 4 * Math.round((Number(count) * 1024 ** power) / 4);
}

function positive(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${option} is ${text}, not a number over 0`);
  return value;
}

/** Writes the document; where to. */
function write(report: Report, json: string | undefined): string {
  const dated = `results/${report.date.replaceAll(':', '-').slice(0, 19)}.json`;
  const file = json ?? fileURLToPath(new URL(dated, import.meta.url));
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  return file;
}

await main();
