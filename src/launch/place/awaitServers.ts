/**
 * Waits until every server takes connections. Schedulers start processes in any order, so a worker may be
 * there long before its servers; this says which are awaited, and ends within a bound.
 */
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PsError } from '../../core/base/errors.js';
import { monotonicNow } from '../../io/time.js';

/** How to wait. */
export interface WaitOptions {
  /** The bound. */
  readonly waitMs: number;
  readonly signal: AbortSignal | undefined;
  /** Told once every `REPORT_MS` what is awaited. */
  readonly log: (line: string) => void;
}

/** One attempt may take so long: a host that drops packets answers never. */
const ATTEMPT_MS = 3_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** The first report comes after so long, and then after each so long. */
const REPORT_MS = 5_000;

/**
 * Resolves when each of `urls` has accepted a TCP connection since the call. Rejects with `PS_CONNECT_TIMEOUT`,
 * which names those that have not, after `waitMs`, and with `PS_ABORTED`.
 */
export async function awaitServers(urls: readonly string[], options: WaitOptions): Promise<void> {
  const begun = monotonicNow();
  const awaited = new Map(urls.map((url, index) => [index, { url, reason: 'not tried yet' }]));
  const waitedMs = (): number => monotonicNow() - begun;
  let reports = 0;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const limitMs = Math.max(1, Math.min(ATTEMPT_MS, options.waitMs - waitedMs()));
    await Promise.all(
      Array.from(awaited, async ([index, { url }]) => {
        const reason = await attempt(url, limitMs, options.signal);
        if (reason === undefined) awaited.delete(index);
        else awaited.set(index, { url, reason });
      }),
    );
    throwIfAborted(options.signal);
    if (awaited.size === 0) return;
    const text = describe(awaited, urls.length);
    if (waitedMs() >= options.waitMs) {
      const message = `${text} did not come within ${seconds(options.waitMs)}`;
      throw new PsError('PS_CONNECT_TIMEOUT', message);
    }
    if (waitedMs() >= (reports + 1) * REPORT_MS) {
      reports = Math.floor(waitedMs() / REPORT_MS);
      options.log(
        `waiting for ${text}, since ${seconds(waitedMs())}, for ${seconds(options.waitMs)} at most`,
      );
    }
    await sleep(Math.min(pauseMs, Math.max(1, options.waitMs - waitedMs())), undefined, {
      signal: options.signal,
    }).catch(() => throwIfAborted(options.signal));
  }
}

/** `server 1 of 2 at ws://b:7077 (ECONNREFUSED)`; of many only the first few. */
function describe(awaited: ReadonlyMap<number, { url: string; reason: string }>, count: number): string {
  const named = Array.from(
    awaited,
    ([i, { url, reason }]) => `server ${i} of ${count} at ${url} (${reason})`,
  );
  const left = named.length - 4;
  return left > 0 ? `${named.slice(0, 4).join(', ')} and ${left} more` : named.join(', ');
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1000)} s`;
}

/** Connects and disconnects. Returns why it failed; undefined: it did not. */
function attempt(url: string, limitMs: number, signal: AbortSignal | undefined): Promise<string | undefined> {
  const { hostname, port, protocol } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port) || (protocol === 'wss:' ? 443 : 80) });
    const end = (reason: string | undefined): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(reason);
    };
    const onAbort = (): void => end('aborted');
    const timer = setTimeout(() => end('no answer'), limitMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => end(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new PsError('PS_ABORTED', 'waiting for the servers was aborted', { cause: signal.reason });
}
