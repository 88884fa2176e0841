import { expect, it } from 'vitest';
import { PsError, type PsErrorCode } from '../../../src/core/base/errors.js';
import { changeAll } from '../../../src/io/group/changeAll.js';

/** A shard with a setting, which may refuse to change it, have failed, or be gone. */
class FakeShard {
  value = 'old';
  readonly #state: { refuses?: PsError; failure?: PsErrorCode; gone?: PsError };

  constructor(state: { refuses?: PsError; failure?: PsErrorCode; gone?: PsError } = {}) {
    this.#state = state;
  }

  async call(_name: 'stats', _args: []): Promise<{ failure?: PsErrorCode | undefined }> {
    if (this.#state.gone !== undefined) throw this.#state.gone;
    return { failure: this.#state.failure };
  }

  async set(value: string): Promise<void> {
    if (this.#state.refuses !== undefined) throw this.#state.refuses;
    this.value = value;
  }
}

const set = (shard: FakeShard): Promise<void> => shard.set('new');
const values = (shards: readonly FakeShard[]): string[] => shards.map(({ value }) => value);

it('changes all shards', async () => {
  const shards = [new FakeShard(), new FakeShard()];
  await changeAll(shards, set);
  expect(values(shards)).toEqual(['new', 'new']);
});

it('changes none when one has failed, or is gone', async () => {
  const failed = [new FakeShard(), new FakeShard({ failure: 'PS_STORAGE' })];
  await expect(changeAll(failed, set)).rejects.toMatchObject({
    code: 'PS_STORAGE',
    message: 'shard 1 has failed: nothing was changed',
  });
  expect(values(failed)).toEqual(['old', 'old']);
  const gone = new PsError('PS_INTERNAL', 'the process of shard 0 has ended');
  const shards = [new FakeShard({ gone }), new FakeShard()];
  await expect(changeAll(shards, set)).rejects.toBe(gone);
  expect(values(shards)).toEqual(['old', 'old']);
});

it('gives the error as it is when all refuse, and else says who has changed', async () => {
  const refuses = new PsError('PS_WRONG_LENGTH', '"w" is too long', { details: { tensor: 'w' } });
  const all = [new FakeShard({ refuses }), new FakeShard({ refuses })];
  await expect(changeAll(all, set)).rejects.toBe(refuses);
  const some = [new FakeShard(), new FakeShard({ refuses }), new FakeShard()];
  await expect(changeAll(some, set)).rejects.toMatchObject({
    code: 'PS_WRONG_LENGTH',
    message: 'shard 1 refused a change that shards 0, 2 made: "w" is too long',
    details: { tensor: 'w' },
  });
  expect(values(some)).toEqual(['new', 'old', 'new']);
});
