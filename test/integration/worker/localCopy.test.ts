import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  asp,
  LocalCopy,
  ParameterServer,
  type PsError,
  type RowChanges,
  sgd,
  type Tensor,
  Worker,
} from '../../../src/index.js';
import { AskedWorker } from './askedWorker.js';
import { nextEvent, startWorker } from './bench.js';

const parameters = { bias: { shape: [1] } } as const;
const tables = { words: { dim: 2 }, users: { dim: 1, maxRows: 3 } } as const;
type Model = typeof parameters & typeof tables;

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(options: object = {}): Promise<ParameterServer> {
  const optimizer = sgd({ learningRate: 1 });
  const server = new ParameterServer({
    ...{ parameters, tables, optimizer, port: 0 },
    consistency: asp(),
    ...options,
  });
  closing.push(() => server.close());
  await server.listen();
  return server;
}

function readerOf(url: string): ReturnType<typeof startWorker<Model>> {
  return startWorker<Model>(url, { readOnly: true });
}

/** Pushes ones for `ids`, and for the bias. */
async function change(worker: Worker<Model>, table: keyof typeof tables, ids: number[]): Promise<void> {
  const values = new Float32Array(ids.length * tables[table].dim).fill(-1);
  await worker.push({ bias: Float32Array.of(-1), [table]: { ids, values } } as never);
}

const next = async (changes: AsyncGenerator<RowChanges, void>): Promise<RowChanges> => {
  const { value, done } = await changes.next();
  if (done || value === undefined) throw new Error('it has ended');
  return value;
};

describe('watchRows', () => {
  it('gives all rows, then what has changed, through lost connections', async () => {
    const server = await serve();
    await using worker = new Worker<Model>(server.url);
    await change(worker, 'words', [7, 2 ** 50]);
    const reader = readerOf(server.url);
    const changes = reader.watchRows('words');
    const first = await next(changes);
    expect(first).toMatchObject({ isWhole: true, isComplete: true, dim: 2, version: 1 });
    expect([[...first.ids], [...first.data]]).toEqual([
      [7, 2 ** 50],
      [1, 1, 1, 1],
    ]);
    for (let round = 2; round < 6; round++) {
      const waiting = next(changes);
      // What is answered behind the request shows that the server has it.
      await reader.pull();
      reader.cut();
      await change(worker, 'words', [7, round]);
      const found = await waiting;
      expect(found).toMatchObject({ isWhole: false, isComplete: true, version: round });
      expect([...found.ids].sort()).toEqual([7, round].sort());
      expect(found.data[2 * found.ids.indexOf(7)]).toBe(round);
    }
    await changes.return();
  });

  it('ends with an abort and with the worker, and the server waits for nobody', async () => {
    const server = await serve();
    const reader = readerOf(server.url);
    const abort = new AbortController();
    const aborted = reader.watchRows('words', { signal: abort.signal });
    const closed = reader.watchRows('users');
    await next(aborted);
    await next(closed);
    const ends = [aborted.next(), closed.next()];
    abort.abort();
    expect(await ends[0]).toEqual({ done: true, value: undefined });
    await reader.close();
    expect(await ends[1]).toEqual({ done: true, value: undefined });
  });

  it('is told of tables and bounds that are none', async () => {
    const server = await serve();
    const reader = readerOf(server.url);
    const codeOf = (options: object, table = 'words') =>
      reader
        .watchRows(table, options)
        .next()
        .then(
          () => 'resolved',
          ({ code }: PsError) => code,
        );
    expect(await codeOf({}, 'nothing')).toBe('PS_UNKNOWN_TENSOR');
    for (const withinMs of [-1, Number.NaN, '5']) {
      expect(await codeOf({ withinMs })).toBe('PS_INVALID_ARGUMENT');
    }
    for (const withinVersions of [0, 1.5])
      expect(await codeOf({ withinVersions })).toBe('PS_INVALID_ARGUMENT');
  });
});

