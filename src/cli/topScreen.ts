/**
 * What `pslib top` shows, as lines of text: a function of the last report of each shard. It knows no terminal
 * but its size.
 */
import picocolors from 'picocolors';
import type { SeriesPoint, ServerReport } from '../io/serverReport.js';
import { bytesPerSecond, count, duration, number, percent, perSecond } from '../ops/view/format.js';
import { describeConsistency } from '../ops/view/settings.js';
import { type SortKey, sorted, verdictOf, type WorkerRow, waitShareOf } from '../ops/view/workerRows.js';
import { table } from './table.js';

/** What is known of one server. */
export interface WatchedShard {
  readonly url: string;
  /** Undefined: not connected yet. */
  readonly report: ServerReport | undefined;
  readonly rows: readonly WorkerRow[];
  /** The last points of the metric that stands first, and its name. */
  readonly metric: { readonly name: string; readonly points: readonly SeriesPoint[] } | undefined;
  /** Why it is not connected now; undefined: it is. */
  readonly trouble: string | undefined;
}

/** How it is shown. */
export interface ScreenOptions {
  readonly columns: number;
  readonly rows: number;
  readonly hasColours: boolean;
  /** Names the keys. */
  readonly hasKeys: boolean;
  /** Undefined: as the server lists workers, the slowest first. */
  readonly sort: SortKey | undefined;
}

/** The orders that a key walks through. */
export const SORTS: readonly (SortKey | undefined)[] = [
  undefined,
  'awaitedShare',
  'waitShare',
  'stepsPerS',
  'id',
];
const SORT_NAMES: Partial<Record<SortKey, string>> = {
  awaitedShare: 'holds up',
  waitShare: 'waits',
  stepsPerS: 'steps per second',
  id: 'id',
};

const BARS = '▁▂▃▄▅▆▇█';

/** The whole screen. */
export function screenOf(shards: readonly WatchedShard[], options: ScreenOptions): string[] {
  const colours = picocolors.createColors(options.hasColours);
  const lines: string[] = [];
  for (const [i, shard] of shards.entries()) {
    if (i > 0) lines.push('');
    lines.push(...headOf(shard, options.columns, colours));
  }
  const [first] = shards;
  if (first?.report !== undefined) {
    const { metric } = first;
    if (metric !== undefined && metric.points.length > 1) {
      const width = Math.max(10, Math.min(60, options.columns - metric.name.length - 24));
      lines.push('', `${metric.name} ${sparkline(metric.points, width)}`);
    }
    const room = Math.max(3, options.rows - lines.length - 4);
    lines.push('', ...tableOf(first.rows, room, options, colours));
  }
  const order = options.sort === undefined ? 'slowest first' : (SORT_NAMES[options.sort] ?? options.sort);
  if (options.hasKeys) lines.push('', colours.dim(`q quit · s order: ${order}`));
  return lines.map((line) => cut(line, options.columns, options.hasColours));
}

type Colours = ReturnType<typeof picocolors.createColors>;

function headOf(
  { url, report, rows, metric, trouble }: WatchedShard,
  columns: number,
  colours: Colours,
): string[] {
  if (report === undefined) return [`${colours.bold(url)}  ${colours.yellow(trouble ?? 'connecting …')}`];
  const { stats } = report;
  const shard = stats.shard.count > 1 ? ` · shard ${stats.shard.index + 1} of ${stats.shard.count}` : '';
  const rate = number(stats.learningRate ?? undefined);
  const settings = `${describeConsistency(stats.consistency)} · ${stats.optimizer}, learning rate ${rate} · up ${duration(stats.uptimeMs)}${shard}`;
  const verdict = verdictOf(rows);
  const isWarning = trouble !== undefined || verdict.isTrouble;
  const said = wrapped(trouble ?? verdict.text, columns);
  return [
    `${colours.bold(url)}  ${colours.dim(settings)}`,
    ...said.map((line) => (isWarning ? colours.yellow(line) : line)),
    figuresOf(report, rows, metric)
      .map(([term, value]) => `${colours.dim(term)} ${value}`)
      .join('   '),
  ];
}

