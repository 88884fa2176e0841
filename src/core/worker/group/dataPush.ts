/**
 * A push of a data shard, in a group: the shard that owns the queue gets its part last, when all others have
 * counted theirs. So none is behind it, and what it says is counted is counted everywhere. Where one of the
 * others did not count it, the owner only hears the tick.
 */
import type { DataRange } from '../../tasks/dataProgress.js';
import type { ClockAnswer, PushAnswer, RequestValue } from '../events.js';
import type { Member, MemberCommand } from './members.js';

/** An answer of one member. */
export interface MemberAnswer<T extends RequestValue> {
  readonly member: Member;
  readonly value: T;
}

/** Whether this member is the shard that owns the queue. */
export function isOwner({ core }: Member): boolean {
  return (core.server.shard?.index ?? 0) === 0;
}

/** Whether all of these counted the examples of `range`. */
export function allCounted(answers: readonly MemberAnswer<PushAnswer>[], { to }: DataRange): boolean {
  return answers.every(({ value }) => (value.progress ?? 0) >= to);
}

/** What the owner is asked. */
export function commandOfOwner(
  push: MemberCommand & { readonly tick?: boolean },
  isCounted: boolean,
): MemberCommand {
  return isCounted ? push : { kind: 'clock', operation: 'tick' };
}

/** What became of the push; `owner`: what the owner said. */
export function progressOf(owner: PushAnswer | ClockAnswer, { from }: DataRange): number | undefined {
  return 'outcome' in owner ? owner.progress : from;
}
