/**
 * The options of a `ServerGroup`: those of a server that are plain data, which cross to the shards' processes, or a
 * module that each process loads for itself.
 */
import { join } from 'node:path';
import { describe, invalidArgument, PsError } from '../../core/base/errors.js';
import { integer } from '../../core/base/optionObject.js';
import { MAX_SHARDS } from '../../core/partition/keyRange.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import { checkServerOptions, type ParameterServerOptions } from '../server/serverOptions.js';
import type { ShardStart } from './shardMessages.js';

/** What is not for a group: shards listen on ports of their own, and are told their place. */
type NotForGroups = 'server' | 'noServer' | 'shard' | 'logger' | 'port';

/** What a `ServerGroup` is made of. */
export interface ServerGroupOptions<P extends ParameterSpecs = ParameterSpecs>
  extends Partial<Omit<ParameterServerOptions<P>, NotForGroups>> {
  /** How many shards, each a process of its own; 1 to 1,024. */
  readonly count: number;
  /** The port of shard 0; shard i has the i-th after it. Default 0: any free ones. */
  readonly port?: number;
  /**
   * A module whose default export is the options of a server, or a function of `{ index, count }` that gives them. It
   * may hold functions. Options beside it go before its own.
   */
  readonly options?: URL | string;
}

/** The options of a group after their checks. */
export interface CheckedGroupOptions {
  readonly count: number;
  /** What each shard is started with. */
  readonly starts: readonly ShardStart[];
}

/** Checks `options`. Throws `PS_INVALID_ARGUMENT`; what a module gives is checked by the shards. */
export function checkGroupOptions(options: ServerGroupOptions): CheckedGroupOptions {
  if (options === null || typeof options !== 'object') throw invalidArgument('options', options, 'an object');
  const { count, port, options: module, ...server } = options;
  integer('count', count, 1);
  if (count > MAX_SHARDS) throw invalidArgument('count', count, `at most ${MAX_SHARDS}`);
  for (const [name, value] of Object.entries(server)) checkPlain(name, value);
  const url = module === undefined ? undefined : moduleUrl(module);
  const first = integer('port', port ?? 0, 0);
  const starts = Array.from({ length: count }, (_, index): ShardStart => {
    const own = {
      ...server,
      ...(port === undefined && url !== undefined ? {} : { port: first === 0 ? 0 : first + index }),
    };
    const { dataDir } = server;
    const placed = typeof dataDir === 'string' ? { ...own, dataDir: join(dataDir, `shard-${index}`) } : own;
    return { index, count, options: placed, ...(url === undefined ? {} : { module: url }) };
  });
  if (url === undefined) {
    for (const { index, options: own } of [starts[0], starts[count - 1]] as ShardStart[]) {
      checkServerOptions({ ...own, shard: { index, count } } as ParameterServerOptions);
    }
  }
  return { count, starts };
}

function moduleUrl(given: URL | string): string {
  try {
    return new URL(given).href;
  } catch {
    throw invalidArgument(
      'options',
      given,
      'the URL of a module, such as new URL("./options.js", import.meta.url)',
    );
  }
}

/** Throws unless `value` is what another process can be given: numbers, texts, arrays of numbers, and objects of those. */
function checkPlain(name: string, value: unknown): void {
  if (value === null || ['undefined', 'boolean', 'number', 'string'].includes(typeof value)) return;
  if (ArrayBuffer.isView(value)) return;
  if (typeof value === 'object') {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (Array.isArray(value) || prototype === Object.prototype || prototype === null) {
      for (const [key, each] of Object.entries(value)) checkPlain(`${name}.${key}`, each);
      return;
    }
  }
  const text = `${name} must be plain data, which can be handed to the shards' processes, got ${describe(value)}: functions come from a module, { count, options: new URL("./server-options.js", import.meta.url) }`;
  throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: name } });
}
