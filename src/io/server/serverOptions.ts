/**
 * The options of a server: what they mean, their defaults, and their checks. Wrong options throw at
 * once, with the option's name, what was given and what is expected.
 */
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { invalidArgument } from '../../core/base/errors.js';
import { checkSeed } from '../../core/base/random.js';
import { type Consistency, checkConsistency, ssp } from '../../core/consistency/consistency.js';
import { checkDelayOptions, type DelayOptions } from '../../core/consistency/delayPolicy.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import { sgd } from '../../core/optim/sgd.js';
import { checkOptimizer } from '../../core/optim/updateRule.js';
import type { ServerCoreOptions } from '../../core/server/context.js';
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from '../../core/server/limits.js';
import { KEPT_ANSWERS } from '../../core/server/session.js';
import { type Model, modelOf, type ParameterSpecs } from '../../core/table/model.js';
import type { Logger } from '../logger.js';
import { type CheckedStorage, checkStorage, type StorageSettings } from './storageOptions.js';

/** Bounds of a server; see `docs/guides/limits.md`. Times in milliseconds. */
export interface LimitOptions extends Partial<Omit<ServerLimits, 'helloTimeoutMs' | 'sessionExpiryMs'>> {
  /** A connection must say hello within this time; 5,000. */
  readonly helloTimeoutMs?: number;
  /** A session that is silent for so long is forgotten; 86,400,000 (24 h). */
  readonly sessionExpiryMs?: number;
}

/** What a `ParameterServer` is made of. Exactly one of `port`, `server` and `noServer`. */
export interface ParameterServerOptions<P extends ParameterSpecs = ParameterSpecs> extends StorageSettings {
  // Behaviour.
  /** The model, by name. */
  readonly parameters: P;
  /** Applies gradients to the parameters. Default `sgd({ learningRate: 0.01 })`. */
  readonly optimizer?: Optimizer;
  /** Default `ssp({ staleness: 3 })`. */
  readonly consistency?: Consistency;
  /** No training pull is answered before so many workers have joined. Default 1. */
  readonly minWorkers?: number;
  /** What late updates are worth. Default: all the same. */
  readonly delay?: DelayOptions;
  /**
   * `norm`: a push with a larger global L2 norm is scaled down to it. `value`: after that, each element is
   * brought into [−value, value]. Default: neither.
   */
  readonly clip?: { readonly value?: number; readonly norm?: number };
  /**
   * What becomes of a push with values that are not finite: `'reject'` refuses it (`PS_NOT_FINITE`), `'zero'`
   * takes those values as 0, `'allow'` applies them. Default `'reject'`.
   */
  readonly nonFinite?: 'reject' | 'zero' | 'allow';
  /** A push with a larger L2 norm is refused (`PS_NORM_EXCEEDED`). Default Infinity: none. */
  readonly maxPushNorm?: number;
  /** All randomness comes from it. An integer; default 0. */
  readonly seed?: number;
  // Where it listens.
  /** Listen on a port of its own; 0: any free one. */
  readonly port?: number;
  /** Attach to this HTTP(S) server, which stays yours: it is neither made to listen nor closed. */
  readonly server?: HttpServer | HttpsServer;
  /** Listen nowhere: upgrade requests come through `handleUpgrade`. */
  readonly noServer?: boolean;
  /** With `port`: the address. Default `'127.0.0.1'`. Others are refused without `insecure`. */
  readonly host?: string;
  /** The path of the URL. Default `'/'` with `port`, else `'/pslib'`. */
  readonly path?: string;
  /** Pages that may connect: their origins, such as `'https://example.org'`. Default none. Requests without an origin (Node) are not concerned. */
  readonly allowedOrigins?: readonly string[];
  /** Listen on an address beyond this machine although everyone who reaches it may change the model. */
  readonly insecure?: boolean;
  // Bounds and reports.
  readonly limits?: LimitOptions;
  /** Silent by default. */
  readonly logger?: Logger;
}

