import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, it } from 'vitest';
import type { PsError } from '../../../src/core/base/errors.js';
import { ssp } from '../../../src/core/consistency/consistency.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { checkpointOverWire } from '../../../src/io/group/wireCheckpoint.js';
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';
import { codeOf, startWorker, temporaryDirectory } from '../worker/bench.js';
import { elementsOf, type ShardServer, startGroup, urlsOf } from './groups.js';

const parameters = { cells: { shape: [2, 3] } } as const;
let directory: string;
beforeEach(async () => {
  directory = await temporaryDirectory();
});

function group(count: number, options: Partial<ParameterServerOptions> = {}): Promise<ShardServer[]> {
  return startGroup(count, {
    parameters,
    optimizer: sgd({ learningRate: 1 }),
    consistency: ssp({ staleness: 0 }),
    checkpoint: { directory },
    auth: { boss: { role: 'admin' }, hand: { role: 'worker' } },
    ...options,
  });
}

const admin = (servers: readonly ShardServer[]) =>
  startWorker(urlsOf(servers), { readOnly: true, token: 'boss' });

describe('a checkpoint asked for over the wire', () => {
  it.each([1, 2, 3])('of %i shards, while training goes on, loads', async (count) => {
    const servers = await group(count);
    const gradients = () => ({ gradients: { cells: new Float32Array(6).fill(-1) } });
    const stop = new AbortController();
    const runs = ['x', 'y'].map((id) =>
      startWorker<typeof parameters>(urlsOf(servers), { id, token: 'hand' }).run(async () => gradients(), {
        signal: stop.signal,
      }),
    );
    const asking = admin(servers);
    for (let i = 0; i < 3; i++) {
      const { clock, shards } = await checkpointOverWire(asking, 'monday', undefined);
      // A shard that was past the clock when it was asked has taken its part then, and no later.
      const reached = Math.max(...servers.map((server) => server.stats().minClock));
      const files = shards.map(({ file }) => file);
      expect((await readdir(join(directory, 'monday'))).sort()).toEqual([...files, 'manifest.json'].sort());
      const copy = await group(2);
      await Promise.all(copy.map((server) => server.load(join(directory, 'monday'))));
      for (const value of await elementsOf(copy)) {
        expect(value).toBeGreaterThanOrEqual(2 * clock - 2);
        expect(value).toBeLessThanOrEqual(2 * reached + 4);
      }
    }
    stop.abort();
    for (const run of runs) expect(await codeOf(run)).toBe('PS_ABORTED');
  });

  it('goes to dataDir where nothing else is said, and the server starts with it there', async () => {
    const options = { checkpoint: {}, dataDir: join(directory, 'state') };
    const [server] = (await group(1, options)) as [ShardServer];
    const { shards } = await checkpointOverWire(admin([server]), 'latest', undefined);
    expect(shards[0]?.path).toBe(join(directory, 'state/sets/latest', shards[0]?.file ?? ''));
    await server.close();
    const [again] = (await group(1, options)) as [ShardServer];
    await again.load(join(directory, 'state/sets/latest'));
    expect(again.stats().version).toBe(1);
    await again.close();
  });

  it('that does not come about in time leaves the one before', async () => {
    const servers = await group(2);
    const asking = admin(servers);
    await checkpointOverWire(asking, 'monday', undefined);
    const before = await readdir(join(directory, 'monday'));
    // It is in the clock table and never ticks.
    await startWorker<typeof parameters>(urlsOf(servers), { token: 'hand' }).push({
      cells: new Float32Array(6),
    });
    const error = await checkpointOverWire(asking, 'monday', 50).catch(
      (reason: unknown) => reason as PsError,
    );
    expect(error).toMatchObject({
      code: 'PS_CLOCK_TIMEOUT',
      message: expect.stringMatching(/^shard \d of 2: /),
    });
    expect(await readdir(join(directory, 'monday'))).toEqual(before);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['checkpoint', { set: '..', name: 'a', clock: 0 }, 'set'],
    ['checkpoint', { set: 'a/b', name: 'a', clock: 0 }, 'set'],
    ['checkpoint', { set: 'a', name: '../a', clock: 0 }, 'name'],
    ['checkpoint', { set: 'a', name: 'a' }, 'clock'],
    ['checkpoint', { set: 'a', name: 'a', clock: 0, timeoutMs: 0 }, 'timeoutMs'],
    ['checkpoint', { path: '/etc/passwd' }, 'argument.path'],
    ['manifest', { set: 'a', clock: 0, shards: [] }, 'shards'],
    ['manifest', { set: 'a', clock: 0, shards: [{ file: '../x', bytes: 1, version: 1 }] }, 'shards'],
    ['manifest', { set: 'a', clock: -1, shards: [{ file: 'x', bytes: 1, version: 1 }] }, 'clock'],
  ])('%s %o is refused', async (action, argument, option) => {
    const error = await admin(await group(1))
      .control(action, argument)
      .catch((reason: unknown) => reason as PsError);
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT' });
    expect((error as PsError).message).toContain(option);
    expect(await readdir(directory)).toEqual([]);
  });

  it('is refused by a server that has no place for it, and to those who are no admin', async () => {
    const [server] = (await group(1, { checkpoint: undefined })) as [ShardServer];
    expect(await codeOf(checkpointOverWire(admin([server]), 'monday', undefined))).toBe(
      'PS_INVALID_ARGUMENT',
    );
    const worker = startWorker(server.url, { token: 'hand', readOnly: true });
    expect(await codeOf(checkpointOverWire(worker, 'monday', undefined))).toBe('PS_FORBIDDEN');
  });
});

it('pslib checkpoint takes one and says where', async () => {
  const servers = await group(2);
  const root = fileURLToPath(new URL('../../..', import.meta.url));
  const args = [
    '--import',
    'tsx',
    'src/cli/main.ts',
    'checkpoint',
    ...urlsOf(servers).reverse(),
    '--set',
    'friday',
  ];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    env: { ...process.env, PSLIB_TOKEN: 'boss' },
  });
  expect(stderr).toBe('');
  const lines = stdout.trimEnd().split('\n');
  expect(lines[0]).toBe('checkpoint "friday" at clock 0');
  for (const [i, line] of lines.slice(1).entries()) {
    expect(line).toMatch(
      new RegExp(`^shard ${i + 1} of 2 .* version 0 +${directory}/friday/clock-0-\\w+\\.shard-${i}-of-2`),
    );
  }
  await Promise.all(servers.map((server) => server.load(join(directory, 'friday'))));
});
