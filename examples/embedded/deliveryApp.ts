/**
 * An app as it may be today, before pslib: plain node:http routes and a WebSocket endpoint of its
 * own. It tells customers how many minutes a delivery will take; how it knows is the caller's
 * affair, `predict`.
 *
 *     GET  /predict?kilometres=4&items=6     { "minutes": 31.2 }
 *     POST /predict { kilometres, items }    the same
 *     WebSocket /chat                        what one customer writes, all receive
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import type { Order } from './deliveries.js';

/** The minutes that a delivery will take. */
export type Predict = (order: Order) => number;

/** The app's HTTP server, not listening yet. */
export function deliveryApp(predict: Predict): Server {
  const httpServer = createServer((request, response) => {
    answer(request, response, predict).catch((error: unknown) => {
      send(response, 400, { error: error instanceof Error ? error.message : 'bad request' });
    });
  });
  addChat(httpServer);
  return httpServer;
}

async function answer(request: IncomingMessage, response: ServerResponse, predict: Predict): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://app');
  if (pathname !== '/predict') return send(response, 404, { error: 'there is only /predict' });
  const given =
    request.method === 'POST' ? JSON.parse(await bodyOf(request)) : Object.fromEntries(searchParams);
  send(response, 200, { minutes: predict(orderOf(given)) });
}

function orderOf(given: Record<string, unknown>): Order {
  const [kilometres, items] = [Number(given.kilometres), Number(given.items)];
  if (Number.isFinite(kilometres) && Number.isFinite(items)) return { kilometres, items };
  throw new TypeError('kilometres and items must be numbers');
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) {
    body += chunk;
    if (body.length > 1024) throw new RangeError('an order is at most 1024 characters');
  }
  return body;
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

/**
 * The app's own WebSocket endpoint. It takes upgrades of its own path only: other WebSocket
 * servers, such as pslib's, share the HTTP server. (`new WebSocketServer({ server, path })` would
 * refuse all other paths for them.)
 */
function addChat(httpServer: Server): void {
  const chat = new WebSocketServer({ noServer: true });
  httpServer.on('upgrade', (request, socket, head) => {
    if (new URL(request.url ?? '/', 'http://app').pathname !== '/chat') return;
    chat.handleUpgrade(request, socket, head, (customer) => {
      customer.on('message', (text) => {
        for (const each of chat.clients) {
          if (each.readyState === WebSocket.OPEN) each.send(text.toString());
        }
      });
    });
  });
}
