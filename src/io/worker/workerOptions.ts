/**
 * The options of a worker: what they mean, their defaults, and their checks. Wrong options throw at
 * once, with the option's name, what was given and what is expected.
 */
import { describe, invalidArgument, PsError } from '../../core/base/errors.js';
import { isToken } from '../../core/protocol/token.js';
import { isWorkerId, WORKER_ID } from '../../core/protocol/workerId.js';
import type { ReconnectPolicy } from '../../core/worker/reconnection.js';
import type { Logger } from '../logger.js';
import type { WebSocketConstructor } from '../transport/webSocketConnect.js';
import type { ParameterCache } from './parameterCache.js';
import { mayBeGroup, type ServerUrls, serverUrls, type WorkerUrl } from './serverUrls.js';

/** Who the worker is to the server: a token, or a function that is asked before each connection. */
export type WorkerToken = string | (() => string | Promise<string>);

/** How a worker comes back after a lost connection: exponential backoff with full jitter. */
export interface ReconnectOptions {
  /** Attempts before the worker gives up; 0: none. Default Infinity. */
  readonly retries?: number;
  /** The first delay is uniform in [0, minDelayMs]; the bound doubles each time. Default 500. */
  readonly minDelayMs?: number;
  /** Largest bound of a delay. Default 30,000. */
  readonly maxDelayMs?: number;
  /** How long the worker may be without a connection before it gives up. Default 600,000. */
  readonly maxOfflineMs?: number;
}

/** Bounds of a worker. */
export interface WorkerLimits {
  /** Pushes that may be unanswered at once; more wait their turn. The server may allow fewer. Default 4. */
  readonly maxUnansweredPushes?: number;
  /** Bytes of gradients kept for resending; counts as one whole model at least. Default 64 MiB. */
  readonly maxUnansweredBytes?: number;
  /** Items of a data shard, or inputs of tasks, that the server sends at once; 1,073,741,824. */
  readonly maxTaskBytes?: number;
  /** Largest message taken from the server. Default 64 MiB. */
  readonly maxMessageBytes?: number;
}

/** How a worker in Node speaks TLS; the meaning of the fields is that of `tls.connect`. Text in PEM. */
export interface WorkerTls {
  /** Authorities that may vouch for the server. Default those of Node. */
  readonly ca?: string | readonly string[];
  /** This worker's own certificate and key, where the server asks for one. */
  readonly cert?: string;
  readonly key?: string;
  readonly passphrase?: string;
  /** The name that the server's certificate must have. Default the url's. */
  readonly servername?: string;
}

/** What a `Worker` may be told. */
export interface WorkerOptions {
  /** Stable name of this worker, 1–128 characters. Default random. */
  readonly id?: string;
  /** Sent at each connection. Default none. */
  readonly token?: WorkerToken;
  /** Never in the clock table: for serving, evaluation, monitoring. Default false. */
  readonly readOnly?: boolean;
  /** What to do after a lost connection; false: give up at once. */
  readonly reconnect?: ReconnectOptions | false;
  /** Bound of `connect()`, with all its attempts. Default 30,000. */
  readonly connectTimeoutMs?: number;
  /**
   * Bound of a pull's wait for its answer, and of each pause within it. Default 60,000; Infinity: none. In `run` and
   * `steps` it stands still while there is no connection, which `reconnect.maxOfflineMs` bounds.
   */
  readonly pullTimeoutMs?: number;
  /** How long a step may keep the event loop busy before the server gives this worker up. Default 600,000. */
  readonly maxStepMs?: number;
  /** What `run` does when the server lost updates: reject with `PS_STATE_LOST`, or go on. Default `'reject'`. */
  readonly onRollback?: 'reject' | 'continue';
  /**
   * Steps of `run` and `steps` whose communication may overlap computing: so many of the worker's own updates may
   * be missing in what a gradient is computed from. At most the staleness of the server's `ssp`; not under `bsp`.
   * Each takes memory for one more model and one more gradient. Default 0.
   */
  readonly pipeline?: number;
  /** `new ParameterCache()`: what was pulled serves training pulls again, as long as the staleness bound allows. Default none. */
  readonly cache?: ParameterCache;
  /**
   * What a page does while it is hidden: `'leave'`: it takes no steps and is out of the clock table, so that nobody
   * waits for its slow timers; `'stay'`: it goes on as well as the browser lets it. Default `'leave'`. Node and Web
   * Workers are never hidden.
   */
  readonly whenHidden?: 'leave' | 'stay';
  readonly limits?: WorkerLimits;
  /** Its abort closes the worker. */
  readonly signal?: AbortSignal;
  /** Silent by default. */
  readonly logger?: Logger;
  /** Send with a zero mask on plain `ws:` beyond loopback too. Default false. */
  readonly trustedNetwork?: boolean;
  /** For `wss:` from Node: whom to trust, and the certificate to show. Default the system's. */
  readonly tls?: WorkerTls;
  /** Constructor of standard WebSockets. Default the platform's, in Node pslib's own transport. */
  readonly WebSocket?: WebSocketConstructor;
}

