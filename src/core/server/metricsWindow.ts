/**
 * Metrics that workers send with their pushes, gathered by clock: when minClock has passed a clock, its
 * means over workers are reported, weighted by examples. Bounded, also where nobody ever closes a clock.
 */
import type { CoreContext } from './context.js';

/** Clocks gathered at a time; past that the oldest is reported early. */
const MAX_CLOCKS = 64;

interface Gathered {
  readonly workers: Set<string>;
  examples: number;
  readonly sums: Map<string, { sum: number; weight: number }>;
}

/** The metrics of the clocks that are still open. */
export class MetricsWindow {
  readonly #context: CoreContext;
  readonly #clocks = new Map<number, Gathered>();

  constructor(context: CoreContext) {
    this.#context = context;
  }

  /** Adds what one push brought. */
  add(
    worker: string,
    clock: number,
    metrics: Readonly<Record<string, number>> | undefined,
    examples = 1,
  ): void {
    if (metrics === undefined) return;
    let gathered = this.#clocks.get(clock);
    if (gathered === undefined) {
      gathered = { workers: new Set(), examples: 0, sums: new Map() };
      this.#clocks.set(clock, gathered);
      if (this.#clocks.size > MAX_CLOCKS) this.#report(Math.min(...this.#clocks.keys()));
    }
    gathered.workers.add(worker);
    gathered.examples += examples;
    for (const [name, value] of Object.entries(metrics)) {
      const entry = gathered.sums.get(name) ?? { sum: 0, weight: 0 };
      entry.sum += value * examples;
      entry.weight += examples;
      gathered.sums.set(name, entry);
    }
  }

  /** Reports every clock below `minClock`, or all when nobody trains any more. */
  flush(minClock: number, isAll: boolean): void {
    if (this.#clocks.size === 0) return;
    const done = [...this.#clocks.keys()].filter((clock) => isAll || clock < minClock);
    for (const clock of done.sort((a, b) => a - b)) this.#report(clock);
  }

  #report(clock: number): void {
    const gathered = this.#clocks.get(clock);
    if (gathered === undefined) return;
    this.#clocks.delete(clock);
    const metrics: Record<string, number> = {};
    for (const [name, { sum, weight }] of gathered.sums) if (weight > 0) metrics[name] = sum / weight;
    const { workers, examples } = gathered;
    this.#context.observe({ kind: 'metrics', clock, workers: workers.size, examples, metrics });
  }
}
