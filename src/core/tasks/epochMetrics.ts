/** Means of the metrics of an epoch, weighted by examples. Its numbers are a part of the durable state. */

/** Metrics as plain data. */
export type MetricsImage = readonly (readonly [name: string, sum: number, examples: number])[];

/** Most names that one epoch collects. */
const MAX_NAMES = 256;

/** Weighted means by name. */
export class EpochMetrics {
  readonly #sums = new Map<string, { sum: number; examples: number }>();

  /** Adds the metrics of a push that covers `examples`. */
  add(metrics: Readonly<Record<string, number>> | undefined, examples: number): void {
    for (const [name, value] of Object.entries(metrics ?? {})) {
      const entry = this.#sums.get(name) ?? { sum: 0, examples: 0 };
      entry.sum += value * examples;
      entry.examples += examples;
      if (this.#sums.size < MAX_NAMES) this.#sums.set(name, entry);
    }
  }

  /** The means. */
  means(): Record<string, number> {
    const means: Record<string, number> = {};
    for (const [name, { sum, examples }] of this.#sums) means[name] = sum / examples;
    return means;
  }

  clear(): void {
    this.#sums.clear();
  }

  save(): MetricsImage {
    return [...this.#sums].map(([name, { sum, examples }]) => [name, sum, examples] as const);
  }

  restore(image: MetricsImage): void {
    this.#sums.clear();
    for (const [name, sum, examples] of image) {
      // JSON has no number for what is not finite.
      this.#sums.set(name, { sum: typeof sum === 'number' ? sum : Number.NaN, examples });
    }
  }
}
