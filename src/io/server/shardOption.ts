/**
 * `shard`: a server that holds a part of a model. Its checks, and the name by which workers know that shards
 * belong together.
 */
import { invalidArgument, PsError } from '../../core/base/errors.js';
import { hashText } from '../../core/base/hashText.js';
import { integer } from '../../core/base/optionObject.js';
import type { Consistency } from '../../core/consistency/consistency.js';
import { MAX_SHARDS, type Shard, WHOLE } from '../../core/partition/keyRange.js';
import { MAX_ID_LENGTH } from '../../core/protocol/limits.js';
import type { NonFinite } from '../../core/protocol/sessionMessages.js';
import type { ParameterSpecs } from '../../core/table/model.js';
import type { SparseTableSpecs } from '../../core/table/tableSpecs.js';

/** This server's part of the parameters. */
export interface ShardOption {
  /** From 0. */
  readonly index: number;
  /** How many servers hold the model together, 1 to 1,024. */
  readonly count: number;
  /**
   * A name that the servers of this group have in common and those of other groups of the same model have not, so
   * that a worker does not mix them up; at most 128 characters. Default ''.
   */
  readonly group?: string;
}

/** Checks `shard`. Throws `PS_INVALID_ARGUMENT`. */
export function checkShard(given: ShardOption | undefined): Shard & { readonly group: string } {
  if (given === undefined) return { ...WHOLE, group: '' };
  if (given === null || typeof given !== 'object')
    throw invalidArgument('shard', given, 'an object { index, count }');
  for (const key of Object.keys(given)) {
    if (!['index', 'count', 'group'].includes(key)) {
      throw invalidArgument(`shard.${key}`, key, 'one of index, count, group');
    }
  }
  const count = integer('shard.count', given.count, 1);
  if (count > MAX_SHARDS) throw invalidArgument('shard.count', count, `at most ${MAX_SHARDS}`);
  const index = integer('shard.index', given.index, 0);
  if (index >= count) throw invalidArgument('shard.index', index, `below shard.count, ${count}`);
  const { group = '' } = given;
  if (typeof group !== 'string' || group.length > MAX_ID_LENGTH) {
    throw invalidArgument('shard.group', group, `a string of at most ${MAX_ID_LENGTH} characters`);
  }
  return { index, count, group };
}

/** By what shards judge a gradient: all must do it alike, or what one refuses stays applied at the others. */
interface GradientRules {
  readonly clip: { readonly value: number; readonly norm: number };
  readonly nonFinite: NonFinite;
  readonly maxPushNorm: number;
}

/** What the shards of one model have in common. */
interface GroupDescription extends GradientRules {
  readonly parameters: ParameterSpecs;
  readonly tables?: SparseTableSpecs;
}

/**
 * The name of the group that shards of a model form: equal for servers with the same parameters and tables, first
 * values, seed, count, rules and `shard.group`. It leaves out what may be changed shard by shard while workers train.
 */
export function groupName(
  group: string,
  count: number,
  { parameters, tables = {}, clip, nonFinite, maxPushNorm }: GroupDescription,
  seed: number,
): string {
  const sparse = Object.entries(tables).map(([name, { dim, init = 'zeros', maxRows }]) => {
    return [name, dim, init, maxRows ?? null];
  });
  const described = Object.entries(parameters).map(([name, { shape, init = 'zeros', data, trainable }]) => {
    const start = data !== undefined ? 'data' : typeof init === 'function' ? 'function' : init;
    return [name, shape, start, trainable ?? true];
  });
  const rules = [clip, nonFinite, maxPushNorm];
  return hashText(
    JSON.stringify([group, count, seed, described, rules, ...(sparse.length === 0 ? [] : [sparse])]),
  );
}

/** Throws `PS_INVALID_ARGUMENT` for a consistency model that shards can't keep. */
export function checkShardConsistency(
  consistency: Consistency,
  { count }: Shard,
  hasTables: boolean,
): Consistency {
  if (hasTables && consistency.name === 'bsp' && consistency.aggregate !== undefined) {
    // A row that few have gradients for has no median.
    const text = `bsp.aggregate must be 'mean' with sparse tables, got '${consistency.aggregate}'`;
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'consistency' } });
  }
  if (count === 1 || consistency.name !== 'bsp') return consistency;
  if (consistency.aggregate === 'krum') {
    // It compares whole updates, and a shard has only a part of each.
    const text = "bsp.aggregate must not be 'krum' in a group of servers: take 'median' or 'trimmedMean'";
    throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'consistency' } });
  }
  if (consistency.backupWorkers === 0) return consistency;
  // Each shard would choose other workers to go on without, and the parts of an update would not match.
  const text = `bsp.backupWorkers must be 0 in a group of servers, got ${consistency.backupWorkers}`;
  throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'consistency' } });
}
