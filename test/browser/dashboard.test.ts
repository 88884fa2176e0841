import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { ParameterServer, type ParameterServerOptions, ssp, Worker } from 'pslib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { hasChromium } from './chromium.js';

// The dashboard in a real Chromium, from the built package. With PSLIB_IMAGES=1 the pictures of docs/images are
// taken anew; otherwise they go to reports/, to be looked at.

const parameters = { w: { shape: [8] } } as const;
const images = process.env.PSLIB_IMAGES === '1' ? 'docs/images' : 'reports/images';
const ends: (() => Promise<unknown>)[] = [];
let browser: Browser;

describe.skipIf(!hasChromium())('the dashboard', () => {
  beforeAll(async () => {
    await mkdir(images, { recursive: true });
    browser = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      timeout: 80_000,
      args: [
        '--no-sandbox',
        '--disable-dev-shm-usage',
        '--disable-background-networking',
        '--host-resolver-rules=MAP train.example 127.0.0.1',
      ],
    });
  });
  afterAll(() => browser?.close());
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  it('shows the loss, the workers and who holds them up, live; in light and dark, and on a phone', async () => {
    const server = await started({ consistency: ssp({ staleness: 1 }) });
    train(server, 6, (rank) => (rank === 3 ? 40 : 8));
    const page = await opened(server);
    await page.waitForFunction(() =>
      /worker-3 holds the others up/.test(document.querySelector('#verdict')?.textContent ?? ''),
    );
    expect(await page.locator('#status').textContent()).toBe('Live');
    expect(await page.locator('#workers-table tbody tr').count()).toBe(6);
    expect(await page.locator('tr.slowest td').first().textContent()).toBe('worker-3');
    const label = page.locator('.chart.large .plot');
    expect(await label.getAttribute('aria-label')).toMatch(/^loss: [\d.]+ now, [\d.]+ at first/);
    // It goes on: the page is not a picture.
    const clock = () => page.locator('#figures div:nth-child(2) dd span').textContent();
    const before = await clock();
    await page.waitForFunction(
      (was) => document.querySelector('#figures div:nth-child(2) dd span')?.textContent !== was,
      before,
    );
    await page.waitForTimeout(process.env.PSLIB_IMAGES === '1' ? 30_000 : 0);
    await picture(page, 'dashboard-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await picture(page, 'dashboard-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 390, height: 1240 });
    // The charts follow when the browser tells them of their new width.
    await page.waitForFunction(() => document.documentElement.scrollWidth <= 390);
    await picture(page, 'dashboard-phone');
  });

  it('shows the distributions of the last minute, or since the server began', async () => {
    const server = await started();
    train(server, 2, () => 5);
    const page = await opened(server);
    const bars = page.locator('.histogram .bars').first();
    await page.waitForFunction(() =>
      /half ≤ .* updates/.test(document.querySelector('.histogram .bars')?.getAttribute('aria-label') ?? ''),
    );
    expect(await bars.getAttribute('aria-label')).toMatch(
      /^Delay of pushes: half ≤ .*, 99 % ≤ .*, of [\d,]+$/,
    );
    await page.getByText('Since the start').click();
    expect(await page.locator('input[name="window"]:checked').getAttribute('value')).toBe('all');
    expect(await bars.getAttribute('aria-label')).toMatch(/^Delay of pushes: half ≤ /);
  });

  it('says which shard of a group it shows, and what of it is of all', async () => {
    const shards = await Promise.all([0, 1].map((index) => started({ shard: { index, count: 2 } })));
    const page = await opened(shards[1] as ParameterServer);
    await page.waitForFunction(() =>
      /^Shard 2 of 2\./.test(document.querySelector('#shard')?.textContent ?? ''),
    );
    expect(await page.locator('#shard').isVisible()).toBe(true);
    const whole = await opened(await started());
    await whole.locator('#content').waitFor();
    expect(await whole.locator('#shard').isVisible()).toBe(false);
  });

  it('asks for a token, says when it is wrong, and keeps it out of every URL', async () => {
    const server = await started({ auth: { 'token-seer': { role: 'monitor' } } });
    const page = await opened(server);
    const urls: string[] = [];
    page.on('request', (request) => urls.push(request.url()));
    page.on('websocket', (socket) => urls.push(socket.url()));
    await says(page, 'This server asks for a token');
    await connectWith(page, 'token-wrong');
    await says(page, 'This token is not valid');
    await connectWith(page, 'token-seer');
    await page.locator('#content').waitFor();
    expect(await page.locator('#notice').isVisible()).toBe(false);
    expect(await page.evaluate(() => sessionStorage.getItem('pslib.token'))).toBe('token-seer');
    expect(urls.filter((url) => url.includes('token-'))).toEqual([]);
    expect(page.url()).not.toContain('token-');
    expect(await page.locator('#admin-open').isVisible()).toBe(false);
    expect(await page.locator('#admin-closed').isVisible()).toBe(true);
  });

  it('says that a token that belongs to one worker may not watch', async () => {
    const server = await started({ auth: { 'token-ann': { role: 'worker', id: 'ann' } } });
    const page = await opened(server, 'token-ann');
    await says(page, 'This token may not watch');
  });

  it('changes settings and evicts, for an admin who confirms, and says what came of it', async () => {
    const server = await started({
      auth: { 'token-boss': { role: 'admin' }, 'token-hand': { role: 'worker' } },
    });
    train(server, 2, () => 20, 'token-hand');
    const page = await opened(server, 'token-boss');
    await page.locator('#rate').fill('0.25');
    await page.keyboard.press('Enter');
    await page.locator('#confirm-yes').waitFor();
    // Cancel stands first: Enter alone does nothing.
    await page.keyboard.press('Enter');
    expect(server.stats().learningRate).toBe(0.01);
    await page.locator('#rate-form button').click();
    await page.locator('#confirm-yes').click();
    await outcome(page, 'The learning rate is 0.25 now.');
    expect(server.stats().learningRate).toBe(0.25);

    await page.locator('#rate').fill('fast');
    await page.locator('#rate-form button').click();
    await outcome(page, 'A learning rate is a number above 0.');

    await page.locator('#staleness').fill('7');
    await page.locator('#staleness-form button').click();
    await page.locator('#confirm-yes').click();
    await outcome(page, 'The staleness is 7 now.');
    expect(server.consistency).toEqual(ssp({ staleness: 7 }));

    await page.locator('#checkpoint-form button').click();
    await page.locator('#confirm-yes').click();
    await page.waitForFunction(() =>
      /^Not done: .*dataDir.*PS_INVALID_ARGUMENT/.test(document.querySelector('#outcome')?.textContent ?? ''),
    );

    const left = new Promise<string>((resolve) =>
      server.once('worker:leave', ({ id, reason }) => resolve(`${id} ${reason}`)),
    );
    await page.getByRole('button', { name: 'Evict worker-1' }).click();
    await page.locator('#confirm-yes').click();
    await outcome(page, 'worker-1 is evicted.');
    expect(await left).toBe('worker-1 evicted');
    await mkdir('reports/images', { recursive: true });
    await page.screenshot({ path: 'reports/images/dashboard-control.png', fullPage: true });
  });

  it('takes a checkpoint where there is a directory', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'pslib-dashboard-'));
    ends.push(() => rm(dataDir, { recursive: true, force: true }));
    const server = await started({ dataDir, auth: { 'token-boss': { role: 'admin' } } });
    const page = await opened(server, 'token-boss');
    await page.locator('#checkpoint-form button').click();
    await page.locator('#confirm-yes').click();
    await page.waitForFunction(() =>
      /^Checkpoint of version 0: /.test(document.querySelector('#outcome')?.textContent ?? ''),
    );
    await page.waitForFunction(() =>
      /version 0/.test(document.querySelector('#durability')?.textContent ?? ''),
    );
  });

  it('explains that a page reached by a name is not let in', async () => {
    const server = await started();
    const page = await browser.newPage();
    page.setDefaultTimeout(60_000);
    ends.push(() => page.close());
    await page.goto(pageUrl(server).replace('127.0.0.1', 'train.example'));
    await says(page, 'The server takes no connections from this page');
    expect(await page.locator('#notice-text').textContent()).toContain('http://train.example:');
  });

  it('says that the server is gone, and goes on by itself when it is back', async () => {
    const first = await started();
    const port = first.address()?.port as number;
    const page = await opened(first);
    await page.locator('#content').waitFor();
    await first.close();
    await says(page, 'The server does not answer');
    expect(await page.locator('#status').getAttribute('data-state')).toBe('waiting');
    await started({ port });
    await page.locator('#status[data-state="live"]').waitFor();
    expect(await page.locator('#notice').isVisible()).toBe(false);
  });

  it('is used with the keyboard: everything has a name, is reached, and shows its focus', async () => {
    const server = await started({
      auth: { 'token-boss': { role: 'admin' }, 'token-hand': { role: 'worker' } },
    });
    train(server, 3, () => 20, 'token-hand');
    const page = await opened(server, 'token-boss');
    await page.locator('#workers-table tbody tr').nth(2).waitFor();
    const reached: string[] = [];
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const { activeElement: element } = document;
        if (element === null || element === document.body) return undefined;
        const style = getComputedStyle(
          element.matches('input[type="radio"]') ? (element.nextElementSibling as Element) : element,
        );
        const isSkip = element.classList.contains('skip');
        const name =
          element.getAttribute('aria-label') ??
          element.getAttribute('aria-labelledby') ??
          (element as HTMLInputElement).labels?.[0]?.textContent ??
          element.textContent;
        return { name: (name ?? '').trim(), isSeen: isSkip || style.outlineStyle !== 'none' };
      });
      if (at === undefined) break;
      expect(at).toMatchObject({ isSeen: true });
      expect(at.name).not.toBe('');
      reached.push(at.name);
    }
    expect(reached.slice(0, 2)).toEqual(['Skip to the workers', 'Token']);
    for (const name of [
      'Clock',
      'Find a worker by its id',
      'Worker',
      'Evict worker-0',
      'Learning rate',
      'Finish',
    ]) {
      expect(reached.some((each) => each.startsWith(name))).toBe(true);
    }
    const heading = page.getByRole('columnheader', { name: 'Clock' });
    await heading.getByRole('button').focus();
    await page.keyboard.press('Enter');
    expect(await heading.getAttribute('aria-sort')).toBe('descending');
    await page.keyboard.press('Enter');
    expect(await heading.getAttribute('aria-sort')).toBe('ascending');
    await page.locator('#find').fill('worker-2');
    await page.waitForFunction(() => document.querySelectorAll('#workers-table tbody tr').length === 1);
  });

  it('shows 500 workers and stays quick', async () => {
    const server = await started({ limits: { maxConnections: 600 } });
    train(server, 500, (rank) => (rank === 137 ? 6000 : 1500));
    const page = await opened(server);
    await page.waitForFunction(() => document.querySelectorAll('#workers-table tbody tr').length === 500);
    // Rows are kept: what is drawn again each second are texts that have changed.
    await page.evaluate(() => {
      document.querySelector('#workers-table tbody tr')?.setAttribute('data-kept', 'yes');
    });
    await page.waitForFunction(
      () => document.querySelector('#figures div:nth-child(2) dd span')?.textContent !== '0',
    );
    expect(await page.locator('tr[data-kept]').count()).toBe(1);
    await page.locator('#find').fill('worker-499');
    await page.waitForFunction(() => document.querySelectorAll('#workers-table tbody tr').length === 1);
    await page.locator('#find').fill('');
    await page.waitForFunction(() => document.querySelectorAll('#workers-table tbody tr').length === 500);
    await page.waitForTimeout(process.env.PSLIB_IMAGES === '1' ? 25_000 : 0);
    await page.locator('#find').blur();
    await picture(page, 'dashboard-500');
  });
});

