import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { asp, ssp } from '../../../src/core/consistency/consistency.js';
import { adam } from '../../../src/core/optim/adam.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { takeCheckpoint } from '../../../src/io/group/groupCheckpoint.js';
import type { ShardChild } from '../../../src/io/group/shardChild.js';
import type { ParameterServer } from '../../../src/io/server/parameterServer.js';
import { codeOf, startServer, startWorker, temporaryDirectory } from '../worker/bench.js';
import { elementsOf, type ShardServer, startGroup, urlsOf } from './groups.js';

const MODEL = {
  kernel: { shape: [7, 9], init: 'normal' },
  none: { shape: [0] },
  bias: { shape: [10], init: 'uniform' },
} as const;

let directory: string;

async function temporary(): Promise<string> {
  directory = await temporaryDirectory();
  return join(directory, 'checkpoint');
}

/** Servers of this process as a group's own processes are asked. */
function asShards(servers: readonly ParameterServer[]): readonly ShardChild[] {
  return servers.map((server) => ({
    call: async (name: 'stats' | 'checkpoint', args: readonly never[]) =>
      (server[name] as (...given: readonly never[]) => unknown)(...args),
  })) as unknown as ShardChild[];
}

describe('a checkpoint of a group', () => {
  it.each([
    [3, 1],
    [1, 3],
    [2, 5],
    [5, 2],
    [3, 3],
  ])('of %i shards loads into %i', async (from, to) => {
    const path = await temporary();
    const group = await startGroup(from, { parameters: MODEL, seed: 5 });
    const report = await takeCheckpoint(asShards(group), path, undefined);
    expect(report).toMatchObject({ path, clock: 0 });
    const other = await startGroup(to, { parameters: MODEL, seed: 6 });
    expect(await elementsOf(other)).not.toEqual(await elementsOf(group));
    await Promise.all(other.map((server) => server.load(path)));
    expect(await elementsOf(other)).toEqual(await elementsOf(group));
    for (const server of other) expect(server.stats().version).toBe(1);
  });

  it.each([
    [3, 1],
    [1, 3],
    [2, 5],
    [5, 2],
  ])('with sparse tables, of %i shards, loads into %i: every row, and no other', async (from, to) => {
    const path = await temporary();
    const tables = { rows: { dim: 2, init: 'uniform' }, few: { dim: 1, maxRows: 60 } } as const;
    const parameters = { w: { shape: [3] } };
    const ids = Array.from({ length: 40 }, (_, i) => i ** 3 * 2 ** 20);
    const few = ids.slice(0, 5);
    const gradients = { rows: { ids, values: Float32Array.from({ length: 80 }, (_, i) => i) } };
    const group = await startGroup(from, { parameters, tables, seed: 5 });
    const worker = startWorker(urlsOf(group), { id: 'w' });
    await worker.connect();
    await worker.push({ ...gradients, few: { ids: few, values: new Float32Array(5).fill(1) } } as never);
    // The shards would wait for its next clock.
    await worker.leave();
    await takeCheckpoint(asShards(group), path, undefined);
    const other = await startGroup(to, { parameters, tables, seed: 5 });
    const reader = startWorker(urlsOf(other), { id: 'r' });
    await reader.connect();
    await reader.push({ rows: { ids: [12, 13, 14], values: new Float32Array(6).fill(9) } } as never);
    const born = (await startWorker(urlsOf(group), { readOnly: true }).pullRows('rows', [12])).data;
    await Promise.all(other.map((server) => server.load(path)));
    for (const table of ['rows', 'few']) {
      const [there, here] = [await worker.pullRows(table, ids), await reader.pullRows(table, ids)];
      expect([...here.data]).toEqual([...there.data]);
    }
    // Rows that were not in it are as unborn ones.
    expect([...(await reader.pullRows('rows', [12])).data]).toEqual([...born]);
    const sums = [0, 1].map((table) =>
      other.reduce((sum, server) => sum + (server.stats().tables[table]?.rows ?? 0), 0),
    );
    expect(sums).toEqual([40, 5]);
  });

  it.each([
    [2, 3],
    [3, 1],
    [1, 2],
  ])(
    'of %i shards goes on in %i as one server would, to the bit: slots and counts are in it',
    async (from, to) => {
      const path = await temporary();
      const options = {
        parameters: MODEL,
        seed: 5,
        optimizer: adam({ learningRate: 0.1 }),
        consistency: asp(),
      };
      const gradients = (step: number) => ({
        kernel: Float32Array.from({ length: 63 }, (_, i) => Math.fround(Math.sin(i + step))),
        bias: Float32Array.from({ length: 10 }, (_, i) => Math.fround(Math.cos(i * step))),
      });
      const steps = async (servers: readonly ShardServer[], first: number, last: number): Promise<void> => {
        const worker = startWorker<typeof MODEL>(urlsOf(servers));
        for (let step = first; step <= last; step++) await worker.push(gradients(step));
        await worker.close();
      };
      const alone = [(await startServer(options)) as ShardServer];
      await steps(alone, 1, 8);
      const group = await startGroup(from, options);
      await steps(group, 1, 5);
      await takeCheckpoint(asShards(group), path, undefined);
      const again = (): Promise<ShardServer[]> => {
        const starts = Array.from({ length: to }, (_, index) => {
          const dataDir = join(directory, `state-${index}`);
          return startServer({ ...options, seed: 6, dataDir, shard: { index, count: to } });
        });
        return Promise.all(starts) as Promise<ShardServer[]>;
      };
      for (const server of await again()) {
        await server.load(path);
        await server.close();
      }
      // What was loaded stands in the journal.
      const other = await again();
      await steps(other, 6, 8);
      expect(await elementsOf(other)).toEqual(await elementsOf(alone));
    },
  );

  it('that is loaded ends the sessions: a worker that is connected gets a rollback', async () => {
    const path = await temporary();
    const group = await startGroup(2, { parameters: MODEL, consistency: asp() });
    await takeCheckpoint(asShards(group), path, undefined);
    const worker = startWorker<typeof MODEL>(urlsOf(group));
    await worker.push({ bias: new Float32Array(10).fill(1) });
    const lost: unknown[] = [];
    const both = new Promise<void>((resolve) => {
      worker.on('rollback', (event) => {
        lost.push(event);
        if (lost.length === 2) resolve();
      });
    });
    await Promise.all(group.map((server) => server.load(path)));
    await both;
    for (const each of lost) expect(each).toMatchObject({ lostPushes: 1, startedAfresh: false });
    expect((await worker.push({ bias: new Float32Array(10) })).outcome).toBe('applied');
  });

  it('is taken by every shard at the clock that they agree on, while training goes on', async () => {
    const path = await temporary();
    const parameters = { cells: { shape: [2, 3] } };
    const options = {
      parameters,
      optimizer: sgd({ learningRate: 1 }),
      consistency: ssp({ staleness: 0 }),
      minWorkers: 2,
    };
    const group = await startGroup(2, options);
    const gradients = () => ({ gradients: { cells: new Float32Array(6).fill(-1) } });
    const workers = ['x', 'y'].map((id) => startWorker<typeof parameters>(urlsOf(group), { id }));
    const stop = new AbortController();
    const runs = workers.map((worker) => worker.run(async () => gradients(), { signal: stop.signal }));
    for (let i = 0; i < 5; i++) {
      const { clock, shards } = await takeCheckpoint(asShards(group), path, undefined);
      const files = await readdir(path);
      expect(files.sort()).toEqual(
        [...shards.map((part) => part.path.split('/').at(-1)), 'manifest.json'].sort(),
      );
      const copy = await startGroup(2, options);
      await Promise.all(copy.map((server) => server.load(path)));
      // All updates of earlier clocks, of both workers, and what else had come: under SSP(0) at most one each.
      for (const value of await elementsOf(copy)) {
        expect(value).toBeGreaterThanOrEqual(2 * clock);
        expect(value).toBeLessThanOrEqual(2 * clock + 2 * 3);
      }
    }
    stop.abort();
    for (const run of runs) expect(await codeOf(run)).toBe('PS_ABORTED');
  });

  it('that does not come about leaves the one before whole', async () => {
    const path = await temporary();
    const group = await startGroup(2, { parameters: MODEL, consistency: asp() });
    await takeCheckpoint(asShards(group), path, undefined);
    const before = await elementsOf(group);
    const worker = startWorker<typeof MODEL>(urlsOf(group));
    await worker.push({ bias: new Float32Array(10).fill(1) });
    // It is in the clock table and never ticks.
    expect(await codeOf(takeCheckpoint(asShards(group), path, 50))).toBe('PS_CLOCK_TIMEOUT');
    await Promise.all(group.map((server) => server.load(path)));
    expect(await elementsOf(group)).toEqual(before);
  });

  describe('that is not whole is refused', () => {
    async function broken(
      harm: (path: string, files: string[]) => Promise<void>,
    ): Promise<[unknown, string]> {
      const path = await temporary();
      const group = await startGroup(2, { parameters: { a: { shape: [8], init: 'ones' } } });
      await takeCheckpoint(asShards(group), path, undefined);
      const files = (await readdir(path)).filter((name) => name.endsWith('.safetensors')).sort();
      await harm(path, files);
      const [server] = group as [ShardServer];
      const error = await server
        .load(path)
        .catch((reason: unknown) => reason as { code: string; message: string });
      return [error?.code, error?.message ?? ''];
    }

    it('a part is missing', async () => {
      const [code, message] = await broken((path, [, second]) => rm(join(path, second as string)));
      expect(code).toBe('PS_CORRUPT');
      expect(message).toMatch(/the part of shard 1 of 2 is missing/);
    });

    it('a part is in the place of another', async () => {
      const [code, message] = await broken(async (path, [first = '', second = '']) => {
        await rename(join(path, first), join(path, 'third'));
        await rename(join(path, second), join(path, first));
        await rename(join(path, 'third'), join(path, second));
      });
      expect(code).toBe('PS_CORRUPT');
      expect(message).toMatch(/it is of shard 1 of 2, not of shard 0 of 2/);
    });

    it('a part is damaged', async () => {
      const [code] = await broken(async (path, [first = '']) => {
        const bytes = await readFile(join(path, first));
        bytes[bytes.length - 20] = (bytes[bytes.length - 20] as number) ^ 1;
        await writeFile(join(path, first), bytes);
      });
      expect(code).toBe('PS_CORRUPT');
    });

    it.each<[string, string, string]>([
      ['nothing', '', 'PS_CORRUPT'],
      ['something else', '{"format":"x"}', 'PS_CORRUPT'],
      ['a later version', '{"format":"pslib-group","version":9}', 'PS_VERSION'],
      [
        'a count that is not that of its parts',
        '{"format":"pslib-group","version":1,"count":2,"clock":0,"shards":[{"file":"a","bytes":1,"version":1}]}',
        'PS_CORRUPT',
      ],
      [
        'a way out of the directory',
        '{"format":"pslib-group","version":1,"count":1,"clock":0,"shards":[{"file":"../a","bytes":1,"version":1}]}',
        'PS_CORRUPT',
      ],
    ])('the manifest holds %s', async (_name, text, code) => {
      expect((await broken((path) => writeFile(join(path, 'manifest.json'), text)))[0]).toBe(code);
    });
  });

  it('a shard takes its part of a file of the whole model', async () => {
    const path = await temporary();
    const alone = await startServer({ parameters: MODEL, seed: 9 });
    await alone.checkpoint(path);
    const group = await startGroup(3, { parameters: MODEL });
    await Promise.all(group.map((server) => server.load(path)));
    expect(await elementsOf(group)).toEqual(await elementsOf([alone as ShardServer]));
    const [first] = group as [ShardServer];
    await first.checkpoint(path);
    await first.load(path);
    expect(await codeOf(alone.load(path))).toBe('PS_WRONG_LENGTH');
  });
});
