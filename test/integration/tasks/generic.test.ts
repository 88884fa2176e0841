import { afterEach, describe, expect, it } from 'vitest';
import { type MapProgress, type ParameterServer, Worker } from '../../../src/index.js';
import { countingServer, newWorker } from './counting.js';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function listening(options: Parameters<typeof countingServer>[0] = {}): Promise<ParameterServer> {
  const server = countingServer(options);
  await server.listen();
  open.push(server);
  return server;
}

function worker(server: ParameterServer, id: string): Worker {
  const made = newWorker(server, id);
  open.push(made);
  return made;
}

async function gathered<T>(from: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of from) all.push(each);
  return all;
}

describe('generic tasks', () => {
  it('are done once each by any number of workers, in the order of the inputs', async () => {
    const server = await listening();
    const inputs = Array.from({ length: 500 }, (_, i) => i);
    for (const id of ['a', 'b', 'c'])
      void worker(server, id).tasks<number>(async (i) => i * i, { concurrency: 2 });
    const outcomes = await gathered(server.tasks.map<number, number>(inputs, { inOrder: true }));
    expect(outcomes.map(({ result }) => result)).toEqual(inputs.map((i) => i * i));
    expect(outcomes.map(({ input }) => input)).toEqual(inputs);
  });

  it('are as many at a time as one worker can name in a message, and no more', async () => {
    const server = await listening();
    const inputs = Array.from({ length: 2_500 }, (_, i) => i);
    let running = 0;
    let begin: () => void = () => {};
    const areMany = new Promise<void>((resolve) => {
      begin = resolve;
    });
    void worker(server, 'a').tasks<number>(
      async (i) => {
        // How large results are is known from the first ones; then more may be under way.
        if (i >= 300 && ++running === 1_000) begin();
        if (i >= 300) await areMany;
        return i + 1;
      },
      { concurrency: 1_000 },
    );
    const outcomes = await gathered(server.tasks.map<number, number>(inputs, { inOrder: true }));
    expect(outcomes.map(({ result }) => result)).toEqual(inputs.map((i) => i + 1));
    await expect(worker(server, 'b').tasks(() => 1, { concurrency: 1_025 })).rejects.toThrow(
      /an integer from 1 to 1024/,
    );
  });

  it('of a loop that is aborted are called off, however many one worker has', async () => {
    const server = await listening();
    const abort = new AbortController();
    let running = 0;
    let aborted = 0;
    let end: () => void = () => {};
    const areAborted = new Promise<void>((resolve) => {
      end = resolve;
    });
    void worker(server, 'a').tasks<number>(
      async (i, { signal }) => {
        if (i < 300) return;
        signal.addEventListener('abort', () => ++aborted === 1_000 && end());
        if (++running === 1_000) abort.abort();
        await areAborted;
      },
      { concurrency: 1_000 },
    );
    const inputs = Array.from({ length: 1_300 }, (_, i) => i);
    await expect(gathered(server.tasks.map(inputs, { signal: abort.signal }))).rejects.toMatchObject({
      code: 'PS_ABORTED',
    });
    await areAborted;
  });

  it('take and give any value, typed arrays among them, of more than one chunk', async () => {
    const server = await listening({ limits: { chunkBytes: 4096 } });
    void worker(server, 'a').tasks<{ data: Float32Array }>(({ data }) => ({
      twice: data.map((x) => 2 * x),
      at: new Date(5),
    }));
    const data = Float32Array.from({ length: 20_000 }, (_, i) => i);
    const [outcome] = await gathered(server.tasks.map([{ data, name: 'x', big: 10n ** 30n }]));
    expect(outcome?.result).toEqual({ twice: data.map((x) => 2 * x), at: new Date(5) });
  });

  it('that fail are tried again, and reported after as many attempts as they have, without stopping the rest', async () => {
    const server = await listening();
    const attempts = new Map<number, number>();
    for (const id of ['a', 'b']) {
      void worker(server, id).tasks<number>((i) => {
        attempts.set(i, (attempts.get(i) ?? 0) + 1);
        if (i === 3 || (i === 4 && attempts.get(4) === 1)) throw new TypeError(`not ${i}`);
        return i;
      });
    }
    const outcomes = await gathered(
      server.tasks.map<number, number>([1, 2, 3, 4, 5], { retries: 2, inOrder: true }),
    );
    expect(outcomes.map(({ result }) => result)).toEqual([1, 2, undefined, 4, 5]);
    expect(attempts.get(3)).toBe(3);
    expect(outcomes[2]).toMatchObject({
      attempts: 3,
      error: {
        code: 'PS_TASK_FAILED',
        message: expect.stringMatching(/task 2 failed 3 times.*TypeError: not 3/),
      },
    });
  });

  it('of a worker that is gone are done by another', async () => {
    const server = await listening({ limits: { disconnectGraceMs: 1 } });
    const first = worker(server, 'a');
    void first
      .tasks<number>(
        (i) =>
          new Promise((resolve) => {
            if (i > 0) resolve(i);
            else void first.close();
          }),
      )
      .catch(() => {});
    const outcomes = gathered(server.tasks.map<number, number>([2, 1, 0, 3], { inOrder: true }));
    first.once('close', () => void worker(server, 'b').tasks<number>((i) => i));
    expect((await outcomes).map(({ result }) => result)).toEqual([2, 1, 0, 3]);
  });

  it('that take too long are called off, and given to another attempt', async () => {
    const server = await listening();
    let calls = 0;
    let isAborted = false;
    void worker(server, 'a').tasks((_input, { signal }) => {
      if (++calls > 1) return 'done';
      // A handler that never returns.
      signal.addEventListener('abort', () => {
        isAborted = true;
      });
      return new Promise(() => {});
    });
    const [outcome] = await gathered(server.tasks.map(['x'], { timeoutMs: 50 }));
    expect(outcome?.result).toBe('done');
    expect(isAborted).toBe(true);
    void worker(server, 'b');
    const [second] = await gathered(
      server.tasks.map(['y'], { timeoutMs: Number.POSITIVE_INFINITY, retries: 0 }),
    );
    expect(second?.result).toBe('done');
  });

  it('of a loop that was left are dropped; other loops are not touched', async () => {
    const server = await listening();
    const done: number[] = [];
    const endless = function* (): Generator<number> {
      for (let i = 0; ; i++) yield i;
    };
    void worker(server, 'a').tasks<number>((i) => {
      done.push(i);
      return i;
    });
    const taken: number[] = [];
    for await (const { input } of server.tasks.map(endless())) {
      taken.push(input);
      if (taken.length === 10) break;
    }
    expect(taken).toHaveLength(10);
    const others = await gathered(server.tasks.map<number, number>([-1, -2], { inOrder: true }));
    expect(others.map(({ result }) => result)).toEqual([-1, -2]);
  });
});

