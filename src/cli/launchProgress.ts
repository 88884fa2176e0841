/**
 * How training goes, for the status line of `pslib launch`: asks the servers once a second, as a reader. What
 * it can't find out it leaves out, since the server may be a program of anyone's.
 */
import { Worker } from '../io/worker/node/worker.js';

const ASK_EVERY_MS = 1000;
/** A server that is being started again is waited for as long as it takes. */
const A_DAY_MS = 86_400_000;

/** Watches the servers of one job until it is closed. */
export class LaunchProgress {
  readonly #worker: Worker;
  readonly #timer: NodeJS.Timeout;
  readonly #closing = new AbortController();
  #isAsking = false;
  #last: { readonly version: number; readonly atMs: number } | undefined;
  #text = '';

  constructor(urls: readonly string[], token: string | undefined) {
    this.#worker = new Worker(urls, {
      id: `launch-${process.pid}`,
      readOnly: true,
      connectTimeoutMs: A_DAY_MS,
      reconnect: { maxDelayMs: 2000, maxOfflineMs: A_DAY_MS },
      ...(token === undefined || token === '' ? {} : { token }),
    });
    this.#timer = setInterval(() => void this.#ask(), ASK_EVERY_MS);
    this.#timer.unref();
  }

  /** For example `minClock 120  640 updates/s  loss 0.123`; empty while nothing is known. */
  get text(): string {
    return this.#text;
  }

  /** Says goodbye. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#closing.abort();
    await this.#worker.close();
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      const { stats, record } = await this.#worker.stats({ signal: this.#closing.signal });
      const now = { version: stats.version, atMs: performance.now() };
      const seconds = (now.atMs - (this.#last?.atMs ?? now.atMs)) / 1000;
      const updates = now.version - (this.#last?.version ?? now.version);
      this.#last = now;
      const loss = record?.metrics.loss?.at(-1)?.[2];
      this.#text = [
        `minClock ${stats.minClock}`,
        ...(seconds > 0 && updates >= 0 ? [`${Math.round(updates / seconds)} updates/s`] : []),
        ...(typeof loss === 'number' ? [`loss ${loss.toPrecision(3)}`] : []),
      ].join('  ');
    } catch {
      // It is gone, or will not have us: the last that was known stays.
    } finally {
      this.#isAsking = false;
    }
  }
}
