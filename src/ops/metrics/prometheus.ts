/**
 * Metrics as Prometheus text, by prom-client: it knows the format, we know the numbers. They are read when
 * they are asked for; nothing is counted twice, and training never waits for prom-client. The registry
 * belongs to one server, and nothing is registered globally.
 */
import type { Metric, Registry } from 'prom-client';
import { PsError } from '../../core/base/errors.js';
import { HISTOGRAMS, type HistogramRow, METRICS, type MetricRow, type MetricSource } from './metricTable.js';

type PromClient = typeof import('prom-client');

/** Writes the metrics of one server. */
export class PrometheusWriter {
  readonly #read: () => MetricSource;
  readonly #labels: Readonly<Record<string, string>>;
  #registry: Promise<Registry> | undefined;
  /** Read once per text, by all metrics. */
  #source: MetricSource | undefined;

  /** `labels` stand on every line. */
  constructor(read: () => MetricSource, labels: Readonly<Record<string, string>>) {
    this.#read = read;
    this.#labels = labels;
  }

  /** The text. Rejects with `PS_NOT_INSTALLED` where prom-client is not. */
  async text(): Promise<string> {
    this.#registry ??= loadPromClient().then((promClient) => this.#register(promClient));
    const registry = await this.#registry;
    this.#source = this.#read();
    return registry.metrics();
  }

  /** The content type of the text. */
  get contentType(): string {
    return 'text/plain; version=0.0.4; charset=utf-8';
  }

  #register({ Registry, Gauge, Counter }: PromClient): Registry {
    const registry = new Registry();
    registry.setDefaultLabels(this.#labels);
    const readings = (row: MetricRow): Iterable<readonly [number, string?]> =>
      this.#source === undefined ? [] : row.read(this.#source);
    for (const row of METRICS) {
      const { name, help, label } = row;
      const labelNames = label === undefined ? [] : [label];
      const labelsOf = (value?: string): Record<string, string> =>
        label === undefined || value === undefined ? {} : { [label]: value };
      const common = { name, help, labelNames, registers: [registry] };
      if (row.type === 'gauge') {
        const gauge = new Gauge<string>({
          ...common,
          collect: () => {
            gauge.reset();
            for (const [value, of] of readings(row)) gauge.set(labelsOf(of), value);
          },
        });
      } else {
        const counter = new Counter<string>({
          ...common,
          collect: () => {
            counter.reset();
            for (const [value, of] of readings(row)) counter.inc(labelsOf(of), value);
          },
        });
      }
    }
    for (const row of HISTOGRAMS) registry.registerMetric(this.#histogram(row));
    return registry;
  }

  /** A metric for the registry that reads a histogram of ours: prom-client's own can only count anew. */
  #histogram({ name, help, of, scale }: HistogramRow): Metric {
    const get = async (): Promise<object> => {
      const { bounds, counts, sum } = of((this.#source as MetricSource).recorder).report();
      let count = 0;
      const buckets = counts.map((each, i) => {
        count += each;
        const bound = bounds[i];
        const le = bound === undefined ? '+Inf' : Number((bound * scale).toPrecision(12));
        return { metricName: `${name}_bucket`, labels: { le }, value: count };
      });
      const values = [
        ...buckets,
        { metricName: `${name}_sum`, labels: {}, value: sum * scale },
        { metricName: `${name}_count`, labels: {}, value: count },
      ];
      return { name, help, type: 'histogram', values, aggregator: 'sum' };
    };
    return { name, help, get, reset() {} } as unknown as Metric;
  }
}

async function loadPromClient(): Promise<PromClient> {
  try {
    const module = await import('prom-client');
    return 'default' in module ? (module.default as PromClient) : module;
  } catch (cause) {
    const message = 'metrics need the package prom-client, which is not installed: npm install prom-client';
    throw new PsError('PS_NOT_INSTALLED', message, { cause });
  }
}
