/**
 * The `ParameterServer` that users get: the one of `io`, watched. It keeps a record of what happens, writes it as
 * Prometheus text, and serves the dashboard. Training does not know that it is watched.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ParameterSpecs } from '../core/table/model.js';
import { ParameterServer as UnwatchedServer } from '../io/server/parameterServer.js';
import type { ParameterServerOptions } from '../io/server/serverOptions.js';
import { monotonicNow } from '../io/time.js';
import { PrometheusWriter } from './metrics/prometheus.js';
import { type Counters, Recorder } from './record/recorder.js';
import { WatchRoutes } from './watchRoutes.js';

/**
 * Holds a model's parameters; workers pull them, and it applies what they push, within the bounds of
 * its consistency model.
 *
 * Throws `PS_INVALID_ARGUMENT` for wrong options. Nothing happens before `listen`.
 */
export class ParameterServer<P extends ParameterSpecs = ParameterSpecs> extends UnwatchedServer<P> {
  readonly #metrics: PrometheusWriter;
  readonly #routes: WatchRoutes;

  constructor(options: ParameterServerOptions<P>) {
    let counters: () => Counters = () => ({ receivedBytes: 0, sentBytes: 0 });
    const recorder = new Recorder(monotonicNow(), () => counters());
    super(options, recorder);
    counters = () => this.stats();
    const { index } = this.stats().shard;
    const read = () => ({ stats: this.stats(), workers: this.workers(), recorder });
    this.#metrics = new PrometheusWriter(read, { shard: String(index) });
    this.#routes = new WatchRoutes({
      path: options.path ?? (options.port === undefined ? '/pslib' : '/'),
      hasDashboard: options.dashboard === true,
      metrics: this.#metrics,
      gate: this.gate,
    });
  }

  /**
   * Its metrics as Prometheus text; `docs/guides/metrics.md` lists them. Needs the package prom-client: rejects
   * with `PS_NOT_INSTALLED` without it.
   */
  metrics(): Promise<string> {
    return this.#metrics.text();
  }

  /**
   * Answers an HTTP request for the dashboard (`dashboard/` below `path`, with the option `dashboard`) or for
   * `metrics` below `path`, if it is one, and returns whether it was; others are left untouched. On a port of its
   * own the server does this itself.
   */
  override handleRequest(request: IncomingMessage, response: ServerResponse): boolean {
    return this.#routes.handle(request, response);
  }
}
