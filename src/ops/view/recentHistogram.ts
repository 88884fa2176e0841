/** Histograms of the last while, from reports of all since the beginning: what has been added meanwhile. */
import type { HistogramReport } from '../../io/serverReport.js';

type Histograms = Readonly<Record<string, HistogramReport>>;

/** Keeps reports of the last `windowMs`, and one that is older. */
export class RecentHistograms<H extends Histograms> {
  readonly #windowMs: number;
  #kept: { readonly atMs: number; readonly histograms: H }[] = [];

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Forgets everything: another server, or another life of it. */
  clear(): void {
    this.#kept = [];
  }

  /** Takes a report and returns what was added in the window; while it is younger, since the beginning. */
  add(atMs: number, histograms: H): H {
    this.#kept.push({ atMs, histograms });
    while ((this.#kept[1]?.atMs ?? Number.POSITIVE_INFINITY) <= atMs - this.#windowMs) this.#kept.shift();
    const oldest = this.#kept[0];
    if (oldest === undefined || oldest.atMs > atMs - this.#windowMs) return histograms;
    const entries = Object.entries(histograms).map(([name, each]) => [
      name,
      difference(each, oldest.histograms[name]),
    ]);
    return Object.fromEntries(entries) as H;
  }
}

function difference(now: HistogramReport, then: HistogramReport | undefined): HistogramReport {
  const counts = now.counts.map((each, i) => each - (then?.counts[i] ?? 0));
  return { bounds: now.bounds, counts, sum: now.sum - (then?.sum ?? 0) };
}
