/**
 * Remembers what a server core observes, as far as people want to see it later: curves, histograms,
 * counts, and the last events. It is told; it asks nothing, and its memory is bounded.
 */
import type { Observation } from '../../core/server/events.js';
import type { ServerWatch } from '../../io/server/serverWatch.js';
import type { RecordedEvent, RecordReport } from '../../io/serverReport.js';
import { Histogram } from './histogram.js';
import { Series } from './series.js';

/** Names of metrics whose course is kept; those that come later are left out. */
const MAX_METRICS = 32;
/** Events that are kept. */
const MAX_EVENTS = 50;
/** Checkpoints that are kept. */
const MAX_CHECKPOINTS = 5;
/** Rates are sampled so often. */
const SAMPLE_MS = 1000;

const COUNTS = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024, 4096];
const WAIT_MS = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000];
const APPLY_MS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** The counts of which rates are made. */
export interface Counters {
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** Gathers observations of one server. */
export class Recorder implements ServerWatch {
  readonly delay: Histogram = new Histogram(COUNTS);
  readonly lead: Histogram = new Histogram(COUNTS);
  readonly wait: Histogram = new Histogram(WAIT_MS);
  readonly apply: Histogram = new Histogram(APPLY_MS);
  /** Counts by a word: outcome of pushes, code of refusals, reason of waits (ms) and of leaving. */
  readonly outcomes: Map<string, number> = new Map();
  readonly refusals: Map<string, number> = new Map();
  readonly waitsMs: Map<string, number> = new Map();
  readonly leaves: Map<string, number> = new Map();
  /** The last value of each metric. */
  readonly lastMetrics: Map<string, number> = new Map();
  updates = 0;
  joins = 0;
  checkpointCount = 0;
  readonly #beganAt: number;
  readonly #counters: () => Counters;
  readonly #metrics = new Map<string, Series>();
  readonly #rates = { updates: new Series(), receivedBytes: new Series(), sentBytes: new Series() };
  readonly #checkpoints: RecordReport['checkpoints'][number][] = [];
  readonly #events: RecordedEvent[] = [];
  #minClock = 0;
  #sample: Counters & { readonly at: number; readonly updates: number };

  /** `counters` is asked about once a second, while something happens. */
  constructor(now: number, counters: () => Counters) {
    this.#beganAt = now;
    this.#counters = counters;
    this.#sample = { at: now, updates: 0, receivedBytes: 0, sentBytes: 0 };
  }

  /** Something happened at `now`. O(1), but for a sample each second. */
  observe(observation: Observation, now: number): void {
    switch (observation.kind) {
      case 'update':
        this.updates++;
        this.delay.add(observation.delay, observation.workers.length);
        this.apply.add(observation.applyMs);
        raise(this.outcomes, observation.scaled ? 'scaled' : 'applied', observation.workers.length);
        break;
      case 'pull':
        this.wait.add(observation.waitedMs);
        this.lead.add(observation.lead);
        if (observation.reason !== undefined) raise(this.waitsMs, observation.reason, observation.waitedMs);
        break;
      case 'clock':
        this.#minClock = observation.minClock;
        break;
      case 'metrics':
        this.#addMetrics(observation, now);
        break;
      default:
        this.#note(observation, now);
    }
    if (now - this.#sample.at >= SAMPLE_MS) this.#takeSample(now);
  }

  /** Everything, with those points of curves that came after `afterMs`. */
  report(now: number, afterMs?: number): RecordReport {
    if (now - this.#sample.at >= SAMPLE_MS) this.#takeSample(now);
    const { updates, receivedBytes, sentBytes } = this.#rates;
    return {
      nowMs: now - this.#beganAt,
      metrics: Object.fromEntries(
        Array.from(this.#metrics, ([name, series]) => [name, series.points(afterMs)]),
      ),
      rates: {
        updates: updates.points(afterMs),
        receivedBytes: receivedBytes.points(afterMs),
        sentBytes: sentBytes.points(afterMs),
      },
      histograms: {
        delay: this.delay.report(),
        apply: this.apply.report(),
        wait: this.wait.report(),
        lead: this.lead.report(),
      },
      checkpoints: this.#checkpoints,
      events: this.#events,
    };
  }

  #addMetrics({ clock, metrics }: Extract<Observation, { kind: 'metrics' }>, now: number): void {
    for (const [name, value] of Object.entries(metrics)) {
      let series = this.#metrics.get(name);
      if (series === undefined) {
        if (this.#metrics.size >= MAX_METRICS) continue;
        series = new Series();
        this.#metrics.set(name, series);
      }
      series.add(now - this.#beganAt, clock, value);
      this.lastMetrics.set(name, value);
    }
  }

  #note(observation: Observation, now: number): void {
    switch (observation.kind) {
      case 'join': {
        this.joins++;
        const as = observation.role === 'reader' ? ' as a reader' : '';
        this.#say(now, 'info', `${observation.id} joined${as}`);
        break;
      }
      case 'leave': {
        raise(this.leaves, observation.reason, 1);
        const isUsual = observation.reason === 'goodbye';
        this.#say(now, isUsual ? 'info' : 'warning', `${observation.id} left: ${observation.reason}`);
        break;
      }
      case 'epoch':
        this.#say(now, 'info', `epoch ${observation.epoch} is done`);
        break;
      case 'dropped':
        raise(this.outcomes, 'dropped', 1);
        break;
      case 'rejected': {
        const { error, id, seq } = observation;
        if (seq !== undefined) raise(this.outcomes, 'refused', 1);
        raise(this.refusals, error.code, 1);
        this.#say(now, 'warning', `${id ?? 'a connection'} was refused: ${error.message} (${error.code})`);
        break;
      }
      case 'checkpoint': {
        const { path, bytes, version } = observation;
        this.checkpointCount++;
        this.#checkpoints.push({ path, bytes, version, atMs: now - this.#beganAt });
        if (this.#checkpoints.length > MAX_CHECKPOINTS) this.#checkpoints.shift();
        break;
      }
      case 'warning':
        this.#say(now, 'warning', observation.message);
        break;
      case 'error':
        this.#say(now, 'error', `${observation.error.message} (${observation.error.code})`);
        break;
    }
  }

  #say(now: number, level: RecordedEvent['level'], text: string): void {
    this.#events.push({ atMs: now - this.#beganAt, level, text: text.slice(0, 300) });
    if (this.#events.length > MAX_EVENTS) this.#events.shift();
  }

  #takeSample(now: number): void {
    const before = this.#sample;
    const { receivedBytes, sentBytes } = this.#counters();
    this.#sample = { at: now, updates: this.updates, receivedBytes, sentBytes };
    const atMs = now - this.#beganAt;
    const perSecond = 1000 / (now - before.at);
    const rates = this.#rates;
    rates.updates.add(atMs, this.#minClock, (this.updates - before.updates) * perSecond);
    rates.receivedBytes.add(atMs, this.#minClock, (receivedBytes - before.receivedBytes) * perSecond);
    rates.sentBytes.add(atMs, this.#minClock, (sentBytes - before.sentBytes) * perSecond);
  }
}

function raise(counts: Map<string, number>, word: string, by: number): void {
  counts.set(word, (counts.get(word) ?? 0) + by);
}
