import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { PsError } from '../../../src/core/base/errors.js';
import { asp } from '../../../src/core/consistency/consistency.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { takeCheckpoint } from '../../../src/io/group/groupCheckpoint.js';
import type { ShardChild } from '../../../src/io/group/shardChild.js';
import { codeOf, startWorker, temporaryDirectory } from '../worker/bench.js';
import { elementsOf, type ShardServer, startGroup, urlsOf } from './groups.js';

const parameters = { cells: { shape: [6] } } as const;
const ones = { cells: new Float32Array(6).fill(-1) };
let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory();
});

/** The next event `name` of `worker`. */
function event<T>(
  worker: { once(name: never, listener: (event: T) => void): unknown },
  name: string,
): Promise<T> {
  return new Promise((resolve) => worker.once(name as never, resolve));
}

const group = (count: number) =>
  startGroup(count, { parameters, optimizer: sgd({ learningRate: 1 }), consistency: asp() });

function asShards(servers: readonly ShardServer[]): readonly ShardChild[] {
  return servers.map((server) => ({
    call: async (name: 'stats' | 'checkpoint', args: readonly never[]) =>
      (server[name] as (...given: readonly never[]) => unknown)(...args),
  })) as unknown as ShardChild[];
}

describe('a group that is made anew in another number of shards', () => {
  it.each([
    [2, 3],
    [3, 2],
    [3, 1],
    [1, 4],
  ])('from %i to %i: a rollback, then the worker goes on', async (from, to) => {
    let servers = await group(from);
    let urls = urlsOf(servers);
    const worker = startWorker<typeof parameters>(() => urls, {
      reconnect: { minDelayMs: 5, maxDelayMs: 20 },
    });
    await worker.push(ones);
    await worker.leave();
    const path = join(directory, 'saved');
    await takeCheckpoint(asShards(servers), path, undefined);
    await worker.push(ones);
    const next = await group(to);
    await Promise.all(next.map((server) => server.load(path)));
    urls = urlsOf(next).reverse();
    const rolledBack = event(worker, 'rollback');
    for (const server of servers) await server.close();
    // It is asked while there is no group.
    const pulled = worker.pull();
    const rollback = await rolledBack;
    expect(rollback).toMatchObject({ startedAfresh: true, lostPushes: 2, unansweredPushes: 0 });
    expect([...(await pulled).tensors.cells.data]).toEqual(Array(6).fill(1));
    servers = next;
    expect((await worker.push(ones)).outcome).toBe('applied');
    await worker.tick();
    expect(await elementsOf(servers)).toEqual(Array(6).fill(2));
  });

  it('a run goes on where it may, and says that its state is lost where not', async () => {
    const servers = await group(2);
    let urls = urlsOf(servers);
    const reconnect = { minDelayMs: 5, maxDelayMs: 20 };
    const [patient, strict] = (['continue', undefined] as const).map((onRollback) =>
      startWorker<typeof parameters>(() => urls, { reconnect, ...(onRollback && { onRollback }) }),
    ) as [ReturnType<typeof startWorker>, ReturnType<typeof startWorker>];
    const next = await group(3);
    let steps = 0;
    const gradients = async () => {
      if (++steps === 20) {
        urls = urlsOf(next);
        for (const server of servers) await server.close();
      }
      return { gradients: ones };
    };
    const runs = [patient.run(gradients, { steps: 40 }), strict.run(gradients, { steps: 40 })];
    expect(await codeOf(runs[1] as Promise<unknown>)).toBe('PS_STATE_LOST');
    expect(await runs[0]).toMatchObject({ steps: 40 });
    const [value] = await elementsOf(next);
    expect(value).toBeGreaterThan(0);
    expect(value).toBeLessThanOrEqual(40);
  });

  it('another model, or no group within maxOfflineMs, ends the worker', async () => {
    const servers = await group(2);
    let urls = urlsOf(servers);
    const options = {
      reconnect: { minDelayMs: 5, maxDelayMs: 20, maxOfflineMs: 5_000 },
      connectTimeoutMs: 2_000,
    };
    const [one, two] = [0, 1].map(() => startWorker<typeof parameters>(() => urls, options)) as [
      ReturnType<typeof startWorker>,
      ReturnType<typeof startWorker>,
    ];
    await Promise.all([one.connect(), two.connect()]);
    const other = await startGroup(3, { parameters: { cells: { shape: [7] } } });
    urls = urlsOf(other);
    const ended = Promise.all([event(one, 'close'), event(two, 'close')]);
    for (const server of servers) await server.close();
    await ended;
    const error = await one.pull().catch((reason: unknown) => reason as PsError);
    expect(error).toMatchObject({
      code: 'PS_MODEL_MISMATCH',
      message: expect.stringMatching(/another model/),
    });
  });

  it('a worker can be closed, and its calls given up, while the next group is looked for', async () => {
    const servers = await group(3);
    let urls: string[] = urlsOf(servers);
    const worker = startWorker<typeof parameters>(() => urls, {
      reconnect: { minDelayMs: 5, maxDelayMs: 20 },
    });
    await worker.connect();
    urls = ['ws://127.0.0.1:1', 'ws://127.0.0.1:2'];
    const lost = event(worker, 'reconnecting');
    for (const server of servers) await server.close();
    await lost;
    const stop = new AbortController();
    const given = [worker.pull(undefined, { signal: stop.signal }), worker.pull(), worker.push(ones)];
    stop.abort();
    expect(await codeOf(given[0] as Promise<unknown>)).toBe('PS_ABORTED');
    await worker.close();
    expect(await codeOf(given[1] as Promise<unknown>)).toBe('PS_CLOSED');
    expect(['PS_CLOSED', 'PS_OUTCOME_UNKNOWN']).toContain(await codeOf(given[2] as Promise<unknown>));
  });
});
