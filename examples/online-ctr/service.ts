/**
 * One process of the prediction service. It answers from its own copy of the model, which a reader keeps fresh, so a
 * prediction waits for nobody, and goes on without the parameter server. What it is told about clicks it learns from,
 * with a worker beside it.
 *
 *     POST /predict   { features: string[] }     → { p, frozen, receipt }
 *     POST /feedback  [{ receipt, clicked }, …]  → 204
 *
 * `frozen` is what a model says that learned for a while, and then no more.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { LocalCopy, Worker } from 'pslib';
import { FrozenModel } from './frozenModel.js';
import { Learner } from './learner.js';
import { idOf, type Model, predict, reconnect } from './model.js';

const url = process.env.CTR_SERVER_URL as string;
const secret = process.env.CTR_SECRET as string;

const reader = new Worker<Model>(url, { readOnly: true, reconnect });
const copy = new LocalCopy(reader, { tables: ['weights', 'factors'], withinMs: 100 });
await copy.ready;
const learner = new Learner(url);
let frozen: FrozenModel | undefined;

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    response.writeHead(400).end(String(error));
  });
});
// Connections are kept as long as their owners want.
server.keepAliveTimeout = 0;
server.listen(Number(process.env.CTR_PORT), '127.0.0.1');

process.on('message', (question: unknown) => {
  if (question === 'freeze') frozen = new FrozenModel(copy);
  if (question === 'state') process.send?.({ kind: 'state', ageMs: copy.ageMs, ...learner.counts });
});
process.on('disconnect', () => process.exit());

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'POST') {
    response.writeHead(405).end();
  } else if (request.url === '/predict') {
    const { features } = (await json(request)) as { features: string[] };
    response.end(JSON.stringify(predictionFor(features)));
  } else if (request.url === '/feedback') {
    for (const { receipt, clicked } of (await json(request)) as { receipt: string; clicked: boolean }[]) {
      learner.learn({ ids: idsOfReceipt(receipt), clicked });
    }
    response.writeHead(204).end();
  } else {
    response.writeHead(404).end();
  }
}

function predictionFor(features: readonly string[]): object {
  const ids = features.map(idOf);
  const bias = copy.tensors.bias?.data[0] ?? 0;
  const p = predict(bias, copy.rows('weights'), copy.rows('factors'), ids);
  return { p, frozen: frozen?.predict(ids) ?? p, receipt: receiptFor(ids) };
}

/**
 * What a client shows with its feedback: only what was really predicted here can be taught, whichever process hears of
 * it. (A service would add a time and a number, and take each once.)
 */
function receiptFor(ids: readonly number[]): string {
  const said = ids.join(' ');
  return `${said} ${signatureOf(said).toString('base64url')}`;
}

function idsOfReceipt(receipt: string): number[] {
  const end = receipt.lastIndexOf(' ');
  const said = receipt.slice(0, end);
  const signature = Buffer.from(receipt.slice(end + 1), 'base64url');
  const expected = signatureOf(said);
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
    throw new Error('this receipt is not ours');
  }
  return said.split(' ').map(Number);
}

function signatureOf(said: string): Buffer {
  return createHmac('sha256', secret).update(said).digest().subarray(0, 12);
}
