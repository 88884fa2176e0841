/** Readers that keep a copy of parameters by what has changed, over real sockets: of one server and of a group. */
import { describe, expect, it } from 'vitest';
import { LocalCopy } from '../../../src/io/worker/localCopy.js';
import type { WatchResult } from '../../../src/io/worker/watch.js';
import { startGroup, urlsOf } from '../group/groups.js';
import { AskedWorker } from './askedWorker.js';
import { type CuttableWorker, startServer, startWorker, temporaryDirectory } from './bench.js';

/** Several blocks of changes, and several chunks. */
const LARGE = 600_000;
const parameters = { large: { shape: [LARGE] }, small: { shape: [4] }, other: { shape: [3] } } as const;
type Model = typeof parameters;
type Name = keyof Model;

function gradientOf(names: readonly Name[], value = -1): Record<string, Float32Array> {
  return Object.fromEntries(
    names.map((name) => [name, new Float32Array(parameters[name].shape[0]).fill(value)]),
  );
}

async function next<T>(watch: AsyncGenerator<WatchResult<T>, void>): Promise<WatchResult<T>> {
  const { value, done } = await watch.next();
  if (done || value === undefined) throw new Error('it has ended');
  return value;
}

describe('watch', () => {
  it('brings what has changed, and keeps the rest', async () => {
    const server = await startServer({ parameters });
    const worker = startWorker<Model>(server.url);
    const reader = startWorker<Model>(server.url, { readOnly: true });
    const watch = reader.watch();
    const first = await next(watch);
    expect([...first.changed]).toEqual(['large', 'small', 'other']);
    await worker.push(gradientOf(['small']));
    const second = await next(watch);
    expect([...second.changed]).toEqual(['small']);
    expect([...second.tensors.small.data]).toEqual([1, 1, 1, 1]);
    // What was given before stays as it was.
    expect([...first.tensors.small.data]).toEqual([0, 0, 0, 0]);
    expect(second.tensors.large.data).toBe(first.tensors.large.data);
    await worker.push(gradientOf(['large', 'other']));
    const third = await next(watch);
    expect([...third.changed]).toEqual(['large', 'other']);
    expect(third.tensors).toEqual((await reader.pull()).tensors);
    expect([third.version, first.tensors.large.data[0]]).toEqual([2, 0]);
    await watch.return();
  });

  it('answers within a time, also when nothing has changed, and counts versions', async () => {
    const server = await startServer({ parameters });
    const worker = startWorker<Model>(server.url);
    const reader = startWorker<Model>(server.url, { readOnly: true });
    const watch = reader.watch(['small'], { withinMs: 1 });
    await next(watch);
    expect(await next(watch)).toMatchObject({ changed: [], version: 0 });
    await worker.push(gradientOf(['other']));
    let found = await next(watch);
    while (found.version < 1) found = await next(watch);
    expect([...found.changed]).toEqual([]);
    await watch.return();
    // Whichever comes first.
    const both = reader.watch(['small'], { withinMs: 2 ** 31, withinVersions: 2 });
    await next(both);
    const waiting = next(both);
    await worker.push(gradientOf(['small']));
    await worker.push(gradientOf(['small']));
    expect(await waiting).toMatchObject({ version: 3, changed: ['small'] });
    await both.return();
  });

  it.each([1, 3])(
    'of %i servers goes on where it was after lost connections, and anew after restarts',
    async (count) => {
      const directories = await Promise.all(Array.from({ length: count }, () => temporaryDirectory()));
      const start = (index: number, port = 0) => {
        const shard = { index, count };
        return startServer({ parameters, shard, port, dataDir: directories[index] as string });
      };
      const group = await Promise.all(directories.map((_, index) => start(index)));
      const urls = group.map(({ url }) => url);
      const worker = startWorker<Model>(urls, { id: 'w' });
      const reader = startWorker<Model>(urls, { id: 'r', readOnly: true }) as CuttableWorker<Model>;
      const watch = reader.watch();
      let copy = await next(watch);
      const names: readonly Name[][] = [['small'], ['large'], ['other'], ['small', 'other'], ['large']];
      for (const [round, changed] of names.entries()) {
        const waiting = next(watch);
        reader.cut();
        await worker.push(gradientOf(changed));
        copy = await waiting;
        while (copy.version <= round) copy = await next(watch);
      }
      expect(copy.tensors).toEqual((await worker.pull()).tensors);
      await worker.leave();
      for (const [index, server] of group.entries()) {
        const port = server.address()?.port ?? 0;
        await server.close();
        await start(index, port);
      }
      await worker.push(gradientOf(['small']));
      while (copy.version < 6) copy = await next(watch);
      const { tensors } = await worker.pull();
      while (copy.tensors.small.data[0] !== 3) copy = await next(watch);
      expect(copy.tensors).toEqual(tensors);
      await watch.return();
    },
  );

  it('of a group changes what one shard says has changed', async () => {
    const group = await startGroup(3, { parameters });
    const worker = startWorker<Model>(urlsOf(group), { id: 'w' });
    const reader = startWorker<Model>(urlsOf(group), { id: 'r', readOnly: true });
    const watch = reader.watch();
    const first = await next(watch);
    await worker.push(gradientOf(['small']));
    let second = await next(watch);
    while (second.version < 1) second = await next(watch);
    expect(second.tensors.large.data).toBe(first.tensors.large.data);
    expect(second.tensors).toEqual((await worker.pull()).tensors);
    await watch.return();
  });
});

it('a local copy replaces only what has changed', async () => {
  const server = await startServer({ parameters });
  const worker = startWorker<Model>(server.url);
  const reader = startWorker<Model>(server.url, { readOnly: true });
  const asked = new AskedWorker(reader);
  const copy = new LocalCopy(asked, { withinMs: 1 });
  await copy.ready;
  const before = copy.tensors;
  await worker.push(gradientOf(['other']));
  await asked.until(() => copy.version >= 1);
  expect(copy.tensors.large).toBe(before.large);
  expect([...(copy.tensors.other?.data ?? [])]).toEqual([1, 1, 1]);
  expect([...(before.other?.data ?? [])]).toEqual([0, 0, 0]);
  await copy.close();
  expect(copy.failure).toBeUndefined();
});
