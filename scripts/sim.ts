/**
 * `npm run sim`: replays one simulated schedule with its transcript, or searches many for broken rules.
 *
 *     npm run sim -- --seed 7                      one schedule, every line of it
 *     npm run sim -- --seeds 100000                searches; prints what failed and the command that replays it
 *     npm run sim -- --seeds 5000 --faults network --consistency 'ssp(1)' --workers 4 --clocks 20
 */
import { parseArgs } from 'node:util';
import type { SimDurability } from '../src/testing/cluster/serverStore.js';
import { FAULT_GROUPS, type FaultKind, faultKindsOf } from '../src/testing/faults/faults.js';
import { type RunReport, runSchedule } from '../src/testing/search/checkedRun.js';
import { drawSchedule, type ScheduleOptions } from '../src/testing/search/schedule.js';
import { parseConsistency, scheduleText } from '../src/testing/search/scheduleText.js';
import { search } from '../src/testing/search/search.js';
import { Transcript } from '../src/testing/transcript/transcript.js';

const USAGE = `npm run sim -- --seed N | --seeds COUNT [--from N] [--failures N]
  --workers N            drawn: 2 to 4
  --clocks N             20
  --consistency MODEL    bsp, bsp(1), ssp(3) or asp; drawn
  --faults KINDS         ${Object.keys(FAULT_GROUPS).join(', ')}, or kinds with commas between; all
  --durability MODE      memory, journal, journal-async or checkpoint; drawn
  --membership HOW       fixed or changing; drawn
  --data                 workers train on data shards that the server hands out
  --rows                 sparse tables too
  --plain                one pull and one push in each clock, no late pushes
  --short                leave chunks and signs of life out of the transcript`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    from: { type: 'string', default: '0' },
    failures: { type: 'string', default: '1' },
    workers: { type: 'string' },
    clocks: { type: 'string' },
    consistency: { type: 'string' },
    faults: { type: 'string', default: 'all' },
    durability: { type: 'string' },
    membership: { type: 'string' },
    data: { type: 'boolean', default: false },
    plain: { type: 'boolean', default: false },
    rows: { type: 'boolean', default: false },
    cache: { type: 'boolean', default: false },
    short: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function integer(option: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${option} must be an integer from 0, got ${text}`);
}

function scheduleOptions(): ScheduleOptions {
  const { workers, clocks, consistency, durability, membership } = values;
  return {
    workers: workers === undefined ? undefined : integer('workers', workers),
    clocks: clocks === undefined ? undefined : integer('clocks', clocks),
    consistency: consistency === undefined ? undefined : parseConsistency('--consistency', consistency),
    faults: faultKindsOf(values.faults) as readonly FaultKind[],
    durability: durability as SimDurability | undefined,
    membership: membership as ScheduleOptions['membership'],
    hasData: values.data,
    isPlain: values.plain,
    hasRows: values.rows,
    hasCache: values.cache,
  };
}

/** The command that shows one schedule of this search. */
function replayCommand(seed: number): string {
  const given = ['workers', 'clocks', 'consistency', 'faults', 'durability', 'membership'] as const;
  const parts = given.flatMap((name) => {
    const value = values[name];
    return value === undefined || (name === 'faults' && value === 'all') ? [] : [`--${name} '${value}'`];
  });
  const switches = (['plain', 'data', 'rows', 'cache'] as const)
    .filter((name) => values[name])
    .map((name) => `--${name}`);
  return ['npm run sim --', `--seed ${seed}`, ...parts, ...switches].join(' ');
}

function verdict({ violations, ms, events, version, answered, leads, maxDelay }: RunReport): string[] {
  const pulls = leads.reduce((sum, count) => sum + count, 0);
  return [
    `${(ms / 1000).toFixed(1)} s of virtual time, ${events} events: ${answered} pushes and ${pulls} pulls answered, ` +
      `version ${version}, largest delay ${maxDelay}`,
    ...violations.map(({ rule, text, at }) => `BROKEN at ${at.toFixed(3)} ms: ${rule}: ${text}`),
    ...(violations.length === 0 ? ['every rule holds'] : []),
  ];
}

function show(seed: number): boolean {
  const schedule = drawSchedule(seed, scheduleOptions());
  for (const line of scheduleText(schedule)) console.log(line);
  let transcript: Transcript | undefined;
  const report = runSchedule(schedule, ({ timeline }) => {
    transcript = new Transcript(() => timeline.now, { isShort: values.short });
    return [transcript];
  });
  for (const line of transcript?.lines ?? []) console.log(line);
  for (const line of verdict(report)) console.log(line);
  return report.violations.length === 0;
}

function searchAll(seeds: number): boolean {
  const from = integer('from', values.from);
  const startedAt = performance.now();
  let ran = 0;
  const { failures } = search({
    ...scheduleOptions(),
    from,
    seeds,
    maxFailures: integer('failures', values.failures),
    onRun(report) {
      ran++;
      const perSecond = (1000 * ran) / (performance.now() - startedAt);
      if (ran % 200 === 0 && process.stderr.isTTY) {
        process.stderr.write(`\r${ran} of ${seeds} schedules, ${perSecond.toFixed(0)} per second `);
      }
      if (report.violations.length === 0) return;
      console.log(
        `seed ${report.schedule.seed} fails; replay it with\n  ${replayCommand(report.schedule.seed)}`,
      );
      for (const line of verdict(report).slice(1)) console.log(`  ${line}`);
    },
  });
  const seconds = (performance.now() - startedAt) / 1000;
  console.log(
    `${ran} schedules from seed ${from} in ${seconds.toFixed(1)} s (${(ran / seconds).toFixed(0)} per second): ` +
      `${failures.length === 0 ? 'every rule holds' : `${failures.length} broken`}`,
  );
  return failures.length === 0;
}

if (values.help || (values.seed === undefined && values.seeds === undefined)) console.log(USAGE);
else if (values.seed !== undefined) process.exitCode = show(integer('seed', values.seed)) ? 0 : 1;
else process.exitCode = searchAll(integer('seeds', values.seeds ?? '0')) ? 0 : 1;
