/** The top of the page: the verdict, the settings, six figures; and at its end durability and events. */

import type { ServerReport } from '../../../io/serverReport.js';
import { bytes, bytesPerSecond, count, duration, number, percent, perSecond } from '../../view/format.js';
import { describeConsistency } from '../../view/settings.js';
import { type Verdict, type WorkerRow, waitShareOf } from '../../view/workerRows.js';
import { create, element, setData, setFacts, setText } from './dom.js';

type Figure = readonly [term: string, value: string, unit?: string];

/** Shows `verdict` and the figures. */
export function showSummary(
  report: ServerReport,
  rows: readonly WorkerRow[],
  verdict: Verdict,
  headline: { readonly name: string; readonly value: number } | undefined,
): void {
  const { stats, record } = report;
  setText(element('verdict'), verdict.text);
  setData(element('verdict'), 'trouble', String(verdict.isTrouble));
  setText(
    element('settings'),
    `${describeConsistency(stats.consistency)} · ${stats.optimizer}, learning rate ${number(stats.learningRate ?? undefined)} · up ${duration(stats.uptimeMs)}`,
  );
  showShard(stats.shard);
  const last = (name: 'updates' | 'receivedBytes' | 'sentBytes'): number =>
    record?.rates[name].at(-1)?.[2] ?? Number.NaN;
  showFigures([
    [headline?.name ?? 'loss', number(headline?.value)],
    ['minClock', count(stats.minClock)],
    ['updates', count(stats.version), Number.isFinite(last('updates')) ? perSecond(last('updates')) : ''],
    ['training', count(stats.training), stats.training === 1 ? 'worker' : 'workers'],
    ['waiting', percent(waitShareOf(rows)), 'of their time'],
    [
      'received',
      bytes(stats.receivedBytes),
      Number.isFinite(last('receivedBytes')) ? bytesPerSecond(last('receivedBytes')) : '',
    ],
  ]);
}

/** In a group, what of the page is of this server alone. */
function showShard({ index, count: servers }: ServerReport['stats']['shard']): void {
  element('shard').hidden = servers === 1;
  setText(
    element('shard'),
    `Shard ${index + 1} of ${servers}. Loss, clocks and workers are those of the group; updates, delays, bytes, tables and ` +
      'durability are of this server, and so are changes made here. The other servers have pages of their own; pslib top shows all in one.',
  );
}

function showFigures(figures: readonly Figure[]): void {
  const list = element('figures');
  while (list.children.length < figures.length) {
    const group = create('div');
    const value = create('dd');
    value.append(create('span'), create('small'));
    group.append(create('dt'), value);
    list.append(group);
  }
  for (const [i, [term, value, unit = '']] of figures.entries()) {
    const group = list.children[i] as Element;
    setText(group.children[0] as Element, term);
    const [number, small] = Array.from(group.children[1]?.children ?? []);
    setText(number as Element, value);
    setText(small as Element, unit);
  }
}

/** Shows checkpoints and what is not safe yet. */
export function showDurability({ stats, record }: ServerReport): void {
  const checkpoints = record?.checkpoints ?? [];
  const last = checkpoints.at(-1);
  const now = record?.nowMs ?? 0;
  setFacts(element('durability'), [
    [
      'last checkpoint',
      last === undefined
        ? 'none in this life of the server'
        : `${duration(now - last.atMs)} ago, version ${count(last.version)}, ${bytes(last.bytes)}`,
    ],
    ...(last === undefined ? [] : ([['file', last.path]] as const)),
    ['not yet durable', `${count(stats.uncommittedRecords)} records`],
    ['staging', bytes(stats.stagingBytes)],
    ['pinned versions', count(stats.pinnedVersions)],
    ['waiting pulls', count(stats.waitingPulls)],
    ['connections', count(stats.connections)],
  ]);
}

/** Shows data sets, tasks and sparse tables, where there are any. */
export function showTasks({ stats: { data, tasks, tables } }: ServerReport): void {
  const facts: [term: string, text: string][] = [];
  if (data !== undefined) {
    const { epoch, epochs, examples, size, leasedDataShards, isEnded } = data;
    const state = isEnded ? ', at its end' : '';
    facts.push(
      ['epoch', `${count(epoch + 1)}${Number.isFinite(epochs) ? ` of ${count(epochs)}` : ''}${state}`],
      ['examples', `${count(examples)} of ${count(size)}, ${percent(examples / size)}`],
      ['data shards out', count(leasedDataShards)],
    );
  }
  if (tasks.waiting + tasks.leased > 0) {
    facts.push(['tasks', `${count(tasks.leased)} with workers, ${count(tasks.waiting)} wait`]);
  }
  for (const { name, rows, bytes: size } of tables) {
    facts.push([`table ${name}`, `${count(rows)} rows, ${bytes(size)}`]);
  }
  element('tasks-section').hidden = facts.length === 0;
  setFacts(element('tasks'), facts);
}

/** A duration in its largest unit alone. */
function ago(milliseconds: number): string {
  return milliseconds < 60_000
    ? `${Math.max(0, Math.round(milliseconds / 1000))} s`
    : duration(milliseconds).replace(/ \d+ (s|min)$/, '');
}

/** Shows the last events, the newest first. */
export function showEvents({ record }: ServerReport): void {
  const list = element('events');
  const events = [...(record?.events ?? [])].reverse();
  while (list.children.length > Math.max(1, events.length)) list.lastElementChild?.remove();
  if (events.length === 0) {
    list.replaceChildren(create('li', 'empty', 'Nothing yet.'));
    return;
  }
  const now = record?.nowMs ?? 0;
  for (const [i, { atMs, level, text }] of events.entries()) {
    let line = list.children[i] as HTMLElement | undefined;
    if (line === undefined || line.children.length === 0) {
      const made = create('li');
      made.append(create('time'), create('span'));
      if (line === undefined) list.append(made);
      else line.replaceWith(made);
      line = made;
    }
    setData(line, 'level', level);
    setText(line.children[0] as Element, `${ago(now - atMs)} ago`);
    setText(line.children[1] as Element, text);
  }
}
