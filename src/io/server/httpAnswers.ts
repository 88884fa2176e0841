/**
 * Plain HTTP requests on a port of the server's own. Two of them are answered, for schedulers that ask whether
 * a process lives and whether it takes connections; they tell nothing else, so they ask for no credentials.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { PsError } from '../../core/base/errors.js';

/** How a server is. */
export interface Health {
  /** Why it can't go on without being started again. */
  readonly failure: PsError | undefined;
  /** It is closing, and takes no new workers. */
  readonly isDraining: boolean;
}

/**
 * `/healthz` is 200 unless the server has failed for good; `/readyz` is 200 while it takes workers; else they
 * are 503. Anything else is told that only WebSockets are served here.
 */
export function answerPlain(request: IncomingMessage, response: ServerResponse, health: Health): void {
  const path = request.url?.split('?', 1)[0];
  const isEndpoint = path === '/healthz' || path === '/readyz';
  if (!isEndpoint || (request.method !== 'GET' && request.method !== 'HEAD')) {
    response.writeHead(426, { Connection: 'close', 'Content-Length': '0', Upgrade: 'websocket' }).end();
    return;
  }
  const { failure, isDraining } = health;
  const trouble = failure?.code ?? (path === '/readyz' && isDraining ? 'draining' : undefined);
  const text = `${trouble ?? 'ok'}\n`;
  response.writeHead(trouble === undefined ? 200 : 503, {
    'Cache-Control': 'no-store',
    'Content-Length': text.length,
    'Content-Type': 'text/plain',
  });
  response.end(request.method === 'HEAD' ? undefined : text);
}