/** Options after their checks, with defaults. */
export interface CheckedWorkerOptions {
  readonly id: string | undefined;
  readonly url: ServerUrls;
  /** There may be several servers. */
  readonly mayBeGroup: boolean;
  /** A function says where the servers are, and how many. */
  readonly mayMove: boolean;
  readonly token: () => Promise<string | undefined>;
  readonly readOnly: boolean;
  readonly reconnect: ReconnectPolicy;
  readonly connectTimeoutMs: number;
  readonly pullTimeoutMs: number;
  readonly maxStepMs: number;
  readonly onRollback: 'reject' | 'continue';
  readonly pipeline: number;
  readonly cache: ParameterCache | undefined;
  readonly whenHidden: 'leave' | 'stay';
  readonly limits: Required<WorkerLimits>;
  readonly signal: AbortSignal | undefined;
  readonly logger: Logger | undefined;
  readonly trustedNetwork: boolean;
  readonly tls: WorkerTls | undefined;
  readonly WebSocket: WebSocketConstructor | undefined;
}

const MIB = 1_048_576;
/** Each step takes a model's memory twice; more than a few hide nothing more. */
const MAX_PIPELINE = 64;
const KEYS = new Set([
  ...['id', 'token', 'readOnly', 'reconnect', 'connectTimeoutMs', 'pullTimeoutMs', 'maxStepMs', 'onRollback'],
  ...['pipeline', 'cache', 'whenHidden', 'limits', 'signal', 'logger', 'trustedNetwork', 'tls', 'WebSocket'],
]);

