import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import type { WorkerInfo } from '../../../src/io/serverReport.js';
import * as format from '../../../src/ops/view/format.js';
import { quantile, trimmed } from '../../../src/ops/view/quantile.js';
import { describeConsistency } from '../../../src/ops/view/settings.js';
import { sorted, verdictOf, WorkerHistory } from '../../../src/ops/view/workerRows.js';

function worker(id: string, change: Partial<WorkerInfo> = {}): WorkerInfo {
  return {
    id,
    role: 'worker',
    epoch: 1,
    clock: 0,
    lead: 0,
    delay: 0,
    lastSeenMs: 10,
    waitedMs: 0,
    awaitedMs: 0,
    state: 'training',
    ...change,
  };
}

describe('numbers', () => {
  it.each([
    [format.count(1234567), '1,234,567'],
    [format.count(Number.NaN), '–'],
    [format.number(0.012345), '0.0123'],
    [format.number(1234.5), '1,235'],
    [format.number(0), '0'],
    [format.number(undefined), '–'],
    [format.bytes(999), '999 B'],
    [format.bytes(12_345_678), '12.3 MB'],
    [format.bytes(999_900), '1 MB'],
    [format.percent(0.004), '< 1 %'],
    [format.percent(0.836), '84 %'],
    [format.percent(0), '0 %'],
    [format.duration(0.42), '0.42 ms'],
    [format.duration(12.4), '12 ms'],
    [format.duration(3210), '3.2 s'],
    [format.duration(245_000), '4 min 5 s'],
    [format.duration(11_520_000), '3 h 12 min'],
  ])('%s is %s', (given, expected) => expect(given).toBe(expected));
});

it('a consistency model is described in words', () => {
  const models = [
    ssp({ staleness: 3 }),
    asp(),
    bsp(),
    bsp({ backupWorkers: 2 }),
    bsp({ aggregate: 'trimmedMean' }),
  ];
  expect(models.map(describeConsistency)).toEqual([
    'SSP, staleness 3',
    'ASP',
    'BSP',
    'BSP, 2 backup workers',
    'BSP, trimmed mean',
  ]);
});

describe('a histogram', () => {
  const report = { bounds: [1, 2, 4, 8, 16], counts: [0, 6, 3, 0, 0, 1], sum: 0 };

  it('says below which bound a share of the values lies', () => {
    expect([0.5, 0.9, 0.99].map((share) => quantile(report, share))).toEqual([
      2,
      4,
      Number.POSITIVE_INFINITY,
    ]);
    expect(quantile({ bounds: [1], counts: [0, 0], sum: 0 }, 0.5)).toBeNaN();
  });

  it('is shown without the empty buckets at its ends', () => {
    expect(trimmed({ ...report, counts: [0, 0, 6, 0, 0, 0] })).toEqual({
      bounds: [2, 4, 8, 16],
      counts: [0, 6, 0, 0],
    });
  });
});

describe('rows', () => {
  it('say what a worker did within the window', () => {
    const history = new WorkerHistory();
    history.rows(0, [worker('a'), worker('b')]);
    const [a, b] = history.rows(2000, [
      worker('a', { clock: 10, waitedMs: 500, awaitedMs: 0 }),
      worker('b', { clock: 4, awaitedMs: 500 }),
    ]);
    expect([a?.stepsPerS, a?.waitShare, a?.awaitedShare]).toEqual([5, 0.25, 0]);
    expect([b?.stepsPerS, b?.waitShare, b?.awaitedShare]).toEqual([2, 0, 1]);
  });

  it('forget what is older than the window', () => {
    const history = new WorkerHistory();
    for (let second = 0; second <= 30; second++) {
      history.rows(second * 1000, [worker('a', { clock: second < 20 ? 0 : second - 20 })]);
    }
    expect(history.rows(31_000, [worker('a', { clock: 11 })])[0]?.stepsPerS).toBe(1);
  });

  it('begin anew with a new process under the id, and with a server that began anew', () => {
    const history = new WorkerHistory();
    history.rows(0, [worker('a', { clock: 5 })]);
    expect(history.rows(1000, [worker('a', { clock: 1, epoch: 2 })])[0]?.stepsPerS).toBeUndefined();
    expect(history.rows(10, [worker('a', { clock: 0, epoch: 2 })])[0]?.stepsPerS).toBeUndefined();
    expect(history.rows(1010, [worker('a', { clock: 2, epoch: 2 })])[0]?.stepsPerS).toBe(2);
  });

  it('are sorted by any column, ties by id, numbers in ids as numbers', () => {
    const history = new WorkerHistory();
    const rows = history.rows(0, [
      worker('w10'),
      worker('w9'),
      worker('r', { lead: undefined }),
      worker('w1', { lead: 2 }),
    ]);
    expect(sorted(rows, 'lead', true).map(({ id }) => id)).toEqual(['w1', 'w9', 'w10', 'r']);
    expect(sorted(rows, 'id', false).map(({ id }) => id)).toEqual(['r', 'w1', 'w9', 'w10']);
  });
});

describe('the verdict', () => {
  const later = (a: Partial<WorkerInfo>, b: Partial<WorkerInfo>) => {
    const history = new WorkerHistory();
    history.rows(0, [worker('a'), worker('b')]);
    return verdictOf(history.rows(1000, [worker('a', a), worker('b', b)]));
  };

  it('names the one that most waiting is for', () => {
    expect(later({ waitedMs: 800 }, { awaitedMs: 800 })).toEqual({
      id: 'b',
      text: 'b holds the others up: 100\u00a0% of all waiting is for it. Workers spend 40\u00a0% of their time waiting.',
      isTrouble: true,
    });
  });

  it('says since when it is silent', () => {
    const { text } = later({ waitedMs: 800 }, { awaitedMs: 800, state: 'disconnected', lastSeenMs: 4200 });
    expect(text).toContain('was last heard 4 s ago');
  });

  it('is calm about a little waiting, and about none', () => {
    expect(later({ waitedMs: 100 }, { awaitedMs: 100 }).isTrouble).toBe(false);
    expect(later({}, {}).text).toBe('Nobody waits for anybody.');
    expect(verdictOf([]).text).toBe('No worker trains.');
  });
});
