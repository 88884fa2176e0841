/**
 * Every metric of a server: name, kind, unit (in the name), meaning, and where its number comes from.
 * `docs/guides/metrics.md` lists the same. Names follow the conventions of Prometheus: base units,
 * `_total` for what only rises.
 */
import type { ServerStats, TableStats, WorkerInfo } from '../../io/serverReport.js';
import type { Histogram } from '../record/histogram.js';
import type { Recorder } from '../record/recorder.js';

/** What metrics are read from. */
export interface MetricSource {
  readonly stats: ServerStats;
  readonly workers: readonly WorkerInfo[];
  readonly recorder: Recorder;
}

/** One value of a metric; the label's value if it has a label. */
export type Reading = readonly [value: number, label?: string];

/** One metric. */
export interface MetricRow {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Name of its label, if it has one. */
  readonly label?: string;
  readonly read: (source: MetricSource) => Iterable<Reading>;
}

/** One histogram. */
export interface HistogramRow {
  readonly name: string;
  readonly help: string;
  readonly of: (recorder: Recorder) => Histogram;
  /** What a recorded value is multiplied by: milliseconds become seconds. */
  readonly scale: number;
}

/** Workers that have a line of their own: one line for each would fill a database where they come and go. */
const MAX_WORKERS = 100;

/** All gauges and counters, in order. */
export const METRICS: readonly MetricRow[] = [
  gauge('version', 'Updates in the parameters.', ({ version }) => version),
  gauge('min_clock', 'The smallest clock in the clock table.', ({ minClock }) => minClock),
  gauge('training_workers', 'Workers in the clock table.', ({ training }) => training),
  gauge('connections', 'Open connections.', ({ connections }) => connections),
  gauge('waiting_pulls', 'Pulls that wait now.', ({ waitingPulls }) => waitingPulls),
  gauge('pinned_versions', 'Versions held for readers.', ({ pinnedVersions }) => pinnedVersions),
  gauge('staging_bytes', 'Bytes of pushes that are gathered or decided.', ({ stagingBytes }) => stagingBytes),
  gauge(
    'learning_rate',
    "The optimizer's learning rate now.",
    ({ learningRate }) => learningRate ?? Number.NaN,
  ),
  gauge(
    'uncommitted_records',
    'Records that are not as durable yet as promised.',
    (s) => s.uncommittedRecords,
  ),
  ofData('epoch', 'The present epoch of the data set, from 0.', ({ epoch }) => epoch),
  ofData('epoch_examples', 'Examples of the present epoch that are counted.', ({ examples }) => examples),
  ofData('leased_data_shards', 'Data shards that workers hold.', ({ leasedDataShards }) => leasedDataShards),
  gauge('waiting_tasks', 'Generic tasks that wait for a worker.', ({ tasks }) => tasks.waiting),
  gauge('leased_tasks', 'Generic tasks that workers hold.', ({ tasks }) => tasks.leased),
  ofTables('rows', 'gauge', 'Rows that take memory.', ({ rows }) => rows),
  ofTables('bytes', 'gauge', 'Bytes of values, slots and index.', ({ bytes }) => bytes),
  ofTables('born_rows_total', 'counter', 'Rows that got memory.', ({ born }) => born),
  ofTables(
    'evicted_rows_total',
    'counter',
    'Rows that lost their memory to others.',
    ({ evicted }) => evicted,
  ),
  counter('received_bytes_total', 'Payload bytes received.', ({ stats }) => [[stats.receivedBytes]]),
  counter('received_messages_total', 'Messages received.', ({ stats }) => [[stats.receivedMessages]]),
  counter('sent_bytes_total', 'Bytes written to sockets.', ({ stats }) => [[stats.sentBytes]]),
  counter('updates_total', 'Updates applied in this life of the server.', ({ recorder }) => [
    [recorder.updates],
  ]),
  counter(
    'pushes_total',
    'Pushes by outcome: applied (under BSP: merged), scaled, dropped, refused.',
    ({ recorder }) => readings(recorder.outcomes),
    'outcome',
  ),
  counter(
    'refusals_total',
    'Requests and connections that were refused, by error code.',
    ({ recorder }) => readings(recorder.refusals),
    'code',
  ),
  counter(
    'wait_seconds_total',
    'Time that answered training pulls had waited, by reason.',
    ({ recorder }) => readings(recorder.waitsMs, 1000),
    'reason',
  ),
  counter('joins_total', 'Workers and readers that joined.', ({ recorder }) => [[recorder.joins]]),
  counter(
    'leaves_total',
    'Workers and readers that left, by reason.',
    ({ recorder }) => readings(recorder.leaves),
    'reason',
  ),
  counter('checkpoints_total', 'Checkpoints taken.', ({ recorder }) => [[recorder.checkpointCount]]),
  {
    name: 'pslib_training_metric',
    type: 'gauge',
    help: 'The last mean of each metric that workers send, such as the loss.',
    label: 'name',
    read: ({ recorder }) => readings(recorder.lastMetrics),
  },
  ofWorkers('lead_clocks', 'gauge', 'Its clock minus minClock.', ({ lead = 0 }) => lead),
  ofWorkers(
    'wait_seconds_total',
    'counter',
    'Time its pulls have waited.',
    ({ waitedMs }) => waitedMs / 1000,
  ),
  ofWorkers(
    'awaited_seconds_total',
    'counter',
    "Time others' pulls have waited for it; shared where they waited for several.",
    ({ awaitedMs }) => awaitedMs / 1000,
  ),
];

