/** The data path as a whole, over both transports: every byte in its place, and every pull one cut. */
import { afterEach, describe, expect, it } from 'vitest';
import { asp, ParameterServer, sgd, Worker } from '../../src/index.js';
import { wsConnect } from '../../src/io/transport/wsConnect.js';
import { WorkerBase } from '../../src/io/worker/workerBase.js';

type Specs = Record<string, { shape: number[]; init?: (index: number) => number }>;

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

class WsWorker extends WorkerBase<Record<string, never>> {
  constructor(url: string) {
    super({ connect: wsConnect }, url, {});
  }
}

async function startServer(parameters: Specs): Promise<ParameterServer> {
  const server = new ParameterServer({
    parameters,
    optimizer: sgd({ learningRate: 1 }),
    consistency: asp(),
    port: 0,
    limits: { chunkBytes: 1024 },
  });
  ends.push(() => server.close());
  await server.listen();
  return server;
}

describe.each(['own', 'ws'] as const)('through the %s transport', (transport) => {
  async function connect(server: ParameterServer): Promise<Worker> {
    const worker =
      transport === 'own' ? new Worker(server.url) : (new WsWorker(server.url) as unknown as Worker);
    ends.push(() => worker.close());
    await worker.connect();
    return worker;
  }

  it('many tensors of lengths 0, 1 and odd arrive whole, whatever chunk they fall into', async () => {
    const specs: Specs = {};
    const lengths = Array.from({ length: 300 }, (_, i) => [0, 1, 3, 17, 255, 601][i % 6] as number);
    lengths.forEach((length, i) => {
      specs[`t${i}`] = { shape: [length], init: (index) => i + index / 1024 };
    });
    const server = await startServer(specs);
    const worker = await connect(server);
    for (let round = 1; round <= 5; round++) {
      const gradients = Object.fromEntries(
        lengths.map((length, i) => [`t${i}`, new Float32Array(length).fill(-(i + 1))]),
      );
      // Several on their way at once, each with memory of its own.
      const pushes = [worker.push(gradients), worker.push(gradients)];
      await Promise.all(pushes);
      const { tensors } = await worker.pull();
      lengths.forEach((length, i) => {
        const expected = Float32Array.from({ length }, (_, index) => i + index / 1024 + 2 * round * (i + 1));
        expect(tensors[`t${i}`]?.data).toEqual(expected);
      });
    }
    const some = await worker.pull(['t299', 't0', 't5']);
    expect(Object.keys(some.tensors).sort()).toEqual(['t0', 't299', 't5']);
    expect(some.tensors.t5?.data[600]).toBe(Math.fround(5 + 600 / 1024 + 60));
  });

  it('a pull under full load is one consistent cut: all cells are equal', async () => {
    const server = await startServer({ a: { shape: [40_000] }, b: { shape: [30_001] } });
    const workers = await Promise.all([0, 1, 2, 3].map(() => connect(server)));
    const gradients = { a: new Float32Array(40_000).fill(-1), b: new Float32Array(30_001).fill(-1) };
    const rounds = 12;
    const seen = new Set<number>();
    await Promise.all(
      workers.map(async (worker, rank) => {
        for (let round = 0; round < rounds; round++) {
          const pushed = rank === 0 ? undefined : worker.push(gradients);
          const { tensors, version } = await worker.pull();
          const first = tensors.a?.data[0] as number;
          const isCut = [tensors.a, tensors.b].every((tensor) =>
            tensor?.data.every((value) => value === first),
          );
          expect(isCut).toBe(true);
          expect(first).toBe(version);
          seen.add(version);
          await pushed;
        }
      }),
    );
    expect(seen.size).toBeGreaterThan(3);
    const { tensors } = await server.parameters();
    expect(tensors.b?.data[30_000]).toBe(3 * rounds);
    expect(server.stats().pinnedVersions).toBe(0);
  });
});

it('a pull that is given up changes nothing of the caller’s any more, though its chunk is half here', async () => {
  const length = 4_194_304;
  const server = new ParameterServer({
    parameters: { w: { shape: [length], init: (index) => index + 1 } },
    optimizer: sgd({ learningRate: 1 }),
    consistency: asp(),
    port: 0,
    limits: { chunkBytes: 16_777_216 },
  });
  ends.push(() => server.close());
  await server.listen();
  const worker = new Worker(server.url);
  ends.push(() => worker.close());
  await worker.connect();
  const w = new Float32Array(length);
  const stop = new AbortController();
  const pull = worker.pull(undefined, { into: { w }, signal: stop.signal });
  // Looks each turn: reads are far smaller than the chunk.
  while (w[0] === 0) await new Promise((resolve) => setImmediate(resolve));
  expect(w[length - 1]).toBe(0);
  stop.abort();
  await expect(pull).rejects.toMatchObject({ code: 'PS_ABORTED' });
  const kept = w.slice();
  // Its answer comes behind all that was on the way.
  const { tensors } = await worker.pull();
  expect(tensors.w?.data[length - 1]).toBe(Math.fround(length));
  expect(Buffer.compare(Buffer.from(w.buffer), Buffer.from(kept.buffer))).toBe(0);
});

it('ten thousand small tensors make a round like one large', async () => {
  const lengths = Array.from({ length: 10_000 }, (_, i) => i % 4);
  const specs = Object.fromEntries(lengths.map((length, i) => [`t${i}`, { shape: [length] }]));
  const server = await startServer(specs);
  const worker = new Worker(server.url);
  ends.push(() => worker.close());
  await worker.connect();
  const gradients = Object.fromEntries(
    lengths.map((length, i) => [`t${i}`, new Float32Array(length).fill(-i)]),
  );
  const { pull, push } = await worker.pushPull(gradients);
  const { tensors } = pull;
  expect(push.version).toBe(1);
  const wrong = lengths.filter((_, i) => !tensors[`t${i}`]?.data.every((value) => value === i));
  expect(wrong).toEqual([]);
  expect(tensors.t9999?.data).toEqual(new Float32Array(3).fill(9999));
});
