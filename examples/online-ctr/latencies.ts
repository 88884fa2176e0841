/** Times from question to answer, over a while and over all. */

/** Times in milliseconds. */
export class Latencies {
  #recent: number[] = [];
  #all: number[] = [];

  add(milliseconds: number): void {
    this.#recent.push(milliseconds);
    this.#all.push(milliseconds);
  }

  /** The quantiles `shares` of those since the last call. */
  takeRecent(...shares: readonly number[]): number[] {
    const sorted = Float64Array.from(this.#recent).sort();
    this.#recent = [];
    return shares.map((share) => quantile(sorted, share));
  }

  /** What came before was warming up. */
  restart(): void {
    this.#all = [];
  }

  /** The quantiles `shares` of all. */
  overall(...shares: readonly number[]): number[] {
    const sorted = Float64Array.from(this.#all).sort();
    return shares.map((share) => quantile(sorted, share));
  }
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}
