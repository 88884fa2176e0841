/**
 * The options of a server: what they mean, their defaults, and their checks. Wrong options throw at
 * once, with the option's name, what was given and what is expected.
 */
import { totalmem } from 'node:os';
import { invalidArgument } from '../../core/base/errors.js';
import { checkOptionObject, integer } from '../../core/base/optionObject.js';
import { checkSeed } from '../../core/base/random.js';
import { type Consistency, checkConsistency, ssp } from '../../core/consistency/consistency.js';
import { checkDelayOptions, type DelayOptions } from '../../core/consistency/delayPolicy.js';
import { checkClip } from '../../core/optim/clipping.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import { sgd } from '../../core/optim/sgd.js';
import { checkOptimizer } from '../../core/optim/updateRule.js';
import type { Shard } from '../../core/partition/keyRange.js';
import type { ServerCoreOptions } from '../../core/server/context.js';
import { DEFAULT_SERVER_LIMITS, type ServerLimits } from '../../core/server/limits.js';
import { KEPT_ANSWERS } from '../../core/server/session.js';
import { type Model, modelOf, type ParameterSpecs } from '../../core/table/model.js';
import { type CheckedTable, checkTables, type SparseTableSpecs } from '../../core/table/tableSpecs.js';
import type { Logger } from '../logger.js';
import { type CheckedPlaceOptions, checkPlaceOptions, type PlaceOptions } from './placeOptions.js';
import { checkShard, checkShardConsistency, groupName, type ShardOption } from './shardOption.js';
import {
  type CheckedStorage,
  checkSetsDirectory,
  checkStorage,
  type StorageSettings,
} from './storageOptions.js';

/** Bounds of a server; see `docs/guides/limits.md`. Times in milliseconds. */
export interface LimitOptions extends Partial<Omit<ServerLimits, 'helloTimeoutMs' | 'sessionExpiryMs'>> {
  /** A connection must say hello within this time; 5,000. */
  readonly helloTimeoutMs?: number;
  /** A session that is silent for so long is forgotten; 86,400,000 (24 h). */
  readonly sessionExpiryMs?: number;
}

/** Which epoch is the best. */
export interface KeepBest {
  readonly metric: string;
  readonly mode: 'min' | 'max';
}

/** What a `ParameterServer` is made of. Exactly one of `port`, `server` and `noServer`. */
export interface ParameterServerOptions<P extends ParameterSpecs = ParameterSpecs>
  extends PlaceOptions,
    StorageSettings {
  // Behaviour.
  /** The model, by name. May be empty if there are tables. */
  readonly parameters: P;
  /** Sparse tables, by names that no parameter has; see `docs/guides/sparse.md`. Default none. */
  readonly tables?: SparseTableSpecs;
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
  /** The part of the parameters that this server holds; see `docs/guides/groups.md`. Default the whole. */
  readonly shard?: ShardOption;
  // Bounds and reports.
  readonly limits?: LimitOptions;
  /**
   * Keeps the parameters after the epoch with the best value of a metric: in `dataDir`, as `best.safetensors`, else
   * in memory. The metric is one of the pushes, or one that `onEpoch` returns. Default: none.
   */
  readonly keepBest?: KeepBest;
  /** Silent by default. */
  readonly logger?: Logger;
  /**
   * Serve a page that shows training, at `dashboard/` below `path`, to those who may monitor. On a server of yours
   * it is answered through `handleRequest`. Default false.
   */
  readonly dashboard?: boolean;
}

/** Options after their checks, with defaults. */
export interface CheckedServerOptions extends CheckedPlaceOptions {
  readonly model: Model;
  readonly tables: readonly CheckedTable[];
  readonly seed: number;
  readonly optimizer: Optimizer;
  readonly consistency: Consistency;
  readonly core: Omit<ServerCoreOptions, 'incarnation' | 'lineage'>;
  /** Undefined: the state lives in memory. */
  readonly storage: CheckedStorage | undefined;
  /** The directory of checkpoint sets; undefined: none. */
  readonly sets: string | undefined;
  readonly logger: Logger | undefined;
  readonly dashboard: boolean;
  readonly keepBest: KeepBest | undefined;
}

const KEYS = new Set([
  ...[
    'parameters',
    'tables',
    'optimizer',
    'consistency',
    'minWorkers',
    'delay',
    'clip',
    'nonFinite',
    'maxPushNorm',
    'seed',
    'keepBest',
    'shard',
  ],
  ...['port', 'server', 'noServer', 'host', 'path', 'auth', 'allowedOrigins', 'tls', 'insecure'],
  ...['limits', 'logger', 'dashboard'],
  ...['dataDir', 'durability', 'checkpoint'],
]);

