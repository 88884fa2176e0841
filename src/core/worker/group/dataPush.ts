/**
 * A push of a data shard, in a group: the shard that owns the queue gets its part last, when all others have
 * counted theirs. So none is behind it, and what it says is counted is counted everywhere. Where one of the
 * others did not count it, the owner only hears the tick.
 */
import { PsError } from '../../base/errors.js';
import type { DataRange } from '../../tasks/dataProgress.js';
import type { PushAnswer, RequestValue } from '../events.js';
import { errorAt } from './jointRequest.js';
import type { Member } from './members.js';

/** An answer of one member. */
export interface MemberAnswer<T extends RequestValue> {
  readonly member: Member;
  readonly value: T;
}

/** Whether this member is the shard that owns the queue. */
export function isOwner({ core }: Member): boolean {
  return (core.server.shard?.index ?? 0) === 0;
}

/**
 * What the shards other than the owner made of a push for `range`: `'counted'` by all, now or before; `'again'`, it is
 * to be computed anew; `'over'`, its epoch is, so the data shard is not this worker's any more; or why it can never
 * count.
 */
export function verdictOfOthers(
  answers: readonly MemberAnswer<PushAnswer>[],
  { dataShard, from, to }: DataRange,
): 'counted' | 'again' | 'over' | PsError {
  for (const { member, value } of answers) {
    const { progress } = value;
    if (progress === undefined) return 'over';
    if (progress === from || progress >= to) continue;
    // The owner is never ahead of the others, unless they went back to an older state; they are behind a cut of another
    // worker, unless it cut in another way.
    const code = progress < from ? 'PS_STATE_LOST' : 'PS_INVALID_ARGUMENT';
    const text = `dataShards: shard ${dataShard} is counted to ${progress}; a batch from ${from} to ${to} does not follow`;
    return errorAt(member, new PsError(code, text), Number.POSITIVE_INFINITY);
  }
  return answers.every(({ value }) => (value.progress as number) >= to) ? 'counted' : 'again';
}
