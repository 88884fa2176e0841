import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ParameterServer, sgd } from '../../src/index.js';
import { Chromium, hasChromium } from '../browser/chromium.js';
import { serveSite } from '../browser/site.js';
import { type EmptyProject, installIntoEmptyProject, root, STRICT } from './emptyProject.js';

// What the author of a page gets: the packed tarball in a project that Vite builds, and the one file for
// pages without a bundler, both in a browser; TensorFlow.js beside it.

const PAGE = '<!doctype html><script type="module" src="/main.js"></script>';
const MAIN = `import { Worker } from 'pslib/worker';
globalThis.train = async (url) => {
  const worker = new Worker(url);
  const { steps } = await worker.run(() => ({ gradients: { line: Float32Array.of(-1, -1) } }), { steps: 20 });
  await worker.close();
  return steps;
};`;

let project: EmptyProject;

beforeAll(async () => {
  project = await installIntoEmptyProject();
});

afterAll(() => project?.remove());

async function trainIn(files: Readonly<Record<string, string>>): Promise<void> {
  const pages = Object.entries(files).map(([path, body]) => {
    const type = path.endsWith('.js') ? 'text/javascript' : 'text/html';
    return [path, () => ({ type, body })] as const;
  });
  const site = await serveSite(Object.fromEntries(pages));
  const browser = await Chromium.launch();
  const server = new ParameterServer({
    parameters: { line: { shape: [2] } },
    optimizer: sgd({ learningRate: 1 }),
    port: 0,
    allowedOrigins: [site.origin],
  });
  try {
    await server.listen();
    const tab = await browser.open(`${site.origin}/index.html`);
    expect(await tab.evaluate(`train('${server.url}')`), tab.said.join('\n')).toBe(20);
    expect([...((await server.parameters()).tensors.line?.data ?? [])]).toEqual([20, 20]);
  } finally {
    await server.close();
    await browser.close();
    site.close();
  }
}

describe('a page', () => {
  test('that Vite builds needs no setting, has nothing of Node in it, and trains', async () => {
    project.write('index.html', PAGE);
    project.write('main.js', MAIN);
    const built = await project.node(
      join(root, 'node_modules/vite/bin/vite.js'),
      'build',
      '--outDir',
      'site',
    );
    expect(built.code, built.output).toBe(0);
    expect(built.output).not.toMatch(/externalized|warn/i);
    const scripts = readdirSync(join(project.folder, 'site/assets'));
    expect(scripts).toHaveLength(1);
    const script = readFileSync(join(project.folder, 'site/assets', scripts[0] ?? ''), 'utf8');
    expect(script).not.toMatch(/["']node:|\brequire\(/);
    if (!hasChromium()) return;
    const html = readFileSync(join(project.folder, 'site/index.html'), 'utf8');
    await trainIn({ '/index.html': html, [`/assets/${scripts[0]}`]: script });
  });

  test.skipIf(!hasChromium())(
    'without a bundler loads the one file that pslib/worker.min.js names',
    async () => {
      project.write('where.mjs', "console.log(import.meta.resolve('pslib/worker.min.js'));");
      const file = new URL((await project.node('where.mjs')).stdout.trim());
      await trainIn({
        '/index.html': PAGE,
        '/main.js': MAIN.replace('pslib/worker', './pslib.js'),
        '/pslib.js': readFileSync(file, 'utf8'),
      });
    },
  );
});

describe('pslib/tfjs', () => {
  test('has types for a strict project, and uses the TensorFlow.js of that project', async () => {
    project.link('@tensorflow/tfjs');
    project.write(
      'src/model.ts',
      `import * as tf from '@tensorflow/tfjs';
      import { fromLayersModel } from 'pslib/tfjs';
      import { ParameterServer, Worker } from 'pslib';
      const makeModel = () => tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] });
      const { parameters, optimizer } = fromLayersModel(makeModel(), { loss: 'meanSquaredError', optimizer: tf.train.sgd(0.1) });
      const server = new ParameterServer({ parameters, optimizer, port: 0 });
      await server.listen();
      const model = makeModel();
      const { gradientFn, load } = fromLayersModel(model, { loss: 'meanSquaredError' });
      const worker = new Worker(server.url ?? '');
      const batch = { xs: Float32Array.of(0, 1, 2), ys: Float32Array.of(1, 3, 5) };
      await worker.run(gradientFn, { data: () => batch, steps: 300 });
      load(await server.parameters());
      console.log((model.predict(tf.ones([1, 1])) as tf.Tensor).dataSync()[0]?.toFixed(1));
      await worker.close();
      await server.close();`,
    );
    const compiled = await project.tsc({ ...STRICT, lib: ['ES2023', 'DOM'], skipLibCheck: true }, [
      'src/model.ts',
    ]);
    expect(compiled.output).toBe('');
    const ran = await project.node('out/model.js');
    expect(ran.code, ran.output).toBe(0);
    expect(ran.stdout).toBe('3.0\n');
  });
});
