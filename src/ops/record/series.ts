/**
 * A curve of bounded size over a run of any length: neighbours are averaged when it is full, so that it
 * always covers everything from the beginning, at half the resolution each time.
 */

import type { SeriesPoint } from '../../io/serverReport.js';

/** Points that a curve has at most: more than a chart has pixels for, and a few kilobytes. */
const MAX_POINTS = 512;

/** The course of one number. */
export class Series {
  #points: SeriesPoint[] = [];
  /** Values that one point stands for. */
  #stride = 1;
  #sum = 0;
  #pending = 0;

  /** Appends a value. Times ascend. Values that are not finite are left out: a curve has no place for them. */
  add(atMs: number, clock: number, value: number): void {
    if (!Number.isFinite(value)) return;
    this.#sum += value;
    this.#pending++;
    if (this.#pending < this.#stride) return;
    this.#points.push([Math.round(atMs), clock, rounded(this.#sum / this.#pending)]);
    this.#sum = 0;
    this.#pending = 0;
    if (this.#points.length >= MAX_POINTS) this.#halve();
  }

  /** The points, oldest first; those after `afterMs` alone, if given. */
  points(afterMs: number = Number.NEGATIVE_INFINITY): readonly SeriesPoint[] {
    let at = this.#points.length;
    while (at > 0 && (this.#points[at - 1] as SeriesPoint)[0] > afterMs) at--;
    return this.#points.slice(at);
  }

  #halve(): void {
    const halved: SeriesPoint[] = [];
    for (let i = 0; i + 1 < this.#points.length; i += 2) {
      const [, , first] = this.#points[i] as SeriesPoint;
      const [atMs, clock, second] = this.#points[i + 1] as SeriesPoint;
      halved.push([atMs, clock, rounded((first + second) / 2)]);
    }
    this.#points = halved;
    this.#stride *= 2;
  }
}

/** To as many digits as a chart can show: the points travel as text. */
function rounded(value: number): number {
  return Number(value.toPrecision(7));
}