/** A server with a dashboard. */
async function started(options: Partial<ParameterServerOptions> = {}): Promise<ParameterServer> {
  const all = { parameters, port: 0, dashboard: true, ...options } as ParameterServerOptions;
  const server = new ParameterServer(all);
  await server.listen();
  ends.push(() => server.close());
  return server;
}

/** Workers that train until the server ends; `stepMs` says how long a step of each takes. */
function train(
  server: ParameterServer,
  count: number,
  stepMs: (rank: number) => number,
  token?: string,
): void {
  const end = new AbortController();
  for (let rank = 0; rank < count; rank++) {
    const worker = new Worker<typeof parameters>(server.url, {
      id: `worker-${rank}`,
      ...(token === undefined ? {} : { token }),
    });
    let step = 0;
    const running = worker
      .run(
        async (_parameters, _batch, { signal }) => {
          step++;
          await pause(stepMs(rank) * (0.7 + 0.6 * Math.random()), signal);
          const loss = 2.2 * Math.exp(-step / 60) + 0.1 + 0.03 * Math.random();
          return {
            gradients: { w: new Float32Array(8).fill(0.01) },
            metrics: { loss, accuracy: 1 - loss / 2.6 },
          };
        },
        { steps: 1e9, signal: end.signal },
      )
      .catch(() => {});
    ends.push(async () => {
      end.abort();
      await running;
      await worker.close();
    });
  }
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener('abort', end);
  });
}