describe('a local copy', () => {
  it('has everything when it is ready, and what is updated soon after', async () => {
    const server = await serve();
    await using worker = new Worker<Model>(server.url);
    await change(worker, 'words', [1, 2]);
    const asked = new AskedWorker(readerOf(server.url));
    const copy = new LocalCopy(asked, { tables: ['words', 'users'], withinMs: 5 });
    expect(copy.ageMs).toBe(Number.POSITIVE_INFINITY);
    await copy.ready;
    expect(copy.ageMs).toBeLessThan(60_000);
    expect(copy.tensors.bias?.data[0]).toBe(1);
    expect(copy.rows('words').size).toBe(2);
    expect([...(copy.rows('words').get(2) ?? [])]).toEqual([1, 1]);
    expect(copy.rows('words').get(3)).toBeUndefined();
    for (const ids of [
      [1, 2, 3],
      [3, 4],
      [1, 5],
    ])
      await change(worker, 'users', ids);
    await asked.until(() => copy.version === 4);
    // The table has three rows at most, and so has the copy.
    expect([...copy.rows('users').ids()].sort()).toEqual(
      [1, 4, 5].filter((id) => copy.rows('users').get(id)),
    );
    expect(copy.rows('users').size).toBeLessThanOrEqual(3);
    expect(copy.tensors.bias?.data[0]).toBe(4);
    await copy.close();
    expect(copy.failure).toBeUndefined();
    expect(copy.rows('words').size).toBe(2);
  });

  it('serves on without the server, says how old it is, and is whole again after its restart', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'local-copy-'));
    closing.push(() => rm(dataDir, { recursive: true }));
    const server = await serve({ dataDir });
    const port = server.address()?.port ?? 0;
    await using worker = new Worker<Model>(server.url, { reconnect: { minDelayMs: 1, maxDelayMs: 5 } });
    await change(worker, 'words', [1, 2]);
    const reader = readerOf(server.url);
    const asked = new AskedWorker(reader);
    await using copy = new LocalCopy(asked, { tables: ['words'], withinMs: 2 });
    await copy.ready;
    await server.close();
    const closedAt = performance.now();
    await nextEvent(reader, 'reconnecting');
    const age = copy.ageMs;
    await nextEvent(reader, 'reconnecting');
    expect(copy.ageMs).toBeGreaterThan(age);
    expect([...(copy.rows('words').get(2) ?? [])]).toEqual([1, 1]);
    await serve({ dataDir, port });
    await change(worker, 'words', [2, 9]);
    await asked.until(() => copy.version === 2);
    expect(copy.ageMs).toBeLessThan(performance.now() - closedAt);
    expect([...copy.rows('words').ids()].sort()).toEqual([1, 2, 9]);
    expect([...(copy.rows('words').get(2) ?? [])]).toEqual([2, 2]);
    expect(copy.failure).toBeUndefined();
  });

  it('knows the tensors of its worker by name', async () => {
    const server = await serve();
    await using copy = new LocalCopy(readerOf(server.url));
    await copy.ready;
    const bias: Tensor | undefined = copy.tensors.bias;
    expect(bias?.data).toEqual(Float32Array.of(0));
    // @ts-expect-error: the model has no such tensor.
    expect(copy.tensors.other).toBeUndefined();
  });

  it('is told of what it can’t copy', async () => {
    const server = await serve();
    await using worker = new Worker<Model>(server.url);
    expect(() => new LocalCopy(worker)).toThrow('readOnly');
    expect(() => new LocalCopy(readerOf(server.url), { withinMs: 0 })).toThrow('withinMs');
    const none = new LocalCopy(readerOf(server.url), { tables: ['nothing'] });
    await expect(none.ready).rejects.toMatchObject({ code: 'PS_UNKNOWN_TENSOR' });
    expect(none.failure).toMatchObject({ code: 'PS_UNKNOWN_TENSOR' });
    expect(() => none.rows('words')).toThrow('words');
    const reader = readerOf(server.url);
    const closed = new LocalCopy(reader, { tables: ['words'] });
    await closed.close();
    await expect(closed.ready).rejects.toMatchObject({ code: 'PS_CLOSED' });
  });
});
