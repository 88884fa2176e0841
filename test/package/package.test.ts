import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EmptyProject, freePort, installIntoEmptyProject, root, STRICT } from './emptyProject.js';

// What a user gets: the packed tarball in an empty project, its types under the strictest options,
// the quickstart, and every way to load it.

let project: EmptyProject;

beforeAll(async () => {
  project = await installIntoEmptyProject();
});

afterAll(() => project?.remove());

/** The names a module exports, as the given script prints them. */
async function namesFrom(...args: string[]): Promise<string[]> {
  const { code, stdout, output } = await project.node(...args);
  expect(code, output).toBe(0);
  return JSON.parse(stdout) as string[];
}

const printNames = (specifier: string): string =>
  `import * as names from '${specifier}'; console.log(JSON.stringify(Object.keys(names).sort()));`;

test('the tarball holds the library, its sources, licence and readme, and nothing else', () => {
  const others = project.packedFiles.filter((path) => !/^(dist|src)\/.*\.(js|ts|map)$/.test(path));
  const page = ['dashboard.css', 'icon.svg', 'index.html'];
  expect(others).toEqual([
    ...['LICENSE', 'README.md'],
    ...page.map((name) => `dist/ops/dashboard/files/${name}`),
    'package.json',
    ...page.map((name) => `src/ops/dashboard/static/${name}`),
  ]);
  const sources = project.packedFiles.filter((path) => /^src\/.*\.ts$/.test(path));
  for (const source of sources) {
    // The dashboard's own program is one file.
    const made = source.startsWith('src/ops/dashboard/page/')
      ? 'dist/ops/dashboard/files/dashboard.js'
      : source.replace('src/', 'dist/').replace(/\.ts$/, '.js');
    expect(project.packedFiles).toContain(made);
  }
});

describe('examples/quickstart', () => {
  test('type-checks under strict options, compiles, and runs to its end', async () => {
    const text = readFileSync(join(root, 'examples/quickstart/main.ts'), 'utf8');
    // The program names port 8080, which may be taken here.
    const port = String(await freePort());
    expect(text).toContain('8080');
    project.write('src/main.ts', text.replaceAll('8080', port));
    const compiled = await project.tsc(STRICT, ['src/main.ts']);
    expect(compiled.output).toBe('');
    expect(compiled.code).toBe(0);
    const ran = await project.node('out/main.js');
    expect(ran.code, ran.output).toBe(0);
    expect(ran.stdout).toMatch(/^500 steps: loss \d\.\d\d to 0\.\d\d\n$/);
  });
});

test('deploy/Containerfile builds from the tarball, and starts the command', async () => {
  const lines = readFileSync(join(root, 'deploy/Containerfile'), 'utf8').split('\n');
  const said = (word: string): string => lines.find((line) => line.startsWith(`${word} `)) ?? '';
  expect(said('FROM')).toMatch(/\/node:(2[2-9]|[3-9]\d)-slim$/);
  expect(said('COPY')).toBe('COPY pslib-*.tgz /tmp/');
  // What its RUN does was done in the empty project.
  expect(said('RUN')).toMatch(/^RUN npm install --omit=dev .*\/tmp\/pslib-\*\.tgz/);
  const [program, file = ''] = JSON.parse(said('ENTRYPOINT').slice('ENTRYPOINT '.length)) as string[];
  expect(program).toBe('node');
  const { code, stdout, output } = await project.node(file.replace('/opt/pslib/', ''), '--version');
  expect(code, output).toBe(0);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

describe('loading', () => {
  test("require('pslib') gives the same names as import", async () => {
    project.write('import.mjs', printNames('pslib'));
    project.write(
      'require.cjs',
      "console.log(JSON.stringify(Object.keys(require('pslib')).filter((name) => name !== '__esModule').sort()));",
    );
    const imported = await namesFrom('import.mjs');
    expect(imported).toEqual(expect.arrayContaining(['ParameterServer', 'Worker', 'PsError', 'adam', 'ssp']));
    expect(await namesFrom('--no-warnings', 'require.cjs')).toEqual(imported);
  });

  test('a browser gets a Worker and no server', async () => {
    project.write('browser.mjs', printNames('pslib'));
    const inBrowser = await namesFrom('--conditions=browser', 'browser.mjs');
    expect(inBrowser).toContain('Worker');
    expect(inBrowser).not.toContain('ParameterServer');
  });

  test('pslib/worker connects in a Node that has no WebSocket of its own', async () => {
    // Node 20 has none; later ones are made to have none.
    const program = `import { ParameterServer } from 'pslib';
      import { Worker } from 'pslib/worker';
      delete globalThis.WebSocket;
      const parameters = { seven: { shape: [1], data: Float32Array.of(7) } };
      const server = new ParameterServer({ parameters, port: 0 });
      await server.listen();
      const worker = new Worker(server.url);
      const { tensors } = await worker.pull();
      console.log(tensors.seven.data[0]);
      await worker.close();
      await server.close();`;
    project.write('connect.mjs', program);
    const { code, output } = await project.node('connect.mjs');
    expect(output).toBe('7\n');
    expect(code).toBe(0);
  });

  test('pslib/worker has the same names in Node and in a browser', async () => {
    project.write('worker.mjs', printNames('pslib/worker'));
    const names = await namesFrom('worker.mjs');
    expect(names).toEqual(['PsError', 'Worker']);
    expect(await namesFrom('--conditions=browser', 'worker.mjs')).toEqual(names);
  });

  test('pslib/testing simulates in Node and with what a browser loads', async () => {
    const program = `import { simulate } from 'pslib/testing';
      const { steps, isComplete } = simulate({ workers: [{ count: 3, computeMs: 10 }], clocks: 5 });
      console.log(steps, isComplete);`;
    project.write('simulate.mjs', program);
    for (const args of [[], ['--conditions=browser']]) {
      const { code, output } = await project.node(...args, 'simulate.mjs');
      expect(output).toBe('15 true\n');
      expect(code).toBe(0);
    }
  });

  test('inner files cannot be imported', async () => {
    project.write('inner.mjs', printNames('pslib/dist/index.js'));
    const { code, output } = await project.node('inner.mjs');
    expect(code).not.toBe(0);
    expect(output).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });
});

describe('types', () => {
  const useAll =
    "import * as pslib from 'pslib';\nimport * as worker from 'pslib/worker';\nimport * as testing from 'pslib/testing';\nexport { pslib, worker, testing };\n";

  test('of a Node project with @types/node pass without skipLibCheck', async () => {
    project.write('src/all.ts', useAll);
    expect((await project.tsc(STRICT, ['src/all.ts'])).output).toBe('');
  });

  test('of a browser project need lib DOM and no @types/node', async () => {
    project.write('src/all.ts', useAll);
    const browser = {
      ...STRICT,
      lib: ['ES2022', 'ESNext.Disposable', 'DOM'],
      module: 'esnext',
      moduleResolution: 'bundler',
      customConditions: ['browser'],
      types: [],
    };
    expect((await project.tsc(browser, ['src/all.ts'])).output).toBe('');
  });
});
