/** Whether servers are the shards of one model: one group, one catalogue, and each shard once. */
import { PsError } from '../../base/errors.js';
import type { Catalogue } from '../../tensor/catalogue.js';
import { differenceOf } from '../serverIdentity.js';
import type { Member } from './members.js';

/**
 * Why the server of `member`, which has just said Welcome, can't be one of a group with those that have been met
 * before: `PS_MODEL_MISMATCH`, or undefined. `urls`: how many were given, if that is known.
 */
export function mismatchOf(
  member: Member,
  all: readonly Member[],
  urls: number | undefined,
): PsError | undefined {
  for (const other of all) {
    if (other === member || other.core.server.whole === undefined) continue;
    const difference = differenceBetween(member, other);
    if (difference !== undefined) return mismatch(difference);
  }
  const { shard } = member.core.server;
  const count = shard?.count ?? 1;
  if (urls !== undefined && urls !== count) {
    const held = count === 1 ? 'holds a whole model' : `is one of ${count} that hold the model`;
    return mismatch(`the server at ${placeOf(member)} ${held}, and ${urls} urls were given`);
  }
  return undefined;
}

function differenceBetween(member: Member, other: Member): string | undefined {
  const both = `${placeOf(other)} and ${placeOf(member)}`;
  const [known, met] = [other.core.server, member.core.server];
  if (known.shard?.count !== met.shard?.count) {
    return `${both} lead to servers of groups of ${known.shard?.count} and ${met.shard?.count}`;
  }
  const difference = differenceOf(known.whole as Catalogue, met.whole as Catalogue);
  if (difference !== undefined) return `${both} lead to servers of different models: ${difference}`;
  if (known.group !== met.group) {
    return `${both} lead to servers of different groups (of parameters, first values, seeds or bounds of gradients, or by their names)`;
  }
  if (known.shard?.index === met.shard?.index) return `${both} lead to the same shard, ${known.shard?.index}`;
  return undefined;
}

function placeOf({ server }: Member): string {
  return `url ${server + 1}`;
}

function mismatch(text: string): PsError {
  return new PsError('PS_MODEL_MISMATCH', text);
}
