/**
 * The HTTP routes of a watched server, below its path: `metrics`, and with a dashboard its page. The page holds
 * nothing of the server's: what it shows comes over the WebSocket, to those who may monitor.
 */
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PsError } from '../core/base/errors.js';
import type { PrometheusWriter } from './metrics/prometheus.js';

/** What the routes work with. */
export interface WatchRoutesParts {
  /** The path of the server's WebSocket. */
  readonly path: string;
  readonly hasDashboard: boolean;
  readonly metrics: PrometheusWriter;
  /** Who may come in. */
  readonly gate: {
    mayMonitor(request: IncomingMessage): Promise<boolean>;
    allowsOrigin(origin: string, request: IncomingMessage): boolean;
  };
}

/** The page's files, as `scripts/buildDashboard.mjs` leaves them. */
const FILES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'dashboard.js': 'text/javascript; charset=utf-8',
  'dashboard.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
};
const FOLDER = new URL('./dashboard/files/', import.meta.url);

/** Nothing but our own files runs, and nothing is loaded from elsewhere; WebSockets go to where the page came from. */
const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-cache',
};

/** Answers requests for what watches a server. */
export class WatchRoutes {
  readonly #parts: WatchRoutesParts;
  readonly #base: string;

  constructor(parts: WatchRoutesParts) {
    this.#parts = parts;
    this.#base = parts.path.endsWith('/') ? parts.path : `${parts.path}/`;
  }

  /** Answers `request` if it is for one of the routes; returns whether it was. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const path = (request.url ?? '/').replace(/\?.*$/s, '');
    const route = routeOf(path, this.#base, this.#parts.path);
    if (route === undefined) return false;
    if (route !== 'metrics' && !this.#parts.hasDashboard) return false;
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(response, 405, 'only GET is answered here', { Allow: 'GET, HEAD' });
    } else if (route === 'metrics') void this.#metrics(request, response);
    else if (route === '' || route === 'dashboard') {
      answer(response, 307, '', { Location: `${this.#base}dashboard/` });
    } else if (route === 'dashboard/origin') this.#origin(request, response);
    else void this.#file(response, route.slice('dashboard/'.length) || 'index.html');
    return true;
  }

  async #metrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!(await this.#parts.gate.mayMonitor(request))) {
      answer(response, 401, 'a token with the right to monitor is needed', { 'WWW-Authenticate': 'Bearer' });
      return;
    }
    try {
      const { metrics } = this.#parts;
      answer(response, 200, await metrics.text(), { 'Content-Type': metrics.contentType });
    } catch (error) {
      const isMissing = error instanceof PsError && error.code === 'PS_NOT_INSTALLED';
      answer(response, isMissing ? 501 : 500, isMissing ? error.message : 'the metrics could not be read');
    }
  }

  /** Whether the page that asks may connect: a browser does not tell it why a WebSocket was refused. */
  #origin(request: IncomingMessage, response: ServerResponse): void {
    const origin = request.headers['x-page-origin'];
    const allowed = typeof origin === 'string' && this.#parts.gate.allowsOrigin(origin, request);
    answer(response, 200, JSON.stringify({ allowed }), {
      ...PAGE_HEADERS,
      'Content-Type': 'application/json',
    });
  }

  async #file(response: ServerResponse, name: string): Promise<void> {
    const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
    if (type === undefined) {
      answer(response, 404, 'the dashboard has no such file');
      return;
    }
    try {
      const file = await readFile(new URL(name, FOLDER), 'utf8');
      const body = name === 'index.html' ? withSocket(file, this.#parts.path) : file;
      answer(response, 200, body, { ...PAGE_HEADERS, 'Content-Type': type });
    } catch {
      answer(response, 500, 'the dashboard is not built: run npm run build');
    }
  }
}

/** What is asked for below the server's path; undefined: something else. The path itself is '', for the dashboard. */
function routeOf(path: string, base: string, ownPath: string): string | undefined {
  if (path === ownPath || path === base) return '';
  if (!path.startsWith(base)) return undefined;
  const route = path.slice(base.length);
  return route === 'metrics' || route === 'dashboard' || route.startsWith('dashboard/') ? route : undefined;
}

/** The page, told where the WebSocket is, relative to itself: it may stand behind a proxy that adds a prefix. */
function withSocket(page: string, path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const place = name === '' ? '../' : `../../${encodeURI(name)}`;
  return page.replace('content="../"', `content="${place.replaceAll('"', '%22').replaceAll('&', '&amp;')}"`);
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers });
  response.end(body);
}
