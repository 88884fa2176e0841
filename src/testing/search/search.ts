/** Runs the schedules of many seeds and reports those that break a rule. */
import { type RunReport, runSchedule } from './checkedRun.js';
import { drawSchedule, type ScheduleOptions } from './schedule.js';

/** What a search found. */
export interface SearchResult {
  readonly ran: number;
  /** Runs that broke a rule. */
  readonly failures: readonly RunReport[];
  /** Sums over all runs: actions of the simulator, pushes answered, training pulls answered. */
  readonly events: number;
  readonly pushes: number;
  readonly pulls: number;
}

/** How far to search. */
export interface SearchOptions extends ScheduleOptions {
  /** The first seed. */
  readonly from: number;
  readonly seeds: number;
  /** Stop after so many failures; 1. */
  readonly maxFailures?: number;
  /** Told after every run. */
  readonly onRun?: (report: RunReport) => void;
}

/** Runs the seeds from, from + 1, … */
export function search(options: SearchOptions): SearchResult {
  const { from, seeds, maxFailures = 1, onRun } = options;
  const failures: RunReport[] = [];
  let [ran, events, pushes, pulls] = [0, 0, 0, 0];
  for (; ran < seeds && failures.length < maxFailures; ran++) {
    const report = runSchedule(drawSchedule(from + ran, options));
    events += report.events;
    pushes += report.answered;
    for (const count of report.leads) pulls += count;
    if (report.violations.length > 0) failures.push(report);
    onRun?.(report);
  }
  return { ran, failures, events, pushes, pulls };
}
