/**
 * Models from a gigabyte on, and one whose parameters and slots together are more than a WebAssembly memory holds. They
 * take gigabytes of memory and up to a minute each, so only PSLIB_LARGE=1 runs them; the small one always runs.
 */
import { afterEach, expect, it } from 'vitest';
import { adam, asp, type Optimizer, ParameterServer, sgd, Worker } from '../../src/index.js';

const GIB_ELEMENTS = 2 ** 28;
const TIMEOUT_MS = 300_000;

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Case {
  readonly name: string;
  readonly length: number;
  readonly optimizer: Optimizer;
  /** What a push of −1 adds to every element. */
  readonly step: number;
}

const SMALL: Case = { name: '3 MB', length: 786_431, optimizer: sgd({ learningRate: 1 }), step: 1 };
const LARGE: Case[] = [
  { name: '1 GiB', length: GIB_ELEMENTS, optimizer: sgd({ learningRate: 1 }), step: 1 },
  {
    name: '4.5 GiB of parameters and slots',
    length: 1.5 * GIB_ELEMENTS,
    optimizer: adam({ learningRate: 0.5, epsilon: 1e-30 }),
    step: 0.5,
  },
];

it.each(process.env.PSLIB_LARGE === undefined ? [SMALL] : [SMALL, ...LARGE])(
  'a model of $name is pulled, pushed and pulled again, each time as one version',
  async ({ length, optimizer, step }) => {
    const server = new ParameterServer({
      parameters: { head: { shape: [3] }, body: { shape: [length] } },
      optimizer,
      consistency: asp(),
      port: 0,
    });
    ends.push(() => server.close());
    await server.listen();
    const worker = new Worker(server.url);
    ends.push(() => worker.close());
    await worker.connect();
    const into = { head: new Float32Array(3), body: new Float32Array(length) };
    const gradients = { head: new Float32Array(3).fill(-1), body: new Float32Array(length).fill(-1) };
    for (let version = 0; version < 3; version++) {
      const pulled = await worker.pull(undefined, { into });
      expect(pulled.version).toBe(version);
      expect(into.head).toEqual(new Float32Array(3).fill(into.head[0] as number));
      expect(into.head[0]).toBeCloseTo(version * step, 4);
      expect(into.body.findIndex((value) => value !== into.head[0])).toBe(-1);
      const { outcome } = await worker.push(gradients);
      expect(outcome).toBe('applied');
    }
  },
  TIMEOUT_MS,
);
