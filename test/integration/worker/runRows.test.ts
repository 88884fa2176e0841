import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { asp, ParameterServer, type PsError, sgd, ssp, Worker } from '../../../src/index.js';
import { startWorker } from './bench.js';

const parameters = { bias: { shape: [1] } } as const;
const tables = { words: { dim: 2 }, users: { dim: 1 } } as const;
type Model = typeof parameters & typeof tables;

async function serve(options: object = {}): Promise<ParameterServer> {
  const optimizer = sgd({ learningRate: 1 });
  const server = new ParameterServer({ parameters, tables, optimizer, port: 0, ...options });
  await server.listen();
  return server;
}

const codeOf = (action: Promise<unknown>): Promise<string> =>
  action.then(
    () => 'resolved',
    (error: PsError) => error.code,
  );

describe('a run whose batches name rows', () => {
  it('gets them with the parameters, of the same version, in the order of the ids', async () => {
    const server = await serve();
    await using worker = new Worker<Model>(server.url);
    const seen: number[][] = [];
    const summary = await worker.run(
      ({ bias, words, users }, batch, { step }) => {
        expect(words).toMatchObject({ ids: batch, dim: 2, version: step });
        expect(users.ids).toEqual([batch[0]]);
        expect(bias.data[0]).toBe(0 - step);
        seen.push([...words.data]);
        const values = new Float32Array(words.data.length).fill(1);
        return { gradients: { bias: Float32Array.of(1), words: { ids: batch, values } } };
      },
      {
        data: [[5, 2], [2, 9, 5], [2]],
        rows: (batch) => ({ words: batch, users: [batch[0] as number] }),
      },
    );
    expect(summary).toMatchObject({ steps: 3, endedBy: 'data' });
    expect(seen).toEqual([
      [0, 0, 0, 0],
      [-1, -1, 0, 0, -1, -1],
      [-2, -2],
    ]);
    // Bytes of the rows count, those of ids that the worker sent do not.
    expect(summary.pulledBytes).toBe(4 * (3 * 1 + 2 * 6 + 3 * 1));
    await server.close();
  });

  it('loses nothing when connections break, and none of its pulls is old', async () => {
    const server = await serve({ consistency: ssp({ staleness: 1 }) });
    const random = new Random(3);
    const runs = ['a', 'b'].map(async (id) => {
      const worker = startWorker<Model>(server.url, { id, pipeline: 1 });
      let own = 0;
      await worker.run<number[]>(
        ({ words, users }, batch) => {
          if (random.nextInt(4) === 0) setImmediate(() => worker.cut());
          expect(words.data.length).toBe(2 * batch.length);
          // With a pipeline of one step, one of its own updates may be missing.
          expect(-(users.data[0] as number)).toBeGreaterThanOrEqual(own - 1);
          own++;
          const ones = (length: number) => new Float32Array(length).fill(1);
          return {
            gradients: {
              words: { ids: batch, values: ones(2 * batch.length) },
              users: { ids: [id === 'a' ? 0 : 1], values: ones(1) },
            },
          };
        },
        {
          data: async (step) => (step % 3 === 0 ? [1, 2] : [2, step]),
          rows: (batch) => ({ words: batch, users: [id === 'a' ? 0 : 1] }),
          steps: 60,
        },
      );
    });
    await Promise.all(runs);
    await using reader = new Worker<Model>(server.url, { readOnly: true });
    expect([...(await reader.pullRows('users', [0, 1])).data]).toEqual([-60, -60]);
    expect([...(await reader.pullRows('words', [2])).data]).toEqual([-122, -122]);
    await server.close();
  });

  it('may be a loop of the caller’s own', async () => {
    const server = await serve();
    await using worker = new Worker<Model>(server.url);
    for await (const { parameters: given, push } of worker.steps({
      steps: 2,
      rows: () => ({ users: [4] }),
    })) {
      await push({ users: { ids: [4], values: Float32Array.of(given.users.data[0] === 0 ? 2 : 3) } });
    }
    expect([...(await worker.pullRows('users', [4])).data]).toEqual([-5]);
    await server.close();
  });

  it('is told of names, ids and functions that are none, and of what its function throws', async () => {
    const server = await serve({ consistency: asp() });
    await using worker = new Worker<Model>(server.url);
    const run = (rows: unknown): Promise<string> =>
      codeOf(worker.run(() => ({ gradients: {} }), { steps: 2, rows: rows as never }));
    expect(await run(() => ({ nothing: [1] }))).toBe('PS_UNKNOWN_TENSOR');
    expect(await run(() => ({ words: [1.5] }))).toBe('PS_INVALID_ARGUMENT');
    expect(await run(() => 7)).toBe('PS_INVALID_ARGUMENT');
    expect(await run(7)).toBe('PS_INVALID_ARGUMENT');
    const thrown = worker.run(() => ({ gradients: {} }), {
      rows: () => {
        throw new RangeError('no such batch');
      },
    });
    await expect(thrown).rejects.toThrow(new RangeError('no such batch'));
    expect(await run(() => ({ words: [] }))).toBe('resolved');
    await server.close();
  });
});
