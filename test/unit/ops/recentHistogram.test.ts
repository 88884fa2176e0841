import { describe, expect, it } from 'vitest';
import { RecentHistograms } from '../../../src/ops/view/recentHistogram.js';

const report = (...counts: number[]) => ({ wait: { bounds: [1, 2], counts, sum: counts.length } });

describe('histograms of the last while', () => {
  it('are those since the beginning, while the window is longer than that', () => {
    const recent = new RecentHistograms<ReturnType<typeof report>>(60);
    expect(recent.add(0, report(5, 0, 0))).toEqual(report(5, 0, 0));
    expect(recent.add(59, report(6, 1, 0))).toEqual(report(6, 1, 0));
  });

  it('are what has been added since the last report that is as old as the window', () => {
    const recent = new RecentHistograms<ReturnType<typeof report>>(60);
    recent.add(0, report(5, 0, 0));
    recent.add(10, report(6, 0, 0));
    expect(recent.add(60, report(6, 1, 0)).wait.counts).toEqual([1, 1, 0]);
    expect(recent.add(69, report(6, 1, 2)).wait.counts).toEqual([1, 1, 2]);
    expect(recent.add(70, report(6, 1, 2)).wait.counts).toEqual([0, 1, 2]);
    // A tab that was asleep: the youngest of the old ones counts.
    expect(recent.add(500, report(9, 9, 9)).wait.counts).toEqual([3, 8, 7]);
  });

  it('begin anew with another life of the server', () => {
    const recent = new RecentHistograms<ReturnType<typeof report>>(60);
    recent.add(0, report(5, 0, 0));
    recent.clear();
    expect(recent.add(100, report(1, 0, 0))).toEqual(report(1, 0, 0));
  });
});
