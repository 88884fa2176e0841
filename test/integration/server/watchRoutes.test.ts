import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { ParameterServer, type ParameterServerOptions, Worker } from '../../../src/index.js';

// The HTTP routes of a server that is watched, with real sockets: metrics, and the dashboard's page and its rights.
// The page's own files are built, and tested in a browser (test/browser).

const parameters = { w: { shape: [4] } } as const;
const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function started(
  options: Partial<ParameterServerOptions> = {},
): Promise<{ server: ParameterServer; at: string }> {
  const server = new ParameterServer({ parameters, port: 0, ...options } as ParameterServerOptions);
  await server.listen();
  ends.push(() => server.close());
  return { server, at: server.url.replace('ws:', 'http:').replace(/\/$/, '') };
}

const bearer = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });

describe('metrics', () => {
  it('are Prometheus text, with names, units and what was counted', async () => {
    const { server, at } = await started();
    const worker = new Worker<typeof parameters>(server.url, { id: 'ann' });
    await worker.run(() => ({ gradients: { w: new Float32Array(4) }, metrics: { loss: 0.5 } }), { steps: 3 });
    await worker.close();
    const response = await fetch(`${at}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toBe(
      await server
        .metrics()
        .then((own) => own.replace(/.*sent_bytes_total\{.*/, /.*sent_bytes_total\{.*/.exec(text)?.[0] ?? '')),
    );
    for (const line of [
      '# TYPE pslib_updates_total counter',
      'pslib_updates_total{shard="0"} 3',
      'pslib_pushes_total{outcome="applied",shard="0"} 3',
      'pslib_training_metric{name="loss",shard="0"} 0.5',
      'pslib_push_delay_updates_bucket{le="0",shard="0"} 3',
      'pslib_push_delay_updates_bucket{le="+Inf",shard="0"} 3',
      'pslib_push_delay_updates_count{shard="0"} 3',
      'pslib_pull_wait_seconds_count{shard="0"} 3',
      'pslib_leaves_total{reason="goodbye",shard="0"} 1',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('of two servers in one process do not mix', async () => {
    const [first, second] = [await started(), await started()];
    const worker = new Worker(first.server.url);
    await worker.run(() => ({ gradients: {} }), { steps: 2 });
    await worker.close();
    expect(await first.server.metrics()).toContain('pslib_updates_total{shard="0"} 2');
    expect(await second.server.metrics()).toContain('pslib_updates_total{shard="0"} 0');
  });

  it('have a line for each training worker, escaped', async () => {
    const { server } = await started();
    const worker = new Worker<typeof parameters>(server.url, { id: 'a"\\b' });
    ends.push(() => worker.close());
    await worker.pull();
    expect(await server.metrics()).toContain('pslib_worker_lead_clocks{worker="a\\"\\\\b",shard="0"} 0');
  });

  it('need the right to monitor', async () => {
    const { at } = await started({ auth: { seer: { role: 'monitor' }, hand: { role: 'worker' } } });
    expect((await fetch(`${at}/metrics`)).status).toBe(401);
    expect((await fetch(`${at}/metrics`, bearer('wrong'))).status).toBe(401);
    expect((await fetch(`${at}/metrics?token=seer`)).status).toBe(401);
    expect((await fetch(`${at}/metrics`, bearer('seer'))).status).toBe(200);
    expect((await fetch(`${at}/metrics`, bearer('hand'))).status).toBe(200);
  });

  it('are not given to a page whose name was made to point here', async () => {
    const { at } = await started();
    const { request } = await import('node:http');
    const status = await new Promise((resolve) => {
      request(`${at}/metrics`, { headers: { Host: 'evil.example' } }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
    expect(status).toBe(401);
  });
});

describe('the dashboard', () => {
  it('is off unless it is asked for; other requests are answered as before', async () => {
    const { at } = await started();
    for (const path of ['/dashboard/', '/', '/elsewhere']) expect((await fetch(at + path)).status).toBe(426);
  });

  it('is found from the server’s own address, and forbids everything that is not its own', async () => {
    const { at } = await started({ dashboard: true });
    const response = await fetch(`${at}/`, { redirect: 'manual' });
    expect([response.status, response.headers.get('location')]).toEqual([307, '/dashboard/']);
    const origin = await fetch(`${at}/dashboard/origin`, { headers: { 'X-Page-Origin': at } });
    expect(await origin.json()).toEqual({ allowed: true });
    const policy = origin.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect((await fetch(`${at}/elsewhere`)).status).toBe(426);
    expect((await fetch(`${at}/dashboard/`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${at}/dashboard/..%2f..%2fpackage.json`)).status).toBe(404);
    expect((await fetch(`${at}/dashboard/constructor`)).status).toBe(404);
  });

  it.each([
    ['its own page at an address', 'http://127.0.0.1:PORT', '127.0.0.1:PORT', true],
    ['its own page at localhost', 'http://localhost:PORT', 'localhost:PORT', true],
    ['a page elsewhere', 'http://evil.example', '127.0.0.1:PORT', false],
    ['another port of this machine', 'http://127.0.0.1:1', '127.0.0.1:PORT', false],
    ['a name that points here', 'http://evil.example:PORT', 'evil.example:PORT', false],
  ])('takes connections of %s: %s', async (_what, origin, host, isAllowed) => {
    const { server } = await started({ dashboard: true });
    const port = String(server.address()?.port);
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(server.url, 'pslib.v1', {
      headers: { Origin: origin.replace('PORT', port), Host: host.replace('PORT', port) },
    });
    const outcome = await new Promise((resolve) => {
      socket.once('open', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.terminate();
    expect(outcome).toBe(isAllowed);
  });

  it('of a server without it takes no page, not even of its own address', async () => {
    const { server, at } = await started();
    const { WebSocket } = await import('ws');
    const socket = new WebSocket(server.url, 'pslib.v1', { headers: { Origin: at } });
    const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
    expect(error.message).toContain('403');
  });

  it('beside the routes of an HTTP server is answered where its owner says so', async () => {
    const server = new ParameterServer({ parameters, noServer: true, path: '/model', dashboard: true });
    await server.listen();
    ends.push(() => server.close());
    const http = createServer((request, response) => {
      if (!server.handleRequest(request, response)) response.end('mine');
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => http.close(resolve)));
    const at = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    expect(await (await fetch(`${at}/`)).text()).toBe('mine');
    expect(await (await fetch(`${at}/models/metrics`)).text()).toBe('mine');
    expect(await (await fetch(`${at}/model/metrics`)).text()).toContain('pslib_version{shard="0"} 0');
    const moved = await fetch(`${at}/model`, { redirect: 'manual' });
    expect(moved.headers.get('location')).toBe('/model/dashboard/');
  });

  it('must be true or false', () => {
    const options = { parameters, port: 0, dashboard: 'yes' } as unknown as ParameterServerOptions;
    expect(() => new ParameterServer(options)).toThrow('dashboard must be true or false');
  });
});

describe('what a server tells of its life', () => {
  it('comes with the counts: curves, histograms, events, and the asker’s role', async () => {
    const { server } = await started({ auth: { seer: { role: 'monitor' }, hand: { role: 'worker' } } });
    const worker = new Worker<typeof parameters>(server.url, { id: 'ann', token: 'hand' });
    ends.push(() => worker.close());
    await worker.run(() => ({ gradients: {}, metrics: { loss: 0.25 } }), { steps: 2 });
    const watcher = new Worker(server.url, { readOnly: true, token: 'seer' });
    ends.push(() => watcher.close());
    const { role, record } = await watcher.stats();
    expect(role).toBe('monitor');
    expect(record?.metrics.loss?.map(([, clock, value]) => [clock, value])).toEqual([
      [0, 0.25],
      [1, 0.25],
    ]);
    expect(record?.histograms.delay.counts[0]).toBe(2);
    expect(record?.events[0]?.text).toBe('ann joined');
    const later = await watcher.stats({ after: record?.nowMs });
    expect(later.record?.metrics).toEqual({ loss: [] });
  });
});