/** Checks `url` and `options`. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkWorkerOptions(url: WorkerUrl, options: WorkerOptions): CheckedWorkerOptions {
  checkKeys('options', options, KEYS);
  const { id, token, onRollback = 'reject', whenHidden = 'leave', signal, WebSocket } = options;
  if (id !== undefined && !isWorkerId(id)) {
    throw invalidArgument('id', id, WORKER_ID);
  }
  if (token !== undefined && typeof token !== 'string' && typeof token !== 'function') {
    throw invalidArgument('token', typeof token, 'a string or a function');
  }
  if (typeof token === 'string') checkToken(token);
  if (onRollback !== 'reject' && onRollback !== 'continue') {
    throw invalidArgument('onRollback', onRollback, "'reject' or 'continue'");
  }
  if (whenHidden !== 'leave' && whenHidden !== 'stay') {
    throw invalidArgument('whenHidden', whenHidden, "'leave' or 'stay'");
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw invalidArgument('signal', signal, 'an AbortSignal');
  }
  if (WebSocket !== undefined && typeof WebSocket !== 'function') {
    throw invalidArgument('WebSocket', WebSocket, 'a constructor');
  }
  return {
    id,
    url: serverUrls(url),
    mayBeGroup: mayBeGroup(url),
    mayMove: typeof url === 'function',
    token: tokenSource(token),
    readOnly: flag('readOnly', options.readOnly),
    reconnect: checkReconnect(options.reconnect),
    connectTimeoutMs: positive('connectTimeoutMs', options.connectTimeoutMs, 30_000),
    pullTimeoutMs: positive('pullTimeoutMs', options.pullTimeoutMs, 60_000),
    maxStepMs: positive('maxStepMs', options.maxStepMs, 600_000),
    onRollback,
    pipeline: checkPipeline(options.pipeline),
    cache: checkCache(options.cache),
    whenHidden,
    limits: checkLimits(options.limits),
    signal,
    logger: checkLogger(options.logger),
    trustedNetwork: flag('trustedNetwork', options.trustedNetwork),
    tls: checkTls(options.tls, WebSocket),
    WebSocket,
  };
}

function checkReconnect(given: ReconnectOptions | false | undefined): ReconnectPolicy {
  if (given === false) return { retries: 0, minDelayMs: 0, maxDelayMs: 0, maxOfflineMs: 0 };
  const options = given ?? {};
  checkKeys('reconnect', options, new Set(['retries', 'minDelayMs', 'maxDelayMs', 'maxOfflineMs']));
  const { retries = Number.POSITIVE_INFINITY } = options;
  if (typeof retries !== 'number' || !(retries >= 0)) {
    throw invalidArgument('reconnect.retries', retries, 'a number from 0');
  }
  return {
    retries,
    minDelayMs: positive('reconnect.minDelayMs', options.minDelayMs, 500),
    maxDelayMs: positive('reconnect.maxDelayMs', options.maxDelayMs, 30_000),
    maxOfflineMs: positive('reconnect.maxOfflineMs', options.maxOfflineMs, 600_000),
  };
}

function checkCache(cache: ParameterCache | undefined): ParameterCache | undefined {
  if (cache === undefined || typeof cache?.before === 'function') return cache;
  throw invalidArgument('cache', cache, 'a ParameterCache');
}

function checkPipeline(steps: number | undefined): number {
  if (steps === undefined) return 0;
  if (!Number.isSafeInteger(steps) || steps < 0 || steps > MAX_PIPELINE) {
    throw invalidArgument('pipeline', steps, `an integer from 0 to ${MAX_PIPELINE}, in steps`);
  }
  return steps;
}

function checkLimits(given: WorkerLimits = {}): Required<WorkerLimits> {
  checkKeys(
    'limits',
    given,
    new Set(['maxUnansweredPushes', 'maxUnansweredBytes', 'maxMessageBytes', 'maxTaskBytes']),
  );
  const maxMessageBytes = positive('limits.maxMessageBytes', given.maxMessageBytes, 64 * MIB);
  // ws coerces its bound to 32 bits: a larger one would silently be none.
  if (!Number.isInteger(maxMessageBytes) || maxMessageBytes >= 2 ** 31) {
    throw invalidArgument('limits.maxMessageBytes', maxMessageBytes, 'an integer below 2^31');
  }
  return {
    maxUnansweredPushes: count('limits.maxUnansweredPushes', given.maxUnansweredPushes, 4),
    maxUnansweredBytes: positive('limits.maxUnansweredBytes', given.maxUnansweredBytes, 64 * MIB),
    maxTaskBytes: positive('limits.maxTaskBytes', given.maxTaskBytes, 1024 * MIB),
    maxMessageBytes,
  };
}

function tokenSource(token: WorkerToken | undefined): () => Promise<string | undefined> {
  return async () => {
    const given: unknown = typeof token === 'function' ? await token() : token;
    return given === undefined ? undefined : checkToken(given);
  };
}

/** It is in no message: it is a secret. */
function checkToken(given: unknown): string {
  if (isToken(given)) return given;
  const message = 'token must be a string of printable ASCII characters, without spaces';
  throw new PsError('PS_INVALID_ARGUMENT', message, { details: { option: 'token' } });
}

function checkTls(tls: WorkerTls | undefined, WebSocket: unknown): WorkerTls | undefined {
  if (tls === undefined) return undefined;
  checkKeys('tls', tls, new Set(['ca', 'cert', 'key', 'passphrase', 'servername']));
  if (WebSocket !== undefined)
    throw invalidArgument('tls', 'options', 'left out with a WebSocket of your own');
  return tls;
}

function checkLogger(logger: Logger | undefined): Logger | undefined {
  if (logger === undefined) return undefined;
  for (const level of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof logger?.[level] === 'function') continue;
    throw invalidArgument('logger', logger, 'an object with debug, info, warn and error, such as console');
  }
  return logger;
}

function checkKeys(option: string, given: object, known: ReadonlySet<string>): void {
  if (given === null || typeof given !== 'object') throw invalidArgument(option, given, 'an object');
  for (const key of Object.keys(given)) {
    if (known.has(key)) continue;
    const text = `${option} has no ${describe(key)}: it takes ${[...known].join(', ')}`;
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: key } });
  }
}

function positive(option: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value !== 'number' || !(value > 0)) throw invalidArgument(option, value, 'a number > 0');
  return value;
}

function count(option: string, value: number | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!Number.isSafeInteger(value) || value < 1) throw invalidArgument(option, value, 'an integer from 1');
  return value;
}

function flag(option: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== 'boolean')
    throw invalidArgument(option, value, 'true or false');
  return value ?? false;
}