function pageUrl(server: ParameterServer): string {
  return `${server.url.replace('ws:', 'http:')}dashboard/`;
}

/** The server's page. What it throws, and what its policy refuses, fails the test. */
async function opened(server: ParameterServer, token?: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1180, height: 1240 } });
  page.setDefaultTimeout(60_000);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (/Content.Security.Policy/i.test(message.text())) complaints.push(message.text());
  });
  ends.push(async () => {
    await page.close();
    expect(complaints).toEqual([]);
  });
  if (token !== undefined) {
    await page.addInitScript((given) => sessionStorage.setItem('pslib.token', given), token);
  }
  await page.goto(pageUrl(server));
  return page;
}

async function says(page: Page, title: string): Promise<void> {
  await page.waitForFunction(
    (wanted) => document.querySelector('#notice-title')?.textContent === wanted,
    title,
  );
  expect(await page.locator('#notice').isVisible()).toBe(true);
}

async function outcome(page: Page, text: string): Promise<void> {
  await page.waitForFunction((wanted) => document.querySelector('#outcome')?.textContent === wanted, text);
}

async function connectWith(page: Page, token: string): Promise<void> {
  await page.locator('#token').fill(token);
  await page.keyboard.press('Enter');
}

async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `${images}/${name}.png` });
}
