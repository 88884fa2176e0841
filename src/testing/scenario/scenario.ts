/**
 * Scenarios: a few lines that say who trains and what happens, for people. Each line is
 *
 *     server: ssp(1), journal, minWorkers 2         model, durability, minWorkers, lease and grace in ms; all optional
 *     worker a: 3 clocks of 10 ms                   and: , joins at 5 ms; , pauses 30 ms before clock 2; , stays
 *     at 12 ms: reset a                             what may follow `at`: see `ACTIONS`
 *     # …                                           a remark
 */
import { invalidArgument } from '../../core/base/errors.js';
import type { Consistency } from '../../core/consistency/consistency.js';
import type { SimDurability } from '../cluster/serverStore.js';
import { type Fault, type FaultKind, LOST_ANSWER } from '../faults/faults.js';
import { parseConsistency } from '../search/scheduleText.js';

/** A worker of a scenario. */
export interface ScenarioWorker {
  readonly id: string;
  readonly clocks: number;
  readonly computeMs: number;
  readonly joinsAt: number;
  /** Clock before which it pauses outside the clock table; −1: none. */
  readonly pausesBefore: number;
  readonly pauseMs: number;
  /** It stays connected when it is done. */
  readonly stays: boolean;
}

/** What happens at some time. */
export type ScenarioAction =
  | { readonly at: number; readonly fault: Fault }
  | { readonly at: number; readonly model: Consistency };

/** A scenario. */
export interface Scenario {
  readonly model: Consistency;
  readonly durability: SimDurability;
  readonly minWorkers: number;
  readonly leaseMs: number;
  readonly graceMs: number;
  readonly pullTimeoutMs: number;
  readonly maxDelay: number;
  readonly workers: readonly ScenarioWorker[];
  readonly actions: readonly ScenarioAction[];
}

interface ActionForm {
  readonly pattern: RegExp;
  readonly kind: FaultKind;
  readonly variant: number;
}

/** What may follow `at 12 ms:`; the first group is a worker, the last a time. */
const ACTIONS: readonly ActionForm[] = [
  { pattern: /^reset (\w+)$/, kind: 'reset', variant: 0 },
  // The push arrives, its answer does not.
  { pattern: /^reset (\w+), its answer lost$/, kind: 'reset', variant: LOST_ANSWER },
  { pattern: /^cut off (\w+) for (\d+) ms$/, kind: 'cutOff', variant: 0 },
  { pattern: /^stop (\w+) for (\d+) ms$/, kind: 'stopWorker', variant: 0 },
  { pattern: /^kill (\w+) for good$/, kind: 'killWorker', variant: 0 },
  { pattern: /^kill (\w+) for (\d+) ms$/, kind: 'killWorker', variant: 0 },
  { pattern: /^second process of (\w+), the first stopped for (\d+) ms$/, kind: 'secondProcess', variant: 0 },
  {
    pattern: /^second process of (\w+), the first stopped and disconnected for (\d+) ms$/,
    kind: 'secondProcess',
    variant: 1,
  },
  { pattern: /^stop the server for (\d+) ms$/, kind: 'stopServer', variant: 0 },
  { pattern: /^kill the server for (\d+) ms$/, kind: 'killServer', variant: 1 },
  { pattern: /^no power for the server for (\d+) ms$/, kind: 'killServer', variant: 0 },
  { pattern: /^drain the server for (\d+) ms$/, kind: 'drainServer', variant: 0 },
];

/** The scenario that `text` describes. Throws `PS_INVALID_ARGUMENT` that names the line. */
export function parseScenario(text: string): Scenario {
  const workers: ScenarioWorker[] = [];
  const actions: ScenarioAction[] = [];
  let server: Omit<Scenario, 'workers' | 'actions'> = parseServer('', 0);
  for (const [i, line] of text.split('\n').entries()) {
    const number = i + 1;
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, head = '', rest = ''] = /^([^:]+): *(.*)$/.exec(line) ?? [];
    if (head === 'server') server = parseServer(rest, number);
    else if (head.startsWith('worker ')) workers.push(parseWorker(head.slice(7), rest, number));
    else if (/^at [\d.]+ ms$/.test(head)) actions.push(parseAction(Number(head.split(' ')[1]), rest, number));
    else throw invalidArgument(`line ${number}`, line, 'server: …, worker NAME: …, at TIME ms: … or # …');
  }
  return { ...server, workers, actions };
}

function parseServer(text: string, line: number): Omit<Scenario, 'workers' | 'actions'> {
  let [model, durability]: [Consistency, SimDurability] = [parseConsistency('server', 'ssp(3)'), 'memory'];
  const numbers = {
    minWorkers: 1,
    leaseMs: 30_000,
    graceMs: 5_000,
    pullTimeoutMs: 60_000,
    maxDelay: Infinity,
  };
  const names: Readonly<Record<string, keyof typeof numbers>> = {
    minWorkers: 'minWorkers',
    lease: 'leaseMs',
    grace: 'graceMs',
    'pull timeout': 'pullTimeoutMs',
    'max delay': 'maxDelay',
  };
  for (const part of text === '' ? [] : text.split(/, */)) {
    const [, name = '', value] = /^([a-z A-Z]+?) (\d+)(?: ms)?$/.exec(part) ?? [];
    const key = names[name];
    if (key !== undefined) numbers[key] = Number(value);
    else if (/^(memory|journal|journal-async|checkpoint)$/.test(part)) durability = part as SimDurability;
    else model = parseConsistency(`line ${line}`, part);
  }
  return { model, durability, ...numbers };
}

function parseWorker(id: string, text: string, line: number): ScenarioWorker {
  const [first = '', ...parts] = text.split(/, */);
  const [, clocks, computeMs] = /^(\d+) clocks? of (\d+) ms$/.exec(first) ?? [];
  if (clocks === undefined) throw invalidArgument(`line ${line}`, first, '3 clocks of 10 ms');
  let worker: ScenarioWorker = {
    id,
    clocks: Number(clocks),
    computeMs: Number(computeMs),
    joinsAt: 0,
    pausesBefore: -1,
    pauseMs: 0,
    stays: false,
  };
  for (const part of parts) {
    const [, joinsAt] = /^joins at (\d+) ms$/.exec(part) ?? [];
    const [, pauseMs, pausesBefore] = /^pauses (\d+) ms before clock (\d+)$/.exec(part) ?? [];
    if (joinsAt !== undefined) worker = { ...worker, joinsAt: Number(joinsAt) };
    else if (pauseMs !== undefined)
      worker = { ...worker, pauseMs: Number(pauseMs), pausesBefore: Number(pausesBefore) };
    else if (part === 'stays') worker = { ...worker, stays: true };
    else throw invalidArgument(`line ${line}`, part, 'joins at N ms, pauses N ms before clock N, stays');
  }
  return worker;
}

function parseAction(at: number, text: string, line: number): ScenarioAction {
  const [, model] = /^change to (.*)$/.exec(text) ?? [];
  if (model !== undefined) return { at, model: parseConsistency(`line ${line}`, model) };
  for (const { pattern, kind, variant } of ACTIONS) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const groups = match.slice(1);
    const ms = / for good$/.test(text) ? Infinity : kind === 'reset' ? 0 : Number(groups.at(-1));
    const isOfServer = groups.length === 1 && / server for /.test(text);
    return { at, fault: { kind, at, ms, variant, worker: isOfServer ? '' : (groups[0] as string) } };
  }
  throw invalidArgument(`line ${line}`, text, 'change to MODEL, or one of the actions of scenario.ts');
}
