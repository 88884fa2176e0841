/**
 * Draw a digit, and watch a network learn to read it. This process serves a page and the model's parameters on one
 * port, and starts two worker processes that train, slowly enough to be watched. The page reads along; if you like,
 * its tab trains too.
 *
 *     npm run draw            then open http://127.0.0.1:8090
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { build } from 'esbuild';
import { ParameterServer } from 'pslib';
import { type Digits, loadDigits, splitDigits } from '../digits/data.js';
import { makeDigitsModel } from '../tfjs/model.js';
import { LEARNING_RATE, WORKERS } from './settings.js';

const { values } = parseArgs({ options: { port: { type: 'string', default: '8090' } } });

await tf.setBackend('cpu');
const { training } = makeDigitsModel(LEARNING_RATE);
const beginning = training.snapshot();
const { training: trainingDigits, test } = splitDigits(loadDigits());

const script = await bundled('page.ts');
const page = await readFile(new URL('page.html', import.meta.url));
const files = new Map<string, [type: string, body: string | Uint8Array]>([
  ['/', ['text/html; charset=utf-8', page]],
  ['/page.js', ['text/javascript; charset=utf-8', script]],
  ['/digits/test', ['application/json', jsonOf(test)]],
  ['/digits/training', ['application/json', jsonOf(trainingDigits)]],
]);

const httpServer = createServer((request, response) => {
  if (request.method === 'POST' && request.url === '/again') {
    parameterServer.load(beginning).then(
      () => response.writeHead(204).end(),
      () => response.writeHead(500).end(),
    );
    return;
  }
  const [type, body] = files.get(request.url ?? '') ?? [];
  if (type === undefined) response.writeHead(404).end('not here');
  else response.writeHead(200, { 'content-type': type }).end(body);
});
httpServer.listen(Number(values.port), '127.0.0.1');
await once(httpServer, 'listening');
const { port } = httpServer.address() as AddressInfo;

const { parameters, optimizer } = training;
const parameterServer = new ParameterServer({
  server: httpServer,
  parameters,
  optimizer,
  allowedOrigins: [`http://127.0.0.1:${port}`, `http://localhost:${port}`],
});
await parameterServer.listen();

const workers = Array.from({ length: WORKERS }, (_, rank) => {
  const env = { PSLIB_SERVERS: `ws://127.0.0.1:${port}/pslib`, PSLIB_RANK: `${rank}` };
  return fork(new URL('worker.ts', import.meta.url), { env: { ...process.env, ...env } });
});
console.log(`Open http://127.0.0.1:${port} and draw a digit. Ctrl-C ends it.`);

for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.once(name, async () => {
    for (const worker of workers) worker.kill();
    await parameterServer.close();
    httpServer.close();
    httpServer.closeAllConnections();
  });
}

/** The page's program with all that it imports, tfjs among it, as one script. */
async function bundled(file: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(file, import.meta.url))],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    // As a user's bundler would: `pslib` is the package, not this repository's sources.
    tsconfigRaw: {},
  });
  return outputFiles[0]?.text ?? '';
}

/** Pixels from 0 to 16 and labels, for the page. */
function jsonOf({ images, labels }: Digits): string {
  return JSON.stringify({ pixels: Array.from(images.data, (x) => Math.round(x * 16)), labels: [...labels] });
}
