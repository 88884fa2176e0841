import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import {
  adagrad,
  asp,
  ParameterCache,
  ParameterServer,
  type ParameterServerOptions,
  type PsError,
  sgd,
  Worker,
} from '../../../src/index.js';

const parameters = { w: { shape: [2] } } as const;
const tables = {
  words: { dim: 2, init: 'uniform' },
  bias: { dim: 1, optimizer: adagrad({ learningRate: 1 }) },
} as const;
type Model = typeof parameters & typeof tables;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function serve(options: Partial<ParameterServerOptions> = {}): Promise<ParameterServer> {
  const server = new ParameterServer({
    ...{ parameters, tables, port: 0 },
    optimizer: sgd({ learningRate: 1 }),
    consistency: asp(),
    ...options,
  } as ParameterServerOptions);
  closing.push(() => server.close());
  await server.listen();
  return server;
}

function workerOf(server: ParameterServer, options: object = {}): Worker<Model> {
  const worker = new Worker<Model>(server.url, options);
  closing.push(() => worker.close());
  return worker;
}

const codeOf = (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => 'resolved',
    (error: PsError) => error.code,
  );

describe('rows of sparse tables', () => {
  it('are pulled and pushed in the caller’s order, with ids that are there twice summed', async () => {
    const worker = workerOf(await serve());
    const before = await worker.pullRows('words', [7, 2 ** 40, 3]);
    expect(before).toMatchObject({ ids: [7, 2 ** 40, 3], dim: 2, version: 0 });
    expect(before.data.every((value) => Math.abs(value) <= 0.05 && value !== 0)).toBe(true);
    const values = Float32Array.of(1, 0, 2, 2, 0.5, 0);
    const result = await worker.push({ words: { ids: [7, 3, 7], values }, w: Float32Array.of(1, 1) });
    expect(result).toMatchObject({ outcome: 'applied', version: 1 });
    const after = await worker.pullRows('words', BigUint64Array.of(3n, 7n, 2n ** 40n));
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = before.data;
    expect([...after.data]).toEqual([e - 2, f - 2, a - 1.5, b, c, d].map(Math.fround));
    expect([...(await worker.pull()).tensors.w.data]).toEqual([-1, -1]);
  });

  it('go in many messages where they are many', async () => {
    const server = await serve({ limits: { chunkBytes: 4096 } });
    const worker = workerOf(server);
    const count = 20_000;
    const ids = Uint32Array.from({ length: count }, (_, i) => (i * 7919) % 100_003);
    const values = Float32Array.from(ids, (id) => id % 97);
    await worker.push({ bias: { ids, values } });
    const { data } = await worker.pullRows('bias', ids);
    // Adagrad's first step is the sign of the gradient.
    expect([...data]).toEqual([...values].map((value) => (value === 0 ? 0 : -1)));
    expect(server.stats().tables.map(({ name, rows }) => [name, rows])).toEqual([
      ['words', 0],
      ['bias', new Set(ids).size],
    ]);
  });

  it('keep apart where many are under way at once, through memory that is used again', async () => {
    const dim = 16;
    const server = await serve({ tables: { words: { dim } } });
    const worker = new Worker<{ words: { dim: 16 } }>(server.url);
    closing.push(() => worker.close());
    const model = new Map<number, number>();
    const batches = Array.from({ length: 6 }, (_, k) => {
      const count = 5_000 + 700 * (k % 3);
      const ids = Uint32Array.from({ length: count }, (_, i) => (i * 7_919 + k * 31) % 9_001);
      const values = new Float32Array(count * dim);
      ids.forEach((id, i) => {
        values.fill(i % (k + 2), i * dim, (i + 1) * dim);
        model.set(id, (model.get(id) ?? 0) - (i % (k + 2)));
      });
      return { ids, values };
    });
    await Promise.all(batches.map((words) => worker.push({ words })));
    const pulled = await Promise.all(
      batches.map(({ ids }, k) =>
        worker.pullRows('words', ids, k % 2 === 0 ? {} : { into: new Float32Array(ids.length * dim) }),
      ),
    );
    pulled.forEach(({ ids, data }) => {
      const expected = Float32Array.from(data, (_, i) => model.get(ids[Math.floor(i / dim)] as number) ?? 0);
      expect(data).toEqual(expected);
    });
  });

  it('are put where the caller wants them, in any order of ids', async () => {
    const server = await serve();
    const worker = workerOf(server);
    await worker.push({ words: { ids: [1, 2, 3], values: Float32Array.of(1, 2, 3, 4, 5, 6) } });
    for (const ids of [[1, 2, 3], [3, 1, 3], []]) {
      const into = new Float32Array(2 * ids.length).fill(9);
      const rows = await worker.pullRows('words', ids, { into });
      expect(rows.data).toBe(into);
      expect(into).toEqual((await worker.pullRows('words', ids)).data);
    }
    const cached = workerOf(server, { cache: new ParameterCache() });
    // From the server, then half of them, then none.
    for (const ids of [
      [3, 2],
      [1, 2],
      [1, 2, 3],
    ]) {
      const into = new Float32Array(2 * ids.length);
      expect((await cached.pullRows('words', ids, { into })).data).toBe(into);
      expect(into).toEqual((await worker.pullRows('words', ids)).data);
    }
    const wrong: [unknown, string][] = [
      [new Float32Array(3), 'PS_WRONG_LENGTH'],
      [[1, 2], 'PS_INVALID_ARGUMENT'],
      [new Float64Array(2), 'PS_INVALID_ARGUMENT'],
    ];
    for (const [into, code] of wrong) {
      expect(await codeOf(worker.pullRows('words', [1], { into: into as Float32Array }))).toBe(code);
    }
  });

  it('are part of a run, pulled by the gradient function', async () => {
    const server = await serve({ tables: { words: { dim: 1 } } });
    const worker = new Worker<typeof parameters & { words: { dim: 1 } }>(server.url);
    closing.push(() => worker.close());
    const summary = await worker.run(
      async (_, ids) => {
        const { data } = await worker.pullRows('words', ids);
        // Of (row − id)² / 2: the optimum is the id itself, reached in one step of rate 1.
        const values = data.map((value, i) => value - (ids[i] as number));
        return { gradients: { words: { ids, values } } };
      },
      { data: [[1, 2], [3], [2, 4]] },
    );
    expect(summary).toMatchObject({ steps: 3, examples: 5 });
    expect([...(await worker.pullRows('words', [4, 3, 2, 1, 0])).data]).toEqual([4, 3, 2, 1, 0]);
  });

  it('are there again after the server was restarted, by journal and by checkpoint', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'pslib-rows-'));
    closing.unshift(() => rm(dataDir, { recursive: true, force: true }));
    const first = await serve({ dataDir });
    const worker = workerOf(first);
    await worker.push({ words: { ids: [1, 5], values: Float32Array.of(1, 2, 3, 4) } });
    await first.checkpoint();
    await worker.push({
      words: { ids: [5, 9], values: Float32Array.of(1, 1, 1, 1) },
      bias: { ids: [2 ** 53 - 1], values: Float32Array.of(3) },
    });
    const expected = await worker.pullRows('words', [1, 5, 9]);
    await worker.close();
    await first.close();
    const second = await serve({ dataDir });
    const again = workerOf(second);
    expect((await again.pullRows('words', [1, 5, 9])).data).toEqual(expected.data);
    expect([...(await again.pullRows('bias', [2 ** 53 - 1])).data]).toEqual([-1]);
    await again.close();
    await second.close();
    const other = serve({ dataDir, tables: { words: { dim: 3 } } });
    await expect(other).rejects.toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option: 'tables' } });
  });

  it.each<[string, (worker: Worker<Model>) => Promise<unknown>, string]>([
    ['an id that is negative', (worker) => worker.pullRows('words', [1, -1]), 'PS_INVALID_ARGUMENT'],
    ['an id that is a fraction', (worker) => worker.pullRows('words', [0.5]), 'PS_INVALID_ARGUMENT'],
    ['an id that is NaN', (worker) => worker.pullRows('words', [Number.NaN]), 'PS_INVALID_ARGUMENT'],
    ['an id of 2^53', (worker) => worker.pullRows('words', [2 ** 53]), 'PS_INVALID_ARGUMENT'],
    ['a table that is a tensor', (worker) => worker.pullRows('w', [1]), 'PS_UNKNOWN_TENSOR'],
    ['a tensor that is a table', (worker) => worker.pull(['words']), 'PS_UNKNOWN_TENSOR'],
    [
      'values that are too few',
      (worker) => worker.push({ words: { ids: [1, 2], values: new Float32Array(3) } }),
      'PS_WRONG_LENGTH',
    ],
    [
      'a value that is not finite',
      (worker) => worker.push({ words: { ids: [1], values: Float32Array.of(1, Number.NaN) } }),
      'PS_NOT_FINITE',
    ],
    [
      'a gradient of a table that is an array',
      (worker) => worker.push({ words: new Float32Array(2) as never }),
      'PS_GRADIENT_INVALID',
    ],
  ])('%s is refused, and nothing is changed', async (_, action, code) => {
    const server = await serve();
    expect(await codeOf(action(workerOf(server)))).toBe(code);
    expect(server.stats()).toMatchObject({ version: 0, tables: [{ rows: 0 }, { rows: 0 }] });
  });

  it('are pushed one batch after the other where one is more than may be unanswered', async () => {
    const worker = workerOf(await serve(), { limits: { maxUnansweredBytes: 100 } });
    const ids = Array.from({ length: 50 }, (_, i) => i);
    const push = () => worker.push({ bias: { ids, values: new Float32Array(50).fill(1) } });
    const versions = (await Promise.all([push(), push(), push()])).map(({ version }) => version);
    expect(versions).toEqual([1, 2, 3]);
  });

  it('are refused where the staging area has no room for them', async () => {
    const server = await serve({ limits: { stagingBytes: 10_000 } });
    const worker = workerOf(server);
    const rows = (count: number) => ({
      words: { ids: Array.from({ length: count }, (_, i) => i), values: new Float32Array(2 * count) },
    });
    expect(await worker.push(rows(100))).toMatchObject({ outcome: 'applied' });
    expect(await codeOf(worker.push(rows(1000)))).toBe('PS_LIMIT');
    expect(await worker.push(rows(100))).toMatchObject({ outcome: 'applied', version: 2 });
  });

  it('a reader pulls them, and pushes none', async () => {
    const server = await serve();
    const reader = workerOf(server, { readOnly: true });
    expect((await reader.pullRows('bias', [1])).data).toEqual(new Float32Array(1));
    const push = reader.push({ bias: { ids: [1], values: Float32Array.of(1) } });
    expect(await codeOf(push)).toBe('PS_FORBIDDEN');
  });

  it.each<[string, object, RegExp]>([
    ['dim', { words: { dim: 0 } }, /^tables\.words\.dim/],
    ['init', { words: { dim: 1, init: 'glorot' } }, /^tables\.words\.init/],
    [
      'an optimizer that is code',
      { words: { dim: 1, optimizer: { name: 'mine', slots: [], apply() {} } } },
      /optimizer/,
    ],
    ['a name of a tensor', { w: { dim: 1 } }, /^tables\.w/],
    ['maxRows', { words: { dim: 1, maxRows: 0 } }, /maxRows/],
  ])('a server with a wrong %s is not made', (_, wrong, text) => {
    expect(() => new ParameterServer({ parameters, tables: wrong as never, port: 0 })).toThrow(text);
  });
});
