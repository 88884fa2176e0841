import { describe, expect, it } from 'vitest';
import { type EncodedValue, encodeValue } from '../../../src/core/protocol/valueCodec.js';
import type { PoolTask } from '../../../src/core/tasks/taskPool.js';
import { type MapHost, TaskMap } from '../../../src/io/server/tasks/taskMap.js';

/** A server that keeps what it is given. */
class Host implements MapHost {
  readonly given: PoolTask<EncodedValue>[] = [];
  #last = 0;

  nextTask(): number {
    return ++this.#last;
  }

  add(tasks: readonly PoolTask<EncodedValue>[]): void {
    this.given.push(...tasks);
  }

  cancel(): void {}
  ended(): void {}
}

function bytesOf({ pieces }: EncodedValue): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces));
}

describe('a result that is no value', () => {
  const broken = Uint8Array.of(1, 2, 3);

  it('is an attempt of its worker: the task is tried again', async () => {
    const host = new Host();
    const map = new TaskMap<string, string>(host, ['a'], { retries: 1 });
    map.onResult(1, 'bad', broken);
    expect(host.given.map(({ id, attempts }) => [id, attempts])).toEqual([
      [1, 1],
      [1, 1],
    ]);
    map.onResult(1, 'good', bytesOf(encodeValue('A')));
    expect(await map.next()).toEqual({
      done: false,
      value: { index: 0, input: 'a', result: 'A', worker: 'good' },
    });
    expect(await map.next()).toMatchObject({ done: true });
  });

  it('fails its task when there were as many as it may have', async () => {
    const map = new TaskMap<string, string>(new Host(), ['a'], { retries: 1 });
    map.onResult(1, 'bad', broken);
    map.onResult(1, 'worse', broken);
    const { value } = await map.next();
    expect(value).toMatchObject({
      attempts: 2,
      error: {
        code: 'PS_PROTOCOL',
        message: expect.stringMatching(/^task 0 failed 2 times; at last on worse: /),
      },
    });
    expect(map.progress).toEqual({ read: 1, done: 0, failed: 1, isWhole: true });
  });
});
