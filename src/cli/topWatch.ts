/** The connections and the terminal of `pslib top`: asks each server once a second, and draws what `topScreen` says. */
import type { ReadStream, WriteStream } from 'node:tty';
import type { PsError } from '../core/base/errors.js';
import { randomHex } from '../io/randomHex.js';
import type { ServerReport } from '../io/serverReport.js';
import { Worker } from '../io/worker/node/worker.js';
import { Series } from '../ops/record/series.js';
import { WorkerHistory } from '../ops/view/workerRows.js';
import { lineOf, SORTS, screenOf, type WatchedShard } from './topScreen.js';

const ASK_EVERY_MS = 1000;
/** Where the output is no terminal, a line is printed for so many looks. */
const LOOKS_PER_LINE = 5;
const SHOW_SCREEN = '\u001b[?1049h\u001b[?25l';
const LEAVE_SCREEN = '\u001b[?25h\u001b[?1049l';

/** What is known of one server, from look to look. */
class ShardView {
  readonly #history = new WorkerHistory();
  readonly #metrics = new Map<string, Series>();
  #nowMs = 0;
  #now: WatchedShard;

  constructor(url: string) {
    this.#now = { url, report: undefined, rows: [], metric: undefined, trouble: undefined };
  }

  get now(): WatchedShard {
    return this.#now;
  }

  /** There is no connection, or no answer. */
  trouble(why: string): void {
    this.#now = { ...this.#now, trouble: why };
  }

  /** Takes what the server says to the worker `asker`; `after`: the records of later moments only. */
  take(report: ServerReport, asker: string, after: number | undefined): void {
    const { record, stats } = report;
    const nowMs = record?.nowMs ?? stats.uptimeMs;
    if (after === undefined || nowMs < this.#nowMs) this.#metrics.clear();
    this.#nowMs = nowMs;
    for (const [name, points] of Object.entries(record?.metrics ?? {})) {
      const series = this.#metrics.get(name) ?? new Series();
      this.#metrics.set(name, series);
      for (const point of points) series.add(...point);
    }
    const name = this.#metrics.has('loss') ? 'loss' : [...this.#metrics.keys()].sort()[0];
    const metric = name === undefined ? undefined : { name, points: this.#metrics.get(name)?.points() ?? [] };
    const others = report.workers.filter(({ id }) => id !== asker);
    const rows = this.#history.rows(nowMs, others);
    this.#now = { url: this.#now.url, report, rows, metric, trouble: undefined };
  }
}

function describe({ message, code }: PsError): string {
  return `${message} (${code})`;
}

/** Watches a server, or all shards of a group. */
export class Watch {
  readonly #worker: Worker;
  /** In the order of the urls. */
  readonly #views: readonly ShardView[];
  #afterMs: number | undefined;
  /** The order of the shards, as far as they have said their index. */
  readonly #order: number[];

  constructor(urls: readonly string[], token: string | undefined) {
    this.#views = urls.map((url) => new ShardView(url));
    this.#order = urls.map((_, i) => i);
    this.#worker = new Worker(urls, {
      id: `top-${randomHex(4)}`,
      readOnly: true,
      reconnect: { maxDelayMs: 5000, maxOfflineMs: 86_400_000 },
      ...(token === undefined || token === '' ? {} : { token }),
    });
    this.#worker.on('open', () => {
      // Perhaps it is another server, or another life of it.
      this.#afterMs = undefined;
    });
    this.#worker.on('reconnecting', ({ error, server = 0 }) => {
      this.#views[server]?.trouble(`not connected: ${describe(error)}; trying again …`);
    });
  }

  /** What is known now, in the order of shards. */
  get shards(): readonly WatchedShard[] {
    return this.#order.map((i) => (this.#views[i] as ShardView).now);
  }

  /** Asks every server that is there. Rejects when they will not have us. Waits for answers until `signal` aborts. */
  async look(signal: AbortSignal): Promise<void> {
    const after = this.#afterMs;
    const report = await this.#worker.stats({ signal, after });
    const { shards = [{ ...report, server: 0 }] } = report;
    // The times of shards differ, so a group tells all that it remembers each time.
    const nowMs = report.record?.nowMs ?? report.stats.uptimeMs;
    this.#afterMs = nowMs < (after ?? 0) || shards.length > 1 ? undefined : nowMs;
    for (const { server, ...own } of shards) this.#views[server]?.take(own, this.#worker.id, after);
    const indexOf = (i: number): number => this.#views[i]?.now.report?.stats.shard.index ?? i;
    this.#order.sort((a, b) => indexOf(a) - indexOf(b));
  }

  async close(): Promise<void> {
    await this.#worker.close();
  }
}

