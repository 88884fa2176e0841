/**
 * The processes of the benchmark of sparse tables: `rowsChild.js server DIM`, or `rowsChild.js worker URL`, which take
 * commands line by line and answer each with a line of JSON.
 *
 *     server   memory                              → { rows, bytes, rss }
 *     worker   fill DIM ROWS                       → rows 0, 7, 14, … get a gradient of 1
 *              push | pull DIM ROWS BATCH ORDER N  → { ms } of N batches, two under way at a time; rows are pulled into
 *                                                    arrays that are used again
 *              pulls DIM ROWS COUNT N              → { p50, p99, max } of N pulls of COUNT rows, in ms
 *              forever DIM ROWS BATCH ORDER        → pushes until it is ended
 *              check ROWS TIMES                    → { ok }: the first and the last row have had so many gradients of 1
 */
import { createInterface } from 'node:readline';
import { asp, ParameterServer, sgd, Worker } from 'pslib';

const RATE = 2 ** -10;
const STRIDE = 7;
const UNDER_WAY = 2;

const [role = '', argument = ''] = process.argv.slice(2);
const say = (value: object): void => {
  process.stdout.write(`${JSON.stringify(value)}\n`);
};

/** Batches of ids of a table of `rows`: all of them in order, or drawn at random, also in their order. */
class Batches {
  readonly ids: Uint32Array[] = [];
  readonly values: Float32Array;
  /** Where rows are pulled to: one for each that is under way. */
  readonly #into: Float32Array[];

  constructor(dim: number, rows: number, batch: number, order: string) {
    this.values = new Float32Array(batch * dim).fill(1);
    this.#into = Array.from({ length: UNDER_WAY }, () => new Float32Array(batch * dim));
    for (let k = 0; k < (order === 'sorted' ? 1 : 4); k++) {
      const ids = new Uint32Array(batch);
      for (let i = 0; i < batch; i++)
        ids[i] = STRIDE * (order === 'sorted' ? i : Math.floor(Math.random() * rows));
      if (order === 'ordered') ids.sort();
      this.ids.push(ids);
    }
  }

  of(k: number): Uint32Array {
    return this.ids[k % this.ids.length] as Uint32Array;
  }

  into(k: number): Float32Array {
    return this.#into[k % UNDER_WAY] as Float32Array;
  }
}

async function server(dim: number): Promise<void> {
  const own = new ParameterServer({
    parameters: {},
    tables: { rows: { dim } },
    optimizer: sgd({ learningRate: RATE }),
    consistency: asp(),
    port: 0,
    limits: { stagingBytes: 1_073_741_824 },
  });
  await own.listen();
  say({ url: own.url });
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === 'end') break;
    const { rows = 0, bytes = 0 } = own.stats().tables[0] ?? {};
    say({ rows, bytes, rss: process.memoryUsage().rss });
  }
  await own.close();
}

/** Runs `one(k)` for k from 0 to below `count`, a few at a time. */
async function pipelined(count: number, one: (k: number) => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  const open: Promise<unknown>[] = [];
  for (let k = 0; k < count; k++) {
    open.push(one(k));
    if (open.length >= UNDER_WAY) await open.shift();
    // Its answers are read in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(open);
  return performance.now() - begin;
}

async function worker(url: string): Promise<void> {
  const own = new Worker(url, { limits: { maxUnansweredBytes: 536_870_912 } });
  await own.connect();
  const push = (ids: Uint32Array, values: Float32Array): Promise<unknown> =>
    own.push({ rows: { ids, values } } as never);
  let batches: Batches | undefined;
  let key = '';
  const made = (dim: number, rows: number, batch: number, order: string): Batches => {
    const wanted = `${dim} ${rows} ${batch} ${order}`;
    if (batches === undefined || wanted !== key) batches = new Batches(dim, rows, batch, order);
    key = wanted;
    return batches;
  };
  say({ isConnected: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const [command = '', ...words] = line.split(' ');
    const [dim = 0, rows = 0, batch = 0] = words.map(Number);
    if (command === 'end') break;
    if (command === 'fill') {
      const part = 1_000_000;
      for (let from = 0; from < rows; from += part) {
        const ids = Uint32Array.from({ length: Math.min(part, rows - from) }, (_, i) => STRIDE * (from + i));
        await push(ids, new Float32Array(ids.length * dim).fill(1));
      }
      say({});
    } else if (command === 'push' || command === 'pull') {
      const all = made(dim, rows, batch, words[3] ?? '');
      const one =
        command === 'push'
          ? (k: number) => push(all.of(k), all.values)
          : (k: number) => own.pullRows('rows' as never, all.of(k), { into: all.into(k) });
      say({ ms: await pipelined(Number(words[4]), one) });
    } else if (command === 'pulls') {
      const times: number[] = [];
      for (let k = 0; k < Number(words[3]); k++) {
        const ids = Uint32Array.from({ length: batch }, () => STRIDE * Math.floor(Math.random() * rows));
        const begin = performance.now();
        await own.pullRows('rows' as never, ids);
        times.push(performance.now() - begin);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      times.sort((a, b) => a - b);
      const at = (share: number): number => times[Math.ceil(times.length * share) - 1] as number;
      say({ p50: at(0.5), p99: at(0.99), max: at(1) });
    } else if (command === 'forever') {
      say({});
      const all = made(dim, rows, batch, words[3] ?? '');
      void pipelined(Number.MAX_SAFE_INTEGER, (k) => push(all.of(k), all.values)).catch(() => {});
    } else if (command === 'check') {
      const [count = 0, expected = 0] = words.map(Number);
      const { data } = await own.pullRows('rows' as never, [0, STRIDE * (count - 1)]);
      say({ ok: data.every((value) => value === -expected * RATE), first: data[0] });
    }
  }
  await own.close();
}

if (role === 'server') await server(Number(argument));
else await worker(argument);
process.exit(0);
