/** The charts: each metric that workers send, the loss first, and how much passes through the server. */
import type { RecordReport } from '../../../io/serverReport.js';
import { Series } from '../../record/series.js';
import { bytesPerSecond, number, perSecond } from '../../view/format.js';
import { type Axis, Chart } from './chart.js';
import { element } from './dom.js';

/** Keeps the curves, and draws them. */
export class TrainingView {
  readonly #series = new Map<string, Series>();
  readonly #charts = new Map<string, Chart>();
  readonly #updates = new Chart({
    title: 'updates per second',
    curves: ['updates per second'],
    format: perSecond,
    fromZero: true,
  });
  readonly #bytes = new Chart({
    title: 'bytes per second',
    curves: ['received', 'sent'],
    format: bytesPerSecond,
    fromZero: true,
  });
  #axis: Axis = 'time';

  constructor() {
    element('charts').append(this.#updates.root, this.#bytes.root);
    for (const input of document.querySelectorAll<HTMLInputElement>('input[name="axis"]')) {
      input.addEventListener('change', () => {
        this.#axis = input.value as Axis;
        this.#draw();
      });
    }
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const chart of [...this.#charts.values(), this.#updates, this.#bytes]) chart.redraw();
    });
  }

  /** The last value of the metric that stands first. */
  get headline(): { readonly name: string; readonly value: number } | undefined {
    const [name] = this.#names();
    const value = name === undefined ? undefined : this.#series.get(name)?.points().at(-1)?.[2];
    return name === undefined || value === undefined ? undefined : { name: name.slice(2), value };
  }

  /** Forgets everything: another server, or another life of it. */
  clear(): void {
    this.#series.clear();
  }

  /** Adds what a report brings. */
  add({ metrics, rates }: RecordReport): void {
    for (const [kind, curves] of [
      ['m', metrics],
      ['r', rates],
    ] as const) {
      for (const [name, points] of Object.entries(curves)) {
        const key = `${kind} ${name}`;
        const series = this.#series.get(key) ?? new Series();
        this.#series.set(key, series);
        for (const point of points) series.add(...point);
      }
    }
    this.#draw();
  }

  /** Keys of the metrics' curves; the loss first. */
  #names(): string[] {
    const names = [...this.#series.keys()].filter((key) => key.startsWith('m '));
    return names.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  }

  #draw(): void {
    const names = this.#names();
    element('no-metrics').hidden = names.length > 0;
    for (const key of names) {
      const name = key.slice(2);
      let chart = this.#charts.get(key);
      if (chart === undefined) {
        chart = new Chart({
          title: name,
          curves: [name],
          format: number,
          isLarge: rank(key) === 0 || names.length === 1,
        });
        this.#charts.set(key, chart);
        element('charts').insertBefore(
          chart.root,
          rank(key) === 0 ? element('charts').firstChild : this.#updates.root,
        );
      }
      chart.show([{ name, points: this.#points(key) }], this.#axis);
    }
    this.#updates.show([{ name: 'updates per second', points: this.#points('r updates') }], this.#axis);
    const [received, sent] = [this.#points('r receivedBytes'), this.#points('r sentBytes')];
    this.#bytes.show(
      [
        { name: 'bytes received per second', points: received },
        { name: 'bytes sent per second', points: sent },
      ],
      this.#axis,
    );
  }

  #points(key: string): ReturnType<Series['points']> {
    return this.#series.get(key)?.points() ?? [];
  }
}

function rank(key: string): number {
  return key === 'm loss' ? 0 : 1;
}