/** Checks `options`. Throws `PS_INVALID_ARGUMENT` that names the option. */
export function checkServerOptions(options: ParameterServerOptions): CheckedServerOptions {
  if (options === null || typeof options !== 'object') throw invalidArgument('options', options, 'an object');
  for (const key of Object.keys(options)) {
    if (!KEYS.has(key)) throw invalidArgument(key, key, `a known option: ${[...KEYS].join(', ')}`);
  }
  const { seed = 0, minWorkers = 1, maxPushNorm = Number.POSITIVE_INFINITY, limits = {} } = options;
  const { group, ...shard } = checkShard(options.shard);
  const hasTables = Object.keys(options.tables ?? {}).length > 0;
  const model = modelOf(options.parameters, checkSeed('seed', seed), shard, hasTables);
  const { nonFinite = 'reject', clip = {}, consistency = ssp({ staleness: 3 }) } = options;
  if (!['reject', 'zero', 'allow'].includes(nonFinite)) {
    throw invalidArgument('nonFinite', nonFinite, "'reject', 'zero' or 'allow'");
  }
  const { value = Number.POSITIVE_INFINITY, norm = Number.POSITIVE_INFINITY } = checkClip(clip);
  const optimizer = checkOptimizer('optimizer', options.optimizer ?? sgd({ learningRate: 0.01 }));
  const names = new Set(model.whole.entries.map(({ name }) => name));
  const tables = checkTables(options.tables, names, optimizer).map((each) => shareOf(each, shard));
  const rules = { clip: { value, norm }, nonFinite, maxPushNorm: positive('maxPushNorm', maxPushNorm) };
  const modelBytes = model.catalogue.length * Float32Array.BYTES_PER_ELEMENT;
  const storage = checkStorage(options, modelBytes * (1 + optimizer.slots.length));
  return {
    ...{ model, tables, seed, optimizer },
    consistency: checkShardConsistency(
      checkConsistency('consistency', consistency),
      shard,
      tables.length > 0,
    ),
    core: {
      shard,
      group: groupName(group, shard.count, { ...options, ...rules }, seed),
      minWorkers: integer('minWorkers', minWorkers, 0),
      delay: checkDelayOptions(options.delay),
      ...rules,
      isDurable: storage !== undefined && storage.durability !== 'checkpoint',
      limits: checkLimits(limits, modelBytes),
    },
    ...checkPlaceOptions(options),
    storage,
    sets: checkSetsDirectory(options),
    keepBest: checkKeepBest(options.keepBest),
    seed,
    logger: checkLogger(options.logger),
    dashboard: checkFlag('dashboard', options.dashboard),
  };
}

/** A bound on rows is of the whole table: each shard of a group has its share. */
function shareOf({ spec, optimizer }: CheckedTable, { count }: Shard): CheckedTable {
  return { spec: { ...spec, maxRows: Math.ceil(spec.maxRows / count) }, optimizer };
}

/** The memory of the machine, or what its container may use of it. */
function memoryBytes(): number {
  // Where nothing is known it says 0, and where there is no bound more than the machine has.
  return Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY);
}

function checkLimits(given: LimitOptions, modelBytes: number): ServerLimits {
  if (given === null || typeof given !== 'object' || Array.isArray(given)) {
    throw invalidArgument('limits', given, 'an object');
  }
  const roomBytes = Math.min(DEFAULT_SERVER_LIMITS.stagingBytes, Math.floor(memoryBytes() / 8));
  const bufferBytes = Math.min(DEFAULT_SERVER_LIMITS.clockBufferBytes, Math.floor(memoryBytes() / 2));
  const defaults: ServerLimits = {
    ...DEFAULT_SERVER_LIMITS,
    stagingBytes: Math.max(modelBytes, roomBytes),
    clockBufferBytes: Math.max(4 * modelBytes, bufferBytes),
  };
  const limits: Record<string, number> = { ...defaults };
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(defaults, name))
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
  const mayBeNever = name === 'progressTimeoutMs' || name === 'reauthenticateMs';
  if (mayBeNever && value === Number.POSITIVE_INFINITY) return value;
  return integer(`limits.${name}`, value, 1);
}

function checkFlag(option: string, value: unknown = false): boolean {
  if (typeof value === 'boolean') return value;
  throw invalidArgument(option, value, 'true or false');
}

function checkKeepBest(given: KeepBest | undefined): KeepBest | undefined {
  if (given === undefined) return undefined;
  const { metric, mode } = checkOptionObject('keepBest', given, ['metric', 'mode']);
  if (typeof metric !== 'string' || metric === '') {
    throw invalidArgument('keepBest.metric', metric, 'the name of a metric');
  }
  if (mode !== 'min' && mode !== 'max') throw invalidArgument('keepBest.mode', mode, "'min' or 'max'");
  return { metric, mode };
}

function checkLogger(logger: unknown): Logger | undefined {
  if (logger === undefined) return undefined;
  const methods = logger as Partial<Record<string, unknown>> | null;
  const isLogger = ['debug', 'info', 'warn', 'error'].every((each) => typeof methods?.[each] === 'function');
  if (!isLogger) throw invalidArgument('logger', logger, 'an object with debug, info, warn and error');
  return logger as Logger;
}

function positive(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0) return value;
  throw invalidArgument(option, value, 'a number > 0');
}