describe('bad input', () => {
  it('are bounded: an endless iterable is read as far as there is room, and read on when results are taken', async () => {
    const server = await listening();
    void worker(server, 'a').tasks<number>((i) => i);
    const endless = function* (): Generator<number> {
      for (let i = 0; ; i++) yield i;
    };
    let isFull = (): void => {};
    const full = new Promise<void>((resolve) => {
      isFull = resolve;
    });
    const onProgress = ({ read, done }: MapProgress): void => {
      if (done === read) isFull();
    };
    const results = server.tasks.map(endless(), { onProgress });
    await full;
    // All that was read is done, nobody takes it, and no more is read.
    const { read, done, failed, isWhole } = results.progress;
    expect({ read, done, failed, isWhole }).toEqual({ read: 4096, done: 4096, failed: 0, isWhole: false });
    for (let i = 0; i < 100; i++) await results.next();
    expect(results.progress.read).toBeGreaterThan(read);
    expect(results.progress.read).toBeLessThanOrEqual(read + 100);
    await results.return();
  });

  it('with large results are read as far as there is room for those', async () => {
    const server = await listening();
    const result = new Uint8Array(4 * 2 ** 20);
    let calls = 0;
    void worker(server, 'a').tasks(() => {
      calls++;
      return result;
    });
    let isFull = (): void => {};
    const full = new Promise<void>((resolve) => {
      isFull = resolve;
    });
    const results = server.tasks.map(Array(1000).keys(), {
      onProgress: ({ read, done }) => {
        if (read === done) isFull();
      },
    });
    await full;
    // 32 before anything was known, and then as long as 128 MiB are not full.
    expect(results.progress.read).toBe(32);
    // Also those whose results were still being sent when the worker asked for more.
    expect(calls).toBe(32);
    await results.return();
  });

  it('large ones are read by bytes, one at least', async () => {
    const server = await listening();
    const large = new Float64Array(8 * 2 ** 20);
    const results = server.tasks.map(Array(10).fill(large));
    // Two of 64 MiB fill the window of 128 MiB.
    expect(results.progress.read).toBe(2);
    await results.return();
  });

  it('tell of their progress; what onProgress throws ends the loop', async () => {
    const server = await listening();
    void worker(server, 'a').tasks<number>((i) => {
      if (i === 2) throw new Error('not this one');
      return i;
    });
    const told: number[][] = [];
    const onProgress = ({ read, done, failed }: MapProgress): void => {
      told.push([read, done, failed]);
    };
    await gathered(server.tasks.map([1, 2, 3], { onProgress, retries: 0 }));
    expect(told.at(-1)).toEqual([3, 2, 1]);
    expect(told).toHaveLength(3);
    const broken = (): void => {
      throw new RangeError('no');
    };
    await expect(gathered(server.tasks.map([1, 2, 3], { onProgress: broken }))).rejects.toThrow(RangeError);
    expect(await gathered(server.tasks.map([5]))).toMatchObject([{ result: 5 }]);
  });

  it('are those of shard 0 of a group: another one refuses to hand out', () => {
    const server = countingServer({ shard: { index: 1, count: 2 } });
    const text = /^(map|dataset): workers ask shard 0/;
    const refusal = expect.objectContaining({
      code: 'PS_INVALID_ARGUMENT',
      message: expect.stringMatching(text),
    });
    expect(() => server.tasks.map([1])).toThrow(refusal);
    expect(() => server.tasks.dataset({ size: 5 })).toThrow(refusal);
  });

  it('of a group of servers are handed out and taken back by its first', async () => {
    const servers = await Promise.all([0, 1].map((index) => listening({ shard: { index, count: 2 } })));
    const made = new Worker(servers.map(({ url }) => url).reverse(), { id: 'a' });
    open.push(made);
    void made.tasks<number>((i) => -i);
    const outcomes = await gathered(
      servers[0]?.tasks.map<number, number>([1, 2, 3], { inOrder: true }) ?? [],
    );
    expect(outcomes.map(({ result }) => result)).toEqual([-1, -2, -3]);
  });

  it('zero tasks end at once', async () => {
    const server = await listening();
    expect(await gathered(server.tasks.map([]))).toEqual([]);
  });

  it('an input or a result that can not be sent concerns its task alone', async () => {
    const server = await listening({ limits: { maxTaskBytes: 1024 } });
    void worker(server, 'a').tasks<number>((i) => (i === 1 ? () => i : i === 2 ? new Float32Array(1000) : i));
    const inputs = [0, 1, 2, { f: () => 1 }, 4];
    const outcomes = await gathered(server.tasks.map<unknown>(inputs, { retries: 0, inOrder: true }));
    expect(outcomes.map(({ result, error }) => error?.code ?? result)).toEqual([
      0,
      'PS_VALUE_INVALID',
      'PS_LIMIT',
      'PS_VALUE_INVALID',
      4,
    ]);
  });

  it('inputs that throw end their loop behind what was read', async () => {
    const server = await listening();
    void worker(server, 'a').tasks<number>((i) => i);
    const inputs = function* (): Generator<number> {
      yield 1;
      yield 2;
      throw new Error('no more paper');
    };
    const seen: unknown[] = [];
    const loop = async (): Promise<void> => {
      for await (const { result } of server.tasks.map(inputs(), { inOrder: true })) seen.push(result);
    };
    await expect(loop()).rejects.toMatchObject({
      code: 'PS_TASK_FAILED',
      message: expect.stringContaining('no more paper'),
    });
    expect(seen).toEqual([1, 2]);
  });

  it('an abort, and the end of the server, end the loop with their errors', async () => {
    const server = await listening();
    const abort = new AbortController();
    const aborted = gathered(server.tasks.map([1], { signal: abort.signal }));
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'PS_ABORTED' });
    const closed = gathered(server.tasks.map([1]));
    void server.close();
    await expect(closed).rejects.toMatchObject({ code: 'PS_CLOSED' });
  });

  it.each([
    ['inputs', 5, {}],
    ['map.retries', [], { retries: -1 }],
    ['map.timeoutMs', [], { timeoutMs: 0 }],
    ['map.inOrder', [], { inOrder: 1 }],
    ['map.onProgress', [], { onProgress: 1 }],
    ['map.order', [], { order: true }],
  ])('a wrong %s', (option, inputs, options) => {
    expect(() => countingServer().tasks.map(inputs as never, options as never)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option } }),
    );
  });
});
