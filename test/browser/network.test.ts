/** What networks and machines do to a tab: it is offline, its computer sleeps, and many wake at once. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ParameterServer, type ParameterServerOptions, sgd, Worker } from '../../src/index.js';
import { Cable } from './cable.js';
import { Chromium, hasChromium, type Tab } from './chromium.js';
import { type Site, serveSite } from './site.js';

const STEPS = 300;

describe.skipIf(!hasChromium())('a tab', () => {
  let browser: Chromium;
  let site: Site;
  const ends: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    browser = await Chromium.launch();
    site = await serveSite();
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });
  afterAll(async () => {
    await browser?.close();
    site?.close();
  });

  async function serve(options: Partial<ParameterServerOptions> = {}): Promise<ParameterServer> {
    const server = new ParameterServer({
      parameters: { line: { shape: [100] } },
      optimizer: sgd({ learningRate: 1 }),
      port: 0,
      allowedOrigins: [site.origin],
      ...options,
    });
    ends.push(() => server.close());
    await server.listen();
    return server;
  }

  async function open(): Promise<Tab> {
    const tab = await browser.open(`${site.origin}/lines.html`);
    ends.push(() => tab.close());
    return tab;
  }

  /** Resolves when so many updates have been applied. */
  function updated(server: ParameterServer, version: number): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (server.stats().version >= version) resolve();
        else server.once('update', look);
      };
      look();
    });
  }

  /** Resolves when the tab's worker is so far. */
  function reached(server: ParameterServer, clock: number): Promise<void> {
    return new Promise((resolve) => {
      server.on('clock', () => {
        if ((server.workers().find(({ id }) => id === 'tab')?.clock ?? 0) >= clock) resolve();
      });
    });
  }

  /** Resolves when a worker has left, with the reason. */
  function left(server: ParameterServer, worker: string): Promise<string> {
    return new Promise((resolve) => {
      server.on('worker:leave', ({ id, reason }) => id === worker && resolve(reason));
    });
  }

  /** A worker on this machine that trains as long as it takes: it shows that nobody holds it up. */
  function trainHere(server: ParameterServer): void {
    const worker = new Worker(server.url as string, { id: 'here' });
    const end = new AbortController();
    const running = worker.run(() => ({ gradients: { line: new Float32Array(100) } }), {
      steps: 1e9,
      signal: end.signal,
    });
    running.catch(() => {});
    ends.push(async () => {
      end.abort();
      await running.catch(() => {});
      await worker.close();
    });
  }

  // Stopped in the middle of a step, it has said that it computes, and is waited for as long as that.
  const begin = (url: string | undefined) =>
    `globalThis.run = train('${url}', ${STEPS}, { id: 'tab', maxStepMs: 1000, reconnect: { minDelayMs: 50 } }), 0`;

  async function expectExact(server: ParameterServer): Promise<void> {
    const { tensors } = await server.parameters();
    expect(new Set(tensors.line?.data)).toEqual(new Set([STEPS]));
  }

  test('that is taken offline holds nobody up, and goes on when it is back: every push counts once', async () => {
    const server = await serve({ limits: { leaseMs: 1000, pingMs: 300 } });
    const cable = new Cable(server.address()?.port as number);
    ends.push(async () => cable.close());
    trainHere(server);
    const tab = await open();
    await tab.evaluate(begin(await cable.listen()));
    await reached(server, 20);
    const gone = left(server, 'tab');
    // The browser says so to the page, and leaves open WebSockets alone: the cable cuts them.
    await tab.setOffline(true);
    cable.cut();
    expect(await tab.evaluate('navigator.onLine')).toBe(false);
    expect(await gone).toBe('lease');
    await updated(server, server.stats().version + 500);
    cable.mend();
    await tab.setOffline(false);
    expect(await tab.evaluate('run')).toBe(`${STEPS} steps`);
    await expectExact(server);
  });

  test('whose computer sleeps longer than its lease holds nobody up, and comes back', async () => {
    const server = await serve({ limits: { leaseMs: 1000, pingMs: 300 } });
    trainHere(server);
    const tab = await open();
    await tab.evaluate(begin(server.url));
    const gone = left(server, 'tab');
    await new Promise<void>((resolve) => {
      server.on(
        'clock',
        () => (server.workers().find(({ id }) => id === 'tab')?.clock ?? 0) > 20 && resolve(),
      );
    });
    const renderers = await tab.rendererIds();
    for (const id of renderers) process.kill(id, 'SIGSTOP');
    try {
      expect(await gone).toBe('lease');
      await updated(server, server.stats().version + 500);
    } finally {
      for (const id of renderers) process.kill(id, 'SIGCONT');
    }
    expect(await tab.evaluate('run')).toBe(`${STEPS} steps`);
    await expectExact(server);
  });

  test('full of workers that wake at once connects again one by one', async () => {
    const server = await serve();
    const tab = await open();
    const count = 20;
    await tab.evaluate(`(async () => {
      globalThis.delays = [];
      globalThis.workers = Array.from({ length: ${count} }, () => new Worker('${server.url}', { readOnly: true }));
      for (const worker of workers) worker.on('reconnecting', ({ delayMs }) => delays.push(delayMs));
      await Promise.all(workers.map((worker) => worker.connect()));
    })()`);
    await tab.hide();
    await tab.freeze();
    expect(await tab.evaluate('workers.filter(({ connected }) => connected).length')).toBe(0);
    await tab.thaw();
    await tab.show();
    await tab.evaluate('Promise.all(workers.map((worker) => worker.pull()))');
    const delays = await tab.evaluate<number[]>('delays');
    expect(delays).toHaveLength(count);
    // Each drew a part of half a second for itself.
    expect(new Set(delays.map((each) => Math.floor(each / 50))).size).toBeGreaterThan(4);
    expect(Math.max(...delays)).toBeLessThanOrEqual(500);
    await tab.evaluate('Promise.all(workers.map((worker) => worker.close()))');
  });
});