/** Options after their checks, with defaults. */
export interface CheckedServerOptions {
  readonly model: Model;
  readonly optimizer: Optimizer;
  readonly consistency: Consistency;
  readonly core: Omit<ServerCoreOptions, 'incarnation' | 'lineage'>;
  readonly place:
    | { readonly kind: 'port'; readonly port: number; readonly host: string }
    | { readonly kind: 'server'; readonly server: HttpServer | HttpsServer }
    | { readonly kind: 'noServer' };
  readonly path: string;
  readonly allowedOrigins: ReadonlySet<string>;
  /** Undefined: the state lives in memory. */
  readonly storage: CheckedStorage | undefined;
  readonly logger: Logger | undefined;
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1']);
const KEYS = new Set([
  ...[
    'parameters',
    'optimizer',
    'consistency',
    'minWorkers',
    'delay',
    'clip',
    'nonFinite',
    'maxPushNorm',
    'seed',
  ],
  ...['port', 'server', 'noServer', 'host', 'path', 'allowedOrigins', 'insecure', 'limits', 'logger'],
  ...['dataDir', 'durability', 'checkpoint'],
]);

/** Checks `options`. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkServerOptions(options: ParameterServerOptions): CheckedServerOptions {
  if (options === null || typeof options !== 'object') throw invalidArgument('options', options, 'an object');
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw invalidArgument(key, key, `a known option: ${[...KEYS].join(', ')}`);
  }
  const model = modelOf(options.parameters, checkSeed('seed', options.seed ?? 0));
  const place = checkPlace(options);
  const path = options.path ?? (place.kind === 'port' ? '/' : '/pslib');
  if (typeof path !== 'string' || !path.startsWith('/'))
    throw invalidArgument('path', path, 'a string that begins with /');
  const { nonFinite = 'reject', clip = {}, limits = {} } = options;
  if (!['reject', 'zero', 'allow'].includes(nonFinite)) {
    throw invalidArgument('nonFinite', nonFinite, "'reject', 'zero' or 'allow'");
  }
  const optimizer = checkOptimizer('optimizer', options.optimizer ?? sgd({ learningRate: 0.01 }));
  const modelBytes = model.catalogue.length * Float32Array.BYTES_PER_ELEMENT;
  const storage = checkStorage(options, modelBytes * (1 + optimizer.slots.length));
  return {
    model,
    optimizer,
    consistency: checkConsistency('consistency', options.consistency ?? ssp({ staleness: 3 })),
    core: {
      shard: { index: 0, count: 1 },
      minWorkers: integer('minWorkers', options.minWorkers ?? 1, 0),
      delay: checkDelayOptions(options.delay),
      clip: {
        value: positive('clip.value', clip.value ?? Number.POSITIVE_INFINITY),
        norm: positive('clip.norm', clip.norm ?? Number.POSITIVE_INFINITY),
      },
      nonFinite,
      maxPushNorm: positive('maxPushNorm', options.maxPushNorm ?? Number.POSITIVE_INFINITY),
      isDurable: storage !== undefined && storage.durability !== 'checkpoint',
      limits: checkLimits(limits, modelBytes),
    },
    place,
    path,
    allowedOrigins: checkOrigins(options.allowedOrigins ?? []),
    storage,
    logger: options.logger,
  };
}

function checkPlace(options: ParameterServerOptions): CheckedServerOptions['place'] {
  const given = [options.port !== undefined, options.server !== undefined, options.noServer === true];
  if (given.filter(Boolean).length !== 1) {
    throw invalidArgument('port, server, noServer', given.filter(Boolean).length, 'exactly one of the three');
  }
  if (options.noServer === true) return { kind: 'noServer' };
  if (options.server !== undefined) {
    if (typeof options.server?.on !== 'function')
      throw invalidArgument('server', options.server, 'an http.Server');
    return { kind: 'server', server: options.server };
  }
  const port = integer('port', options.port, 0);
  if (port > 65_535) throw invalidArgument('port', port, 'an integer from 0 to 65535');
  const { host = '127.0.0.1', insecure = false } = options;
  if (typeof host !== 'string' || host === '') throw invalidArgument('host', host, 'an address or a name');
  if (!LOOPBACK.has(host) && insecure !== true) {
    throw invalidArgument(
      'host',
      host,
      'an address of this machine alone (127.0.0.1, ::1, localhost), or insecure: true',
    );
  }
  return { kind: 'port', port, host };
}

function checkLimits(given: LimitOptions, modelBytes: number): ServerLimits {
  if (given === null || typeof given !== 'object') throw invalidArgument('limits', given, 'an object');
  const defaults: ServerLimits = {
    ...DEFAULT_SERVER_LIMITS,
    stagingBytes: Math.max(modelBytes, DEFAULT_SERVER_LIMITS.stagingBytes),
  };
  const limits: Record<string, number> = { ...defaults };
  for (const [name, value] of Object.entries(given)) {
    if (!(name in defaults))
      throw invalidArgument(`limits.${name}`, name, `one of ${Object.keys(defaults).join(', ')}`);
    if (value === undefined) continue;
    limits[name] = checkLimit(name, value);
  }
  if ((limits.maxUnansweredPushes as number) > KEPT_ANSWERS) {
    throw invalidArgument(
      'limits.maxUnansweredPushes',
      limits.maxUnansweredPushes,
      `at most ${KEPT_ANSWERS}`,
    );
  }
  const chunkBytes = limits.chunkBytes as number;
  if (chunkBytes % 8 !== 0 || chunkBytes < 1024 || chunkBytes > 2 ** 28) {
    throw invalidArgument('limits.chunkBytes', chunkBytes, 'a multiple of 8 from 1,024 to 268,435,456');
  }
  return limits as unknown as ServerLimits;
}

/** Whole numbers: workers are told of them as such. Only "never" may be Infinity. */
function checkLimit(name: string, value: unknown): number {
  if (name === 'progressTimeoutMs' && value === Number.POSITIVE_INFINITY) return value;
  return integer(`limits.${name}`, value, 1);
}

function checkOrigins(origins: readonly string[]): ReadonlySet<string> {
  if (!Array.isArray(origins)) throw invalidArgument('allowedOrigins', origins, 'an array of origins');
  for (const origin of origins as unknown[]) {
    if (typeof origin !== 'string' || !/^[a-z][a-z0-9+.-]*:\/\/[^/]+$/i.test(origin)) {
      throw invalidArgument(
        'allowedOrigins',
        origin,
        'origins such as "https://example.org", without a path',
      );
    }
  }
  return new Set(origins.map((origin) => origin.toLowerCase()));
}

function integer(option: string, value: unknown, least: number): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= least) return value;
  throw invalidArgument(option, value, `an integer from ${least}`);
}

function positive(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0) return value;
  throw invalidArgument(option, value, 'a number > 0');
}