/** All histograms, in order. */
export const HISTOGRAMS: readonly HistogramRow[] = [
  {
    name: 'pslib_push_delay_updates',
    help: 'Delay of applied pushes: updates between the pull and the push.',
    of: ({ delay }) => delay,
    scale: 1,
  },
  {
    name: 'pslib_apply_seconds',
    help: 'Computing time of each update.',
    of: ({ apply }) => apply,
    scale: 1e-3,
  },
  {
    name: 'pslib_pull_wait_seconds',
    help: 'How long training pulls waited before they were answered.',
    of: ({ wait }) => wait,
    scale: 1e-3,
  },
  {
    name: 'pslib_pull_lead_clocks',
    help: 'Lead of the workers whose training pulls were answered.',
    of: ({ lead }) => lead,
    scale: 1,
  },
];

function gauge(name: string, help: string, read: (stats: ServerStats) => number): MetricRow {
  return { name: `pslib_${name}`, type: 'gauge', help, read: ({ stats }) => [[read(stats)]] };
}

/** A line for each sparse table. */
function ofTables(
  name: string,
  type: MetricRow['type'],
  help: string,
  read: (table: TableStats) => number,
): MetricRow {
  return {
    name: `pslib_table_${name}`,
    type,
    help,
    label: 'table',
    read: ({ stats: { tables } }) => tables.map((table) => [read(table), table.name] as const),
  };
}

/** Of the data set: no line where there is none. */
function ofData(
  name: string,
  help: string,
  read: (data: NonNullable<ServerStats['data']>) => number,
): MetricRow {
  return {
    name: `pslib_${name}`,
    type: 'gauge',
    help,
    read: ({ stats: { data } }) => (data === undefined ? [] : [[read(data)]]),
  };
}

function counter(name: string, help: string, read: MetricRow['read'], label?: string): MetricRow {
  return { name: `pslib_${name}`, type: 'counter', help, read, ...(label === undefined ? {} : { label }) };
}

function ofWorkers(
  name: string,
  type: MetricRow['type'],
  help: string,
  read: (worker: WorkerInfo) => number,
): MetricRow {
  return {
    name: `pslib_worker_${name}`,
    type,
    help: `${help} The ${MAX_WORKERS} slowest training workers.`,
    label: 'worker',
    read: ({ workers }) =>
      workers
        .filter(({ lead }) => lead !== undefined)
        .slice(0, MAX_WORKERS)
        .map((worker) => [read(worker), worker.id] as const),
  };
}

function readings(values: ReadonlyMap<string, number>, divisor = 1): Reading[] {
  return Array.from(values, ([label, value]) => [value / divisor, label]);
}
