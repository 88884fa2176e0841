import { describe, expect, it } from 'vitest';
import { lineOf, screenOf, sparkline, type WatchedShard } from '../../../src/cli/topScreen.js';
import type { ServerStats } from '../../../src/io/serverReport.js';
import type { WorkerRow } from '../../../src/ops/view/workerRows.js';

const stats = {
  version: 302,
  minClock: 47,
  training: 2,
  uptimeMs: 9000,
  consistency: { name: 'ssp', staleness: 3 },
  optimizer: 'adam',
  learningRate: 0.01,
  shard: { index: 0, count: 1 },
} as ServerStats;

function row(id: string, change: Partial<WorkerRow> = {}): WorkerRow {
  const info = {
    role: 'worker',
    epoch: 1,
    clock: 47,
    lead: 0,
    delay: 1,
    lastSeenMs: 1,
    waitedMs: 0,
    awaitedMs: 0,
  } as const;
  return { id, ...info, state: 'training', stepsPerS: 5, waitShare: 0, awaitedShare: 0, ...change };
}

const shard: WatchedShard = {
  url: 'ws://host',
  report: { stats, workers: [] },
  rows: [
    row('slow', { awaitedShare: 1 }),
    row('ann', { waitShare: 0.8, lead: 4, clock: 51, state: 'waiting' }),
  ],
  metric: {
    name: 'loss',
    points: [
      [0, 0, 2],
      [1, 1, 1],
    ],
  },
  trouble: undefined,
};
const options = { columns: 100, rows: 24, hasColours: false, hasKeys: false, sort: undefined };

describe('the screen', () => {
  it('says who holds the others up, the figures, the curve and the workers', () => {
    expect(screenOf([shard], options)).toEqual([
      'ws://host  SSP, staleness 3 · adam, learning rate 0.01 · up 9 s',
      'slow holds the others up: 100\u00a0% of all waiting is for it. Workers spend 40\u00a0% of their time waiting.',
      'loss 1   minClock 47   updates 302 (–)   training 2   waiting 40 %   in –   out –',
      '',
      'loss █▁  2 … 1',
      '',
      'worker  state     clock  lead  delay  steps/s  waits  holds up',
      'slow    training     47     0      1        5    0 %     100 %',
      'ann     waiting      51     4      1        5   80 %       0 %',
    ]);
  });

  it('fits: lines are wrapped or cut, workers that have no room are counted', () => {
    const many = { ...shard, rows: Array.from({ length: 500 }, (_, i) => row(`worker-${i}`)) };
    const lines = screenOf([many], { ...options, columns: 40, hasKeys: true });
    expect(lines.length).toBeLessThanOrEqual(24);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
    expect(lines.at(-3)).toMatch(/^… and \d+ more$/);
    expect(lines.at(-1)).toBe('q quit · s order: slowest first');
  });

  it('shows every shard, and which cannot be reached', () => {
    const lost = { ...shard, url: 'ws://other', report: undefined, trouble: 'not connected' };
    expect(screenOf([shard, lost], options)[4]).toBe('ws://other  not connected');
  });

  it('may be sorted', () => {
    const lines = screenOf([shard], { ...options, sort: 'waitShare' });
    expect(lines.slice(-2).map((line) => line.split(' ')[0])).toEqual(['ann', 'slow']);
  });
});

it('a line for a log has the same figures', () => {
  expect(lineOf(shard)).toBe(
    'loss 1  minClock 47  updates 302 (–)  training 2  waiting 40 %  in –  out –  slowest slow',
  );
});

it('a sparkline is no longer than its width, and level where nothing changes', () => {
  const points = Array.from({ length: 100 }, (_, i) => [i, i, 3] as const);
  expect(sparkline(points, 10)).toBe('▁▁▁▁▁▁▁▁▁▁  3 … 3');
});
