/** examples/draw as its visitor meets it: the network learns while one looks, reads a drawing, and the tab can train. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chromium, hasChromium, type Tab } from './chromium.js';

const root = join(import.meta.dirname, '../..');
/** A seven, in the drawing's coordinates. */
const SEVEN = [
  [70, 60],
  [210, 60],
  [190, 100],
  [160, 160],
  [135, 230],
];

/** Draws a stroke, as a pointer would. */
const STROKE = `((points) => {
  const canvas = document.getElementById('drawing');
  canvas.setPointerCapture = () => {};
  const { left, top, width } = canvas.getBoundingClientRect();
  const point = (name, [x, y]) =>
    canvas.dispatchEvent(new PointerEvent(name, { clientX: left + (x * width) / 280, clientY: top + (y * width) / 280 }));
  point('pointerdown', points[0]);
  for (const each of points) point('pointermove', each);
  point('pointerup', points.at(-1));
})`;

/** Resolves when an expression holds in the page, which is asked again after each change of it. */
const until = (condition: string) => `new Promise((resolve) => {
  const look = () => (${condition}) && (observer.disconnect(), resolve());
  const observer = new MutationObserver(look);
  observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  look();
})`;
const numberIn = (id: string) =>
  `Number.parseFloat(document.getElementById('${id}').textContent.replace(',', ''))`;

describe.skipIf(!hasChromium())('examples/draw', () => {
  let app: ChildProcess;
  let browser: Chromium;
  let tab: Tab;

  beforeAll(async () => {
    // The page is bundled from the package as it is built.
    if (!existsSync(join(root, 'dist/workerEntry.js'))) execFileSync('npm', ['run', 'build'], { cwd: root });
    const flags = ['--import', 'tsx', 'examples/draw/main.ts', '--port', '0'];
    const env = { ...process.env, TSX_TSCONFIG_PATH: join(root, 'tsconfig.build.json') };
    const child = spawn(process.execPath, flags, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    app = child;
    browser = await Chromium.launch();
    for await (const line of createInterface(child.stdout)) {
      const [, url] = /^Open (\S+) /.exec(line) ?? [];
      if (url === undefined) continue;
      tab = await browser.open(url);
      return;
    }
    throw new Error('it ended before it began');
  });
  afterAll(async () => {
    const ended = once(app, 'exit');
    app?.kill();
    await ended;
    await browser?.close();
  });

  test('learns while one looks, reads a drawing, trains in the tab, and forgets when told to', async () => {
    await tab.evaluate(until(`${numberIn('accuracy')} > 80`));
    await tab.evaluate(`${STROKE}(${JSON.stringify(SEVEN)})`);
    expect(await tab.evaluate(`document.getElementById('digit').textContent`)).toMatch(/^[0-9]$/);
    const shares = `[...document.querySelectorAll('.bar span:last-child')].map((each) => Number.parseFloat(each.textContent))`;
    const sum = (await tab.evaluate<number[]>(shares)).reduce((total, each) => total + each, 0);
    expect(Math.abs(sum - 100)).toBeLessThan(6);

    await tab.evaluate(`document.getElementById('train').click()`);
    await tab.evaluate(until(`${numberIn('steps')} >= 10`));
    await tab.evaluate(`document.getElementById('train').click()`);
    await mkdir(join(root, 'reports'), { recursive: true });
    await writeFile(join(root, 'reports/draw.png'), await tab.photograph(920, 830));

    await tab.evaluate(`document.getElementById('example').click()`);
    expect(await tab.evaluate(`document.getElementById('digit').textContent`)).toMatch(/^[0-9]$/);
    await tab.evaluate(`document.getElementById('again').click()`);
    await tab.evaluate(until(`${numberIn('accuracy')} < 60`));
    expect(tab.said).toEqual([]);
  });
});
