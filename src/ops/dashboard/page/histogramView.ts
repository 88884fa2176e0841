/**
 * The four histograms, as bars, of the last minute or since the server began; the numbers stand in a text for those who
 * do not see them.
 */
import type { HistogramReport, RecordReport } from '../../../io/serverReport.js';
import { count, duration } from '../../view/format.js';
import { quantile, trimmed } from '../../view/quantile.js';
import { RecentHistograms } from '../../view/recentHistogram.js';
import { create, element, setText } from './dom.js';

type Histograms = RecordReport['histograms'];
type Name = keyof Histograms;

const RECENT_MS = 60_000;

const KINDS: readonly { name: Name; title: string; format: (value: number) => string }[] = [
  { name: 'delay', title: 'Delay of pushes', format: (value) => `${count(value)} updates` },
  { name: 'wait', title: 'Wait of pulls', format: duration },
  { name: 'lead', title: 'Lead at pulls', format: (value) => `${count(value)} clocks` },
  { name: 'apply', title: 'Time to apply an update', format: duration },
];

interface Figure {
  readonly root: HTMLElement;
  readonly bars: HTMLElement;
  readonly typical: HTMLElement;
  readonly ends: HTMLElement;
}

/** Draws the histograms. */
export class HistogramView {
  readonly #figures: Figure[] = KINDS.map(({ title }) => {
    const root = create('figure', 'histogram');
    const bars = create('div', 'bars');
    bars.setAttribute('role', 'img');
    const [typical, ends] = [create('p', 'typical'), create('div', 'ends')];
    ends.append(create('span'), create('span'));
    root.append(create('h3', '', title), typical, bars, ends);
    return { root, bars, typical, ends };
  });

  readonly #recent = new RecentHistograms<Histograms>(RECENT_MS);
  #shown: { readonly minute: Histograms; readonly all: Histograms } | undefined;
  #window: 'minute' | 'all' = 'minute';

  constructor() {
    element('histograms').append(...this.#figures.map(({ root }) => root));
    for (const input of document.querySelectorAll<HTMLInputElement>('input[name="window"]')) {
      input.addEventListener('change', () => {
        this.#window = input.value as 'minute' | 'all';
        if (this.#shown !== undefined) this.#show(this.#shown[this.#window]);
      });
    }
  }

  /** Forgets everything: another server, or another life of it. */
  clear(): void {
    this.#recent.clear();
  }

  /** Draws what a report brings. */
  add({ nowMs, histograms }: RecordReport): void {
    this.#shown = { minute: this.#recent.add(nowMs, histograms), all: histograms };
    this.#show(this.#shown[this.#window]);
  }

  #show(histograms: Histograms): void {
    for (const [i, { name, title, format }] of KINDS.entries()) {
      const figure = this.#figures[i] as Figure;
      const histogram = histograms[name];
      const total = histogram.counts.reduce((sum, each) => sum + each, 0);
      const text = total === 0 ? 'nothing' : summaryOf(histogram, format);
      setText(figure.typical, text);
      figure.bars.setAttribute('aria-label', `${title}: ${text}, of ${count(total)}`);
      this.#draw(figure, histogram, format);
    }
  }

  #draw({ bars, ends }: Figure, histogram: HistogramReport, format: (value: number) => string): void {
    const { bounds, counts } = trimmed(histogram);
    const most = Math.max(1, ...counts);
    while (bars.children.length > counts.length) bars.lastElementChild?.remove();
    while (bars.children.length < counts.length) bars.append(create('i'));
    for (const [i, value] of counts.entries()) {
      const bar = bars.children[i] as HTMLElement;
      // A bucket that is not empty is seen, however small its share.
      bar.style.height = value === 0 ? '0' : `${Math.max(2, (100 * value) / most)}%`;
      const bound = bounds[i];
      bar.title = `${bound === undefined ? 'more' : `≤ ${format(bound)}`}: ${count(value)}`;
    }
    const [first, last] = [bounds[0], bounds[counts.length - 1]];
    setText(ends.children[0] as Element, first === undefined ? '' : `≤ ${format(first)}`);
    setText(
      ends.children[1] as Element,
      last === undefined ? `> ${format(bounds.at(-1) ?? 0)}` : `≤ ${format(last)}`,
    );
  }
}

function summaryOf(histogram: HistogramReport, format: (value: number) => string): string {
  const bound = (share: number): string => {
    const value = quantile(histogram, share);
    return Number.isFinite(value) ? `≤ ${format(value)}` : `> ${format(histogram.bounds.at(-1) ?? 0)}`;
  };
  return `half ${bound(0.5)}, 99 % ${bound(0.99)}`;
}
