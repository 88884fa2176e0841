import { describe, expect, it } from 'vitest';
import type { PushAnswer } from '../../../src/core/worker/events.js';
import { type MemberAnswer, verdictOfOthers } from '../../../src/core/worker/group/dataPush.js';
import type { Member } from '../../../src/core/worker/group/members.js';

const RANGE = { dataSet: 1, epoch: 0, dataShard: 4, begin: 40, end: 50, from: 43, to: 46, lease: 9 };

/** Answers of shards 1, 2, … that are counted so far. */
function answers(...progress: (number | undefined)[]): MemberAnswer<PushAnswer>[] {
  return progress.map((each, i) => {
    const shard = { index: i + 1, count: progress.length + 1 };
    const member = { server: i + 1, core: { server: { shard }, hasEnded: false } } as unknown as Member;
    return { member, value: { progress: each } as PushAnswer };
  });
}

describe('a push of a data shard to a group', () => {
  it.each([
    ['counted by all', [46, 46], 'counted'],
    ['counted by one of them before', [46, 50], 'counted'],
    ['of a group of one', [], 'counted'],
    ['dropped by one', [46, 43], 'again'],
    ['of an epoch that is over', [46, undefined], 'over'],
  ] as const)('%s', (_name, progress, verdict) => {
    expect(verdictOfOthers(answers(...progress), RANGE)).toBe(verdict);
  });

  it.each([
    [
      'where a shard went back',
      [46, 40],
      'PS_STATE_LOST',
      /^shard 2 of 3: .*counted to 40; a batch from 43 to 46/,
    ],
    [
      'where another worker has cut in another way',
      [45],
      'PS_INVALID_ARGUMENT',
      /^shard 1 of 2: .*counted to 45; /,
    ],
  ] as const)('can never count %s, and says which', (_name, progress, code, message) => {
    const verdict = verdictOfOthers(answers(...progress), RANGE);
    expect(verdict).toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
