/** Tabs and Node processes train one network together, while one tab is closed and another is frozen. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadDigits, partOf, splitDigits } from '../../examples/digits/data.js';
import { accuracy, networkParameters } from '../../examples/digits/network.js';
import { fallingRate, LEARNING_RATE } from '../../examples/digits/settings.js';
import { adam, ParameterServer, sgd, ssp } from '../../src/index.js';
import { Chromium, hasChromium, type Tab } from './chromium.js';
import { type Pages, type Site, serveSite } from './site.js';

const TABS = 3;
const WORKERS = 5;
const STEPS = 300;
const root = join(import.meta.dirname, '../..');
const { training, test: judges } = splitDigits(loadDigits());
const parameters = {
  ...networkParameters,
  cells: { shape: [TABS], optimizer: sgd({ learningRate: 1 }) },
} as const;

/** The part of each tab, as it asks for it. */
const digits: Pages = Object.fromEntries(
  Array.from({ length: TABS }, (_, rank) => {
    const { images, labels } = partOf(training, rank, WORKERS);
    const body = JSON.stringify({ pixels: Array.from(images.data, (x) => x * 16), labels: [...labels] });
    return [`/digits/${rank}`, () => ({ type: 'application/json', body })];
  }),
);

function startNodeWorker(rank: number, url: string): ChildProcess {
  const env = {
    ...process.env,
    TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'),
    PSLIB_SERVERS: url,
    PSLIB_RANK: `${rank}`,
    PSLIB_WORLD_SIZE: `${WORKERS}`,
    DIGITS_STEPS: `${STEPS}`,
    DIGITS_SEED: '1',
    DIGITS_VALIDATION: 'false',
  };
  return fork(join(root, 'examples/digits/worker.ts'), { env, execArgv: ['--import', 'tsx'] });
}

describe.skipIf(!hasChromium())('three tabs and two Node processes', () => {
  let browser: Chromium;
  let site: Site;
  beforeAll(async () => {
    browser = await Chromium.launch();
    site = await serveSite(digits);
  });
  afterAll(async () => {
    await browser?.close();
    site?.close();
  });

  test('train the digits; one tab is closed, one frozen for a while; every push counts once', async () => {
    const server = new ParameterServer({
      parameters,
      optimizer: adam({ learningRate: fallingRate(LEARNING_RATE, STEPS * WORKERS) }),
      consistency: ssp({ staleness: 3 }),
      minWorkers: WORKERS,
      seed: 1,
      port: 0,
      allowedOrigins: [site.origin],
      // So long that only a tab that says that it leaves lets the others go on.
      limits: { leaseMs: 600_000, disconnectGraceMs: 600_000 },
    });
    await server.listen();
    const reached = (clock: number) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (server.workers().some((each) => each.lead !== undefined && each.clock >= clock)) resolve();
          else server.once('clock', look);
        };
        look();
      });
    const processes = [3, 4].map((rank) => startNodeWorker(rank, server.url as string));
    const exits = processes.map((each) => once(each, 'exit'));
    try {
      const open = (rank: number): Promise<Tab> =>
        browser.open(`${site.origin}/train.html?rank=${rank}&steps=${STEPS}&url=${server.url}`);
      const tabs = await Promise.all([open(0), open(1), open(2)]);
      const [closing, freezing] = tabs as [Tab, Tab, Tab];

      await reached(20);
      const left = new Promise<string>((resolve) => {
        server.on('worker:leave', ({ id, reason }) => id === 'tab-0' && resolve(reason));
      });
      await closing.close();
      expect(await left).toBe('goodbye');

      await freezing.hide();
      await freezing.freeze();
      expect(await freezing.evaluate('training.connected')).toBe(false);
      const { clock: frozenAt = 0 } = server.workers().find(({ id }) => id === 'tab-1') ?? {};
      expect(frozenAt).toBeLessThan(STEPS / 2);
      // Far beyond the staleness bound: nobody waits for it.
      await reached(frozenAt + 50);
      expect(await freezing.evaluate('training.steps')).toBeLessThan(frozenAt + 5);
      await freezing.thaw();
      await freezing.show();

      expect((await Promise.all(exits)).map(([code]) => code)).toEqual([0, 0]);
      for (const tab of tabs.slice(1)) {
        await tab.evaluate('trainingEnded');
        expect(await tab.evaluate('training'), tab.said.join('\n')).toMatchObject({
          done: true,
          steps: STEPS,
        });
      }
    } finally {
      for (const each of processes) each.kill();
    }
    const { version, tensors } = await server.parameters();
    const cells = [...tensors.cells.data];
    expect(cells.slice(1)).toEqual([STEPS, STEPS]);
    expect(cells[0]).toBeLessThan(STEPS);
    // Each update is one push of one worker.
    expect(version).toBe(cells.reduce((sum, each) => sum + each, 0) + 2 * STEPS);
    expect(accuracy(tensors, judges)).toBeGreaterThan(0.9);
    await server.close();
  });
});
