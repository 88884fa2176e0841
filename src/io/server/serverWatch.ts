/**
 * What watches a server: it is told what the core observes, and remembers what people may want to see. The
 * server knows only this interface, never what is made of it (`src/ops`).
 */
import type { Observation } from '../../core/server/events.js';
import type { RecordReport } from '../serverReport.js';

/** The watch of one server. Its methods don't throw. */
export interface ServerWatch {
  /** Something happened at `now`. On the path of every push: as cheap as can be. */
  observe(observation: Observation, now: number): void;
  /** What it remembers, without the points of curves up to `afterMs`. */
  report(now: number, afterMs?: number): RecordReport;
}
