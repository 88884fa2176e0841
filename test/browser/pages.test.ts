/** Pages of every kind: with and without a bundler, in a Web Worker, without WebAssembly, from elsewhere, hidden. */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { asp, ParameterServer, type ParameterServerOptions, sgd } from '../../src/index.js';
import { Chromium, hasChromium } from './chromium.js';
import { type Site, serveSite } from './site.js';

const LENGTH = 2500;
/** A page without a bundler: it loads the file that the package has for such. */
const PLAIN = `<!doctype html><script type="module">
  import { PsError, Worker } from './pslib-worker.min.js';
  Object.assign(globalThis, { PsError, Worker });
</script>`;

describe.skipIf(!hasChromium())('in Chromium', () => {
  let browser: Chromium;
  let site: Site;
  const ends: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    browser = await Chromium.launch();
    site = await serveSite({
      '/plain.html': () => ({ type: 'text/html', body: PLAIN }),
      '/group.html': () => ({ type: 'text/html', body: PLAIN.replace('worker.min', 'worker-group.min') }),
    });
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  afterAll(async () => {
    await browser?.close();
    site?.close();
  });

  async function serve(
    options: Partial<ParameterServerOptions> = {},
    length = LENGTH,
  ): Promise<ParameterServer> {
    const server = new ParameterServer({
      parameters: { line: { shape: [length] } },
      optimizer: sgd({ learningRate: 1 }),
      port: 0,
      allowedOrigins: [site.origin],
      ...options,
    });
    ends.push(() => server.close());
    await server.listen();
    return server;
  }

  async function open(path: string) {
    const tab = await browser.open(`${site.origin}${path}`);
    ends.push(() => tab.close());
    return tab;
  }

  async function lineOf(server: ParameterServer): Promise<Set<number>> {
    return new Set((await server.parameters()).tensors.line?.data);
  }

  test('a page made by a bundler trains, its pushes in several chunks', async () => {
    const server = await serve({ limits: { chunkBytes: 1024 } });
    const tab = await open('/lines.html');
    expect(await tab.evaluate(`train('${server.url}', 20)`)).toBe('20 steps');
    expect(await lineOf(server)).toEqual(new Set([20]));
  });

  test('a page without a bundler loads one file, and pulls', async () => {
    const server = await serve();
    const tab = await open('/plain.html');
    const pull = `(async () => {
      const worker = new Worker('${server.url}', { readOnly: true });
      const { tensors } = await worker.pull();
      await worker.close();
      return tensors.line.data.length;
    })()`;
    expect(await tab.evaluate(pull)).toBe(LENGTH);
    expect(tab.said).toEqual([]);
  });

  test('the one file has all of a worker of one server; of a group it names the other file, which has it', async () => {
    const server = await serve({ tables: { rows: { dim: 2, optimizer: sgd({ learningRate: 1 }) } } });
    const shards = [0, 1].map((index) => serve({ shard: { index, count: 2 } }));
    const urls = (await Promise.all(shards)).map(({ url }) => url);
    server.tasks.dataset({ size: 20, shardSize: 5 });
    const results = server.tasks.map([3, 4]);
    const tab = await open('/plain.html');
    const program = `(async () => {
      const step = ({ line }) => ({ gradients: { line: new Float32Array(line.data.length).fill(-1) }, examples: 5 });
      const worker = new Worker('${server.url}', { id: 'plain' });
      const events = [];
      worker.on('step', ({ step }) => events.push(step));
      const trained = await worker.run(step, { dataShards: (shard) => [shard.indices] });
      await worker.push({ rows: { ids: [7], values: Float32Array.of(1, 2) } });
      const rows = await worker.pullRows('rows', [7]);
      const code = await worker.push({ line: new Float32Array(1) }).catch((error) => error instanceof PsError && error.code);
      const tasks = await worker.tasks(async (input) => ({ square: Float32Array.of(input * input) }));
      await worker.close();
      let group;
      try { new Worker(${JSON.stringify(urls)}); } catch (error) { group = error.message; }
      return { steps: trained.steps, events, rows: [...rows.data], code, tasks: tasks.done, group };
    })()`;
    const running = tab.evaluate(program);
    const squares: number[] = [];
    for await (const { result } of results) squares.push((result as { square: Float32Array }).square[0] ?? 0);
    server.finish('all is done');
    expect(await running).toEqual({
      steps: 4,
      events: [0, 1, 2, 3],
      rows: [-1, -2],
      code: 'PS_WRONG_LENGTH',
      tasks: 2,
      group: expect.stringContaining('pslib-worker-group.min.js'),
    });
    expect(squares.sort()).toEqual([16, 9]);
    expect(tab.said).toEqual([]);
    const other = await open('/group.html');
    const joint = `(async () => {
      const member = new Worker(${JSON.stringify(urls)});
      const step = ({ line }) => ({ gradients: { line: new Float32Array(line.data.length).fill(-1) } });
      const { steps } = await member.run(step, { steps: 3 });
      await member.close();
      return steps;
    })()`;
    expect(await other.evaluate(joint)).toBe(3);
  });

  test('a Web Worker trains', async () => {
    const server = await serve();
    const tab = await open('/lines.html');
    const run = `new Promise((resolve) => {
      const thread = new Thread('/thread.js', { type: 'module' });
      thread.onmessage = ({ data }) => resolve(data);
      thread.postMessage({ url: '${server.url}', steps: 20 });
    })`;
    expect(await tab.evaluate(run)).toBe('20 steps');
    expect(await lineOf(server)).toEqual(new Set([20]));
  });

  test('a browser without WebAssembly, and so without SIMD, trains', async () => {
    const server = await serve();
    const tab = await open('/lines.html');
    expect(await tab.evaluate(`delete globalThis.WebAssembly, train('${server.url}', 20)`)).toBe('20 steps');
    expect(await lineOf(server)).toEqual(new Set([20]));
  });

  test('a page from elsewhere is refused, and is told what may be the reason', async () => {
    const server = await serve({ allowedOrigins: ['https://example.org'] });
    const tab = await open('/lines.html');
    const said = await tab.evaluate(`train('${server.url}', 20, { connectTimeoutMs: 1500 })`);
    expect(said).toMatch(/^PS_CONNECT_TIMEOUT: no connection within 1500 ms: /);
    expect(said).toContain(`its allowedOrigins does not list ${site.origin}`);
    expect(server.stats().version).toBe(0);
  });

  test('a page with a token trains; with a wrong one, or none, it is told so', async () => {
    const server = await serve({ auth: { 'the-right-one': { role: 'worker' } } });
    const tab = await open('/lines.html');
    const trainWith = (token: string) => tab.evaluate(`train('${server.url}', 20, { token: ${token} })`);
    expect(await trainWith("'the-right-one'")).toBe('20 steps');
    expect(await trainWith("'another'")).toMatch(/^PS_UNAUTHORIZED: /);
    expect(await trainWith('undefined')).toMatch(/^PS_UNAUTHORIZED: /);
    expect(await lineOf(server)).toEqual(new Set([20]));
  });

  test('a model of 100 MB is pulled again and again within bounded memory', async () => {
    const MB = 1e6;
    const server = await serve({ consistency: asp() }, 25 * MB);
    const tab = await open('/lines.html');
    await tab.evaluate(`globalThis.into = { line: new Float32Array(${25 * MB}).fill(1) }, 0`);
    const before = new Map((await tab.rendererIds()).map((id) => [id, residentBytes(id, 'VmRSS')]));
    const pulls = `(async () => {
      const worker = new Worker('${server.url}', { readOnly: true });
      for (let i = 0; i < 30; i++) await worker.pull(['line'], { into });
      await worker.close();
      return into.line[${25 * MB - 1}];
    })()`;
    expect(await tab.evaluate(pulls)).toBe(0);
    // Three thousand megabytes came. What they came in is the browser's garbage for a while.
    const grown = [...before].map(([id, bytes]) => residentBytes(id, 'VmHWM') - bytes);
    expect(Math.max(...grown)).toBeLessThan(300 * MB);
  });

  test('a hidden page takes no steps, and goes on when it is seen', async () => {
    const server = await serve();
    const tab = await open('/lines.html');
    await tab.evaluate(`globalThis.run = train('${server.url}', 1000), 0`);
    const updated = (version: number) =>
      new Promise<void>((resolve) => {
        server.on('update', (event) => event.version >= version && resolve());
      });
    await updated(10);
    await tab.hide();
    const out = new Promise<void>((resolve) => {
      const look = () => (server.workers()[0]?.lead === undefined ? resolve() : setImmediate(look));
      look();
    });
    await out;
    const { version } = server.stats();
    // A reader in the same page pulls a hundred times meanwhile: long enough for many steps. The one that was under
    // way is finished, and no other is begun.
    const pulls = `(async () => {
      const reader = new Worker('${server.url}', { readOnly: true });
      for (let i = 0; i < 100; i++) await reader.pull();
      await reader.close();
    })()`;
    await tab.evaluate(pulls);
    expect(server.stats().version).toBeLessThanOrEqual(version + 2);
    await tab.show();
    expect(await tab.evaluate('run')).toBe('1000 steps');
    expect(await lineOf(server)).toEqual(new Set([1000]));
  });

  test("a hidden page with whenHidden: 'stay' goes on", async () => {
    const server = await serve();
    const tab = await open('/lines.html');
    await tab.hide();
    expect(await tab.evaluate(`train('${server.url}', 20, { whenHidden: 'stay' })`)).toBe('20 steps');
  });
});

/** Memory of a process as Linux counts it: resident now, or at most so far. */
function residentBytes(pid: number, key: 'VmRSS' | 'VmHWM'): number {
  const [, kilobytes] =
    new RegExp(`${key}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}