/** Where it is shown. */
export interface TopTerminal {
  readonly once: boolean;
  readonly input: Pick<ReadStream, 'isTTY' | 'setRawMode' | 'on' | 'off' | 'resume' | 'pause'>;
  readonly output: Pick<WriteStream, 'isTTY' | 'columns' | 'rows' | 'write' | 'hasColors'>;
}

/** Shows `watch` until someone ends it. Rejects when a server refuses. */
export async function showWatch(watch: Watch, terminal: TopTerminal): Promise<void> {
  const { once, output } = terminal;
  const end = new AbortController();
  const onInterrupt = (): void => end.abort();
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  const isScreen = output.isTTY && !once;
  const screen = isScreen ? new Screen(watch, terminal, () => end.abort()) : undefined;
  try {
    for (let looks = 0; !end.signal.aborted; looks++) {
      await lookOrTimeOut(watch, end.signal, once);
      if (once && looks > 0) break;
      if (screen !== undefined) screen.draw();
      else if (!once && looks % LOOKS_PER_LINE === 0) {
        for (const shard of watch.shards) output.write(`${lineOf(shard)}\n`);
      }
      await pause(ASK_EVERY_MS, end.signal);
    }
  } finally {
    screen?.close();
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
    await watch.close();
  }
  if (once) for (const line of screenOf(watch.shards, plainOptions(output))) output.write(`${line}\n`);
}

/** One look; a server that does not answer is shown as such, except where only one look is wanted. */
async function lookOrTimeOut(watch: Watch, signal: AbortSignal, isPatient: boolean): Promise<void> {
  const look = watch.look(signal).catch((error: PsError) => {
    if (!signal.aborted && !isPassing(error)) throw error;
  });
  await (isPatient ? look : Promise.race([look, pause(2 * ASK_EVERY_MS, signal)]));
}

function isPassing({ code }: PsError): boolean {
  return code === 'PS_CONNECTION_LOST' || code === 'PS_ABORTED' || code === 'PS_DRAINING';
}

function plainOptions(output: TopTerminal['output']): Parameters<typeof screenOf>[1] {
  const { columns = 120 } = output;
  return {
    columns: output.isTTY ? columns : 200,
    rows: 10_000,
    hasColours: false,
    hasKeys: false,
    sort: undefined,
  };
}

/** A screen of its own, which leaves the terminal as it was. */
class Screen {
  readonly #watch: Watch;
  readonly #terminal: TopTerminal;
  readonly #onKey: (key: Uint8Array) => void;
  #sort = 0;

  constructor(watch: Watch, terminal: TopTerminal, onQuit: () => void) {
    this.#watch = watch;
    this.#terminal = terminal;
    this.#onKey = (key) => {
      const text = new TextDecoder().decode(key);
      if (text === 'q' || text === '\u0003') onQuit();
      if (text !== 's') return;
      this.#sort = (this.#sort + 1) % SORTS.length;
      this.draw();
    };
    const { input, output } = terminal;
    output.write(SHOW_SCREEN);
    if (!input.isTTY) return;
    input.setRawMode(true);
    input.on('data', this.#onKey);
    input.resume();
  }

  draw(): void {
    const { output } = this.#terminal;
    const { columns, rows } = output;
    const hasColours = output.hasColors?.() === true;
    const options = { columns, rows, hasColours, hasKeys: true, sort: SORTS[this.#sort] };
    const lines = screenOf(this.#watch.shards, options).slice(0, rows);
    // Line by line over the old ones: clearing first would flicker.
    output.write(`\u001b[H${lines.map((line) => `${line}\u001b[K`).join('\r\n')}\u001b[J`);
  }

  close(): void {
    const { input, output } = this.#terminal;
    output.write(LEAVE_SCREEN);
    if (!input.isTTY) return;
    input.off('data', this.#onKey);
    input.setRawMode(false);
    input.pause();
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
  });
}
