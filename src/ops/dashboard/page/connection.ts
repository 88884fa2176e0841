/**
 * The page's connection: a reader that pulls nothing, and asks once a second what the server has to tell.
 * The next question waits for the last answer, so a slow server is asked less often.
 */
import { PsError } from '../../../core/base/errors.js';
import { randomHex } from '../../../io/randomHex.js';
import type { ServerReport } from '../../../io/serverReport.js';
import { Watcher } from '../../../io/worker/browser/watcher.js';

const ASK_EVERY_MS = 1000;
/** A page that nobody looks at asks rarely. */
const ASK_HIDDEN_MS = 10_000;

/** How the connection stands. */
export type ConnectionState =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** Lost; it tries again by itself. */
  | { readonly kind: 'waiting'; readonly error: PsError }
  /** Over, until someone does something about it. */
  | { readonly kind: 'failed'; readonly error: PsError };

/** What the page is told. */
export interface ConnectionHandlers {
  /** `isWhole`: its curves begin at their beginning; otherwise they go on where the last report ended. */
  onReport(report: ServerReport, isWhole: boolean): void;
  onState(state: ConnectionState): void;
}

/** One connection to the server, with one token. */
export class Connection {
  readonly #worker: Watcher;
  readonly #handlers: ConnectionHandlers;
  readonly #end = new AbortController();
  #afterMs: number | undefined;

  constructor(url: string, token: string | undefined, handlers: ConnectionHandlers) {
    this.#handlers = handlers;
    this.#worker = new Watcher(url, {
      id: `dashboard-${randomHex(4)}`,
      reconnect: { minDelayMs: 500, maxDelayMs: 5000, maxOfflineMs: 86_400_000 },
      ...(token === undefined ? {} : { token }),
    });
    this.#worker.on('open', () => {
      // Perhaps it is another server, or another life of it.
      this.#afterMs = undefined;
      this.#tell({ kind: 'live' });
    });
    this.#worker.on('reconnecting', ({ error }) => this.#tell({ kind: 'waiting', error }));
    this.#tell({ kind: 'connecting' });
    void this.#run();
  }

  /** The page's own id: it is no worker to be shown. */
  get id(): string {
    return this.#worker.id;
  }

  /** Asks for an action. Rejects with a `PsError`. */
  control(
    action: string,
    argument: Readonly<Record<string, unknown>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    return this.#worker.control(action, argument);
  }

  /** Ends it; nothing more is told. */
  close(): void {
    this.#end.abort();
    void this.#worker.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#end;
    try {
      await this.#worker.connect();
      while (!signal.aborted) {
        const after = this.#afterMs;
        const report = await this.#worker.stats({ signal, after });
        const nowMs = report.record?.nowMs ?? 0;
        const isNew = nowMs < (after ?? 0);
        this.#afterMs = isNew ? undefined : nowMs;
        this.#handlers.onReport(report, after === undefined || isNew);
        await pause(document.hidden ? ASK_HIDDEN_MS : ASK_EVERY_MS, signal);
      }
    } catch (error) {
      if (!signal.aborted) this.#tell({ kind: 'failed', error: asPsError(error) });
    }
  }

  #tell(state: ConnectionState): void {
    if (!this.#end.signal.aborted) this.#handlers.onState(state);
  }
}

function asPsError(error: unknown): PsError {
  return error instanceof PsError ? error : new PsError('PS_INTERNAL', String(error), { cause: error });
}

/** Waits; not longer than until the page is looked at again. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', end);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    document.addEventListener('visibilitychange', end);
    signal.addEventListener('abort', end);
  });
}
