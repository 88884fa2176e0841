/** One chart over time or clocks, by uPlot, in the colours of the page's theme. */
import uPlot from 'uplot';
import type { SeriesPoint } from '../../../io/serverReport.js';
import { duration } from '../../view/format.js';
import { create, setText } from './dom.js';

/** What the horizontal axis counts. */
export type Axis = 'time' | 'clock';

/** One curve. */
export interface Curve {
  readonly name: string;
  readonly points: readonly SeriesPoint[];
}

/** How a chart looks. */
export interface ChartOptions {
  readonly title: string;
  /** Names of the curves, at most two; with one, the title is its name. */
  readonly curves: readonly string[];
  readonly format: (value: number) => string;
  readonly isLarge?: boolean;
  /** Draws from zero up: for rates. */
  readonly fromZero?: boolean;
}

/** A figure with a caption and a plot. */
export class Chart {
  readonly root: HTMLElement;
  readonly #options: ChartOptions;
  readonly #now = create('b');
  readonly #frame = create('div', 'plot');
  #axis: Axis = 'time';
  #curves: readonly Curve[] = [];
  #plot: uPlot | undefined;

  constructor(options: ChartOptions) {
    this.#options = options;
    this.root = create('figure', options.isLarge === true ? 'chart large' : 'chart');
    const caption = create('figcaption');
    const left = create('span');
    if (options.curves.length > 1) {
      for (const [i, name] of options.curves.entries()) {
        left.append(create('i', i === 0 ? 'key' : 'key second'), name);
      }
    } else left.append(options.title);
    caption.append(left, this.#now);
    this.#frame.setAttribute('role', 'img');
    this.root.append(caption, this.#frame);
    new ResizeObserver(() => this.#resize()).observe(this.#frame);
  }

  /** Draws `curves`, in the order of the options. */
  show(curves: readonly Curve[], axis: Axis): void {
    this.#curves = curves;
    const lasts = curves.map(({ points }) => points.at(-1)?.[2]);
    setText(
      this.#now,
      lasts.map((last) => (last === undefined ? '–' : this.#options.format(last))).join(' · '),
    );
    this.#frame.setAttribute('aria-label', this.#describe());
    if (this.#plot === undefined || axis !== this.#axis) {
      this.#axis = axis;
      this.redraw();
    } else this.#plot.setData(this.#data());
  }

  /** Draws anew: the theme has changed. */
  redraw(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    if (this.#frame.clientWidth === 0) return;
    this.#plot = new uPlot(this.#uplotOptions(), this.#data(), this.#frame);
  }

  #resize(): void {
    if (this.#plot === undefined) this.redraw();
    else this.#plot.setSize(this.#size());
  }

  #size(): { width: number; height: number } {
    return { width: Math.max(60, this.#frame.clientWidth), height: this.#frame.clientHeight };
  }

  /** All curves on the points of the first: they are sampled together. */
  #data(): uPlot.AlignedData {
    const [first] = this.#curves;
    const at = this.#axis === 'time' ? 0 : 1;
    const xs = (first?.points ?? []).map((point) => point[at]);
    return [xs, ...this.#curves.map(({ points }) => points.map(([, , value]) => value))];
  }

  #describe(): string {
    const parts = this.#curves.map(({ name, points }) => {
      const values = points.map(([, , value]) => value);
      if (values.length === 0) return `${name}: no values yet`;
      const { format } = this.#options;
      const [first = 0, last = 0] = [values[0], values.at(-1)];
      return `${name}: ${format(last)} now, ${format(first)} at first, between ${format(Math.min(...values))} and ${format(Math.max(...values))}`;
    });
    return parts.join('; ');
  }

  #uplotOptions(): uPlot.Options {
    const style = getComputedStyle(document.documentElement);
    const colour = (name: string): string => style.getPropertyValue(`--${name}`).trim();
    const strokes = [colour('accent'), colour('accent-2')];
    const { format, fromZero = false } = this.#options;
    const axis = {
      stroke: colour('soft'),
      font: `12px ${style.fontFamily}`,
      grid: { stroke: colour('line'), width: 1 },
      ticks: { show: false },
    };
    const isTime = this.#axis === 'time';
    return {
      ...this.#size(),
      padding: [10, 14, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: true, y: false } },
      scales: {
        x: { time: false },
        y: fromZero ? { range: (_plot, _min, max) => [0, max > 0 ? max * 1.08 : 1] } : {},
      },
      axes: [
        {
          ...axis,
          size: 26,
          grid: { show: false },
          space: 70,
          ...(isTime ? { incrs: TIME_STEPS } : {}),
          values: (_plot, ticks) => ticks.map((tick) => (isTime ? timeOf(tick) : String(tick))),
        },
        { ...axis, size: 62, space: 36, values: (_plot, ticks) => ticks.map((tick) => format(tick)) },
      ],
      series: [
        {},
        ...this.#options.curves.map((label, i) => ({
          label,
          stroke: strokes[i] as string,
          width: 1.75,
          // A curve of one point would not be seen.
          points: { show: (plot: uPlot) => (plot.data[0]?.length ?? 0) < 3 },
        })),
      ],
      hooks: { setCursor: [(plot) => this.#showCursor(plot)] },
    };
  }

  /** The values under the cursor stand in the caption, and the last ones again when it leaves. */
  #showCursor({ cursor }: uPlot): void {
    const { idx } = cursor;
    const { format } = this.#options;
    const at = (points: readonly SeriesPoint[]): SeriesPoint | undefined =>
      idx === null || idx === undefined ? points.at(-1) : points[idx];
    const values = this.#curves.map(({ points }) => at(points)?.[2]);
    const text = values.map((value) => (value === undefined ? '–' : format(value))).join(' · ');
    const point = idx === null || idx === undefined ? undefined : this.#curves[0]?.points[idx];
    const where = point === undefined ? '' : ` at clock ${point[1]}, ${duration(point[0])}`;
    setText(this.#now, `${text}${where}`);
  }
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const TIME_STEPS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * SECOND),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
  ...[1, 2, 6, 12, 24, 48, 168].map((n) => n * HOUR),
];

/** Time since the server began: 0:05, 12:30, 3:00:00. */
function timeOf(milliseconds: number): string {
  const seconds = Math.round(milliseconds / SECOND);
  const two = (value: number): string => String(value).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}
