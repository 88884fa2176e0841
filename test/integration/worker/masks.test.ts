/** Frames with real masks, with and without the optional package that masks faster: the same bytes arrive. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const root = new URL('../../../', import.meta.url);

// An address that reaches this machine but does not look like loopback: there a worker masks its frames.
const PROGRAM = `
  import { createRequire } from 'node:module';
  import { ParameterServer } from './src/io/server/parameterServer.ts';
  import { Worker } from './src/io/worker/node/worker.ts';
  const lengths = [1, 7, 100_001];
  const parameters = Object.fromEntries(lengths.map((length) => ['t' + length, { shape: [length] }]));
  const server = new ParameterServer({ parameters, port: 0, optimizer: { name: 'sgd', learningRate: 1 } });
  await server.listen();
  const worker = new Worker(server.url.replace('127.0.0.1', '0.0.0.0'));
  await worker.connect();
  const gradients = Object.fromEntries(
    lengths.map((length) => ['t' + length, Float32Array.from({ length }, (_, i) => -(i % 1021))]),
  );
  await worker.push(gradients);
  const { tensors } = await worker.pull();
  const isRight = lengths.every((length) => tensors['t' + length].data.every((value, i) => value === i % 1021));
  const loaded = Object.keys(createRequire(import.meta.url).cache);
  console.log(JSON.stringify({ isRight, isFast: loaded.some((file) => file.includes('/bufferutil/')) }));
  await worker.close();
  await server.close();
`;

it.each([
  ['with bufferutil', '', true],
  ['without it', '1', false],
])('masked pushes arrive whole, %s', (_name, without, isFast) => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', PROGRAM],
    { cwd: root, encoding: 'utf8', env: { ...process.env, WS_NO_BUFFER_UTIL: without } },
  );
  expect(stderr).toBe('');
  expect(JSON.parse(stdout)).toEqual({ isRight: true, isFast });
});
