import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { Histogram } from '../../../src/ops/record/histogram.js';
import { Recorder } from '../../../src/ops/record/recorder.js';
import { Series } from '../../../src/ops/record/series.js';

describe('a histogram', () => {
  it('counts a value in the first bucket whose bound is not below it', () => {
    const histogram = new Histogram([0, 1, 10]);
    for (const value of [0, 0.5, 1, 10, 11]) histogram.add(value);
    expect(histogram.report()).toEqual({ bounds: [0, 1, 10], counts: [1, 2, 1, 1], sum: 22.5 });
  });

  it('counts several alike at once', () => {
    const histogram = new Histogram([1]);
    histogram.add(2, 3);
    expect(histogram.report()).toEqual({ bounds: [1], counts: [0, 3], sum: 6 });
  });
});

describe('a series', () => {
  it('keeps each value while it has room', () => {
    const series = new Series();
    series.add(10, 1, 2.5);
    series.add(20, 2, 1.5);
    expect(series.points()).toEqual([
      [10, 1, 2.5],
      [20, 2, 1.5],
    ]);
  });

  it('covers a run of any length from its beginning, in bounded memory, by means', () => {
    const series = new Series();
    for (let i = 0; i < 100_000; i++) series.add(i, i, i);
    const points = series.points();
    expect(points.length).toBeLessThan(512);
    expect(points.length).toBeGreaterThan(250);
    const stride = (points[1]?.[1] ?? 0) - (points[0]?.[1] ?? 0);
    expect(points[0]).toEqual([stride - 1, stride - 1, (stride - 1) / 2]);
    for (const [at, clock, value] of points) expect([clock, value]).toEqual([at, at - (stride - 1) / 2]);
  });

  it('gives those after a time alone', () => {
    const series = new Series();
    for (const at of [10, 20, 30]) series.add(at, at, at);
    expect(series.points(20)).toEqual([[30, 30, 30]]);
    expect(series.points(30)).toEqual([]);
  });

  it('leaves out what is not finite', () => {
    const series = new Series();
    for (const value of [1, Number.NaN, Number.POSITIVE_INFINITY, 3]) series.add(0, 0, value);
    expect(series.points().map(([, , value]) => value)).toEqual([1, 3]);
  });
});

describe('a recorder', () => {
  const update = {
    kind: 'update',
    version: 1,
    workers: ['a'],
    clock: 0,
    delay: 2,
    scaled: false,
    applyMs: 3,
  } as const;
  const recorder = (): Recorder => new Recorder(1000, () => ({ receivedBytes: 4000, sentBytes: 8000 }));

  it('fills the histograms', () => {
    const it = recorder();
    it.observe(update, 1001);
    it.observe({ kind: 'pull', id: 'a', lead: 3, waitedMs: 150, reason: 'staleness' }, 1002);
    const { delay, apply, wait, lead } = it.report(1002).histograms;
    expect([delay.sum, apply.sum, wait.sum, lead.sum]).toEqual([2, 3, 150, 3]);
  });

  it('counts outcomes: a merged update stands for as many pushes', () => {
    const it = recorder();
    it.observe({ ...update, workers: ['a', 'b'] }, 1001);
    it.observe({ ...update, scaled: true }, 1002);
    it.observe({ kind: 'dropped', id: 'a', clock: 0, delay: 9 }, 1003);
    it.observe({ kind: 'rejected', id: 'a', error: new PsError('PS_NOT_FINITE', 'NaN'), seq: 3 }, 1004);
    it.observe({ kind: 'rejected', id: 'a', error: new PsError('PS_CLOCK', 'no push') }, 1005);
    expect(Object.fromEntries(it.outcomes)).toEqual({ applied: 2, scaled: 1, dropped: 1, refused: 1 });
    expect(Object.fromEntries(it.refusals)).toEqual({ PS_NOT_FINITE: 1, PS_CLOCK: 1 });
  });

  it('follows metrics by name, and no more names than it has room for', () => {
    const it = recorder();
    for (let i = 0; i < 40; i++) {
      it.observe({ kind: 'metrics', clock: 5, workers: 1, examples: 1, metrics: { [`m${i}`]: i } }, 1500);
    }
    const { metrics } = it.report(1500);
    expect(Object.keys(metrics)).toHaveLength(32);
    expect(metrics.m3).toEqual([[500, 5, 3]]);
  });

  it('makes rates of counts, once a second', () => {
    const it = recorder();
    for (let i = 0; i < 10; i++) it.observe(update, 1100);
    it.observe({ kind: 'clock', minClock: 4 }, 3000);
    expect(it.report(3000).rates).toEqual({
      updates: [[2000, 4, 5]],
      receivedBytes: [[2000, 4, 2000]],
      sentBytes: [[2000, 4, 4000]],
    });
  });

  it('keeps the last events in words', () => {
    const it = recorder();
    it.observe({ kind: 'join', id: 'ann', epoch: 1, role: 'worker' }, 1010);
    it.observe({ kind: 'leave', id: 'ann', reason: 'lease' }, 1020);
    for (let i = 0; i < 49; i++) it.observe({ kind: 'warning', message: `w${i}` }, 1030);
    const { events } = it.report(1040);
    expect(events).toHaveLength(50);
    expect(events[0]).toEqual({ atMs: 20, level: 'warning', text: 'ann left: lease' });
  });

  it('keeps the last checkpoints', () => {
    const it = recorder();
    for (let i = 1; i <= 7; i++)
      it.observe({ kind: 'checkpoint', path: `${i}`, bytes: i, version: i }, 1000 + i);
    expect(it.report(1010).checkpoints.map(({ version }) => version)).toEqual([3, 4, 5, 6, 7]);
  });
});