function figuresOf(
  { stats, record }: ServerReport,
  rows: readonly WorkerRow[],
  metric: WatchedShard['metric'],
): (readonly [term: string, value: string])[] {
  const last = (name: 'updates' | 'receivedBytes' | 'sentBytes'): number =>
    record?.rates[name].at(-1)?.[2] ?? Number.NaN;
  return [
    [metric?.name ?? 'loss', number(metric?.points.at(-1)?.[2])],
    ['minClock', count(stats.minClock)],
    ['updates', `${count(stats.version)} (${perSecond(last('updates'))})`],
    ['training', count(stats.training)],
    ['waiting', percent(waitShareOf(rows))],
    ['in', bytesPerSecond(last('receivedBytes'))],
    ['out', bytesPerSecond(last('sentBytes'))],
  ];
}

function tableOf(
  rows: readonly WorkerRow[],
  room: number,
  { sort }: ScreenOptions,
  colours: Colours,
): string[] {
  const ordered = sort === undefined ? rows : sorted(rows, sort, sort !== 'id');
  const shown = ordered.slice(0, ordered.length > room ? room - 1 : room);
  const cells = shown.map((row) => [
    row.id.length > 28 ? `${row.id.slice(0, 27)}…` : row.id,
    row.role === 'reader' ? 'reader' : row.state,
    row.role === 'reader' ? '–' : count(row.clock),
    row.lead === undefined ? '–' : String(row.lead),
    row.role === 'reader' ? '–' : count(row.delay),
    number(row.stepsPerS),
    percent(row.waitShare),
    percent(row.awaitedShare),
  ]);
  const titles = ['worker', 'state', 'clock', 'lead', 'delay', 'steps/s', 'waits', 'holds up'];
  const [head = '', ...lines] = table(rightAligned([titles, ...cells]));
  const slowest = verdictOf(rows).id;
  const left = ordered.length - shown.length;
  return [
    colours.dim(head),
    ...lines.map((line, i) => (shown[i]?.id === slowest ? colours.yellow(line) : line)),
    ...(left > 0 ? [colours.dim(`… and ${count(left)} more`)] : []),
  ];
}

/** Numbers are padded on the left; the first two columns are words. */
function rightAligned(rows: readonly (readonly string[])[]): string[][] {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) => row.map((cell, i) => (i < 2 ? cell : cell.padStart(widths[i] ?? 0))));
}

/** A curve in `width` characters, each the mean of its part. */
export function sparkline(points: readonly SeriesPoint[], width: number): string {
  const parts = Math.min(width, points.length);
  const means = Array.from({ length: parts }, (_, i) => {
    const part = points.slice(
      Math.floor((i * points.length) / parts),
      Math.floor(((i + 1) * points.length) / parts),
    );
    return part.reduce((sum, [, , value]) => sum + value, 0) / part.length;
  });
  const [least, most] = [Math.min(...means), Math.max(...means)];
  const scale = most > least ? (BARS.length - 1) / (most - least) : 0;
  const bars = means.map((mean) => BARS[Math.round((mean - least) * scale)]).join('');
  return `${bars}  ${number(most)} … ${number(least)}`;
}

/** One line for those who keep a log. */
export function lineOf({ url, report, rows, metric, trouble }: WatchedShard): string {
  if (report === undefined || trouble !== undefined) return `${url}  ${trouble ?? 'connecting'}`;
  const figures = figuresOf(report, rows, metric).map(([term, value]) => `${term} ${value}`);
  const { id } = verdictOf(rows);
  return [...figures, ...(id === undefined ? [] : [`slowest ${id}`])].join('  ');
}

/** `text` in lines of at most `columns`, broken between words. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1) as string;
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= columns) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** No line is longer than the screen, escape sequences not counted. */
function cut(line: string, columns: number, hasColours: boolean): string {
  if (!hasColours) return line.length > columns ? `${line.slice(0, Math.max(0, columns - 1))}…` : line;
  let width = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  const parts = line.split(/(\u001b\[[0-9;]*m)/);
  const kept = parts.map((part) => {
    if (part.startsWith('\u001b')) return part;
    const fits = part.slice(0, Math.max(0, columns - width));
    width += part.length;
    return fits;
  });
  return kept.join('');
}
