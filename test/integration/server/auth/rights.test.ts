import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { PsError } from '../../../../src/core/base/errors.js';
import type { AuthPrincipal } from '../../../../src/io/server/auth.js';
import type { ParameterServer } from '../../../../src/io/server/parameterServer.js';
import type { WebSocketConstructor } from '../../../../src/io/transport/webSocketConnect.js';
import { Worker } from '../../../../src/io/worker/node/worker.js';
import type { WorkerOptions } from '../../../../src/io/worker/workerOptions.js';
import { atEnd, eventOf, listeningServer, newServer, RawClient } from '../rawClient.js';
import { outcomeOf } from './rawUpgrade.js';

const TOKENS = {
  'token-of-monitor': { role: 'monitor' },
  'token-of-reader': { role: 'reader' },
  'token-of-worker': { role: 'worker' },
  'token-of-a': { role: 'worker', id: 'a' },
  'token-of-admin': { role: 'admin' },
} as const;

function newWorker(server: ParameterServer, options: WorkerOptions): Worker {
  const worker = new Worker(server.url, { reconnect: { minDelayMs: 1, maxDelayMs: 20 }, ...options });
  atEnd(() => worker.close());
  return worker;
}

const asPage = { WebSocket: WebSocket as unknown as WebSocketConstructor };
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'done',
    (error: PsError) => error.code,
  );

describe('a worker', () => {
  it.each([
    ['pslib’s own transport', {}],
    ['a standard WebSocket', asPage],
  ])('with a token that is wrong or missing ends with PS_UNAUTHORIZED: %s', async (_name, transport) => {
    const server = await listeningServer({ auth: TOKENS });
    for (const token of ['wrong', undefined]) {
      const worker = newWorker(server, { ...transport, ...(token === undefined ? {} : { token }) });
      // A WebSocket of Node sees 401 as a failed connection: only one with a token is told by a close code.
      if (token === undefined && 'WebSocket' in transport) continue;
      expect(await codeOf(worker.connect())).toBe('PS_UNAUTHORIZED');
    }
  });

  it.each([
    ['pslib’s own transport', {}],
    ['a standard WebSocket', asPage],
  ])('does what its role allows: %s', async (_name, transport) => {
    const server = await listeningServer({ auth: TOKENS });
    const as = (token: string, readOnly: boolean) => newWorker(server, { ...transport, token, readOnly });
    const w = { w: new Float32Array(4) };
    const monitor = as('token-of-monitor', true);
    expect((await monitor.stats()).stats.version).toBe(0);
    expect(await codeOf(monitor.pull())).toBe('PS_FORBIDDEN');
    const reader = as('token-of-reader', true);
    expect((await reader.pull()).version).toBe(0);
    expect(await codeOf(as('token-of-reader', false).connect())).toBe('PS_FORBIDDEN');
    expect(await codeOf(reader.control('finish'))).toBe('PS_FORBIDDEN');
    const worker = as('token-of-worker', false);
    expect((await worker.push(w)).outcome).toBe('applied');
    expect(await codeOf(worker.control('setLearningRate', { learningRate: 9 }))).toBe('PS_FORBIDDEN');
    const admin = as('token-of-admin', true);
    expect(await admin.control('setLearningRate', { learningRate: 0.5 })).toEqual({});
  });

  it('bound to an id may have no other', async () => {
    const server = await listeningServer({ auth: TOKENS });
    expect(await codeOf(newWorker(server, { token: 'token-of-a', id: 'b' }).connect())).toBe('PS_FORBIDDEN');
    expect(await codeOf(newWorker(server, { token: 'token-of-a', id: 'a' }).connect())).toBe('done');
  });

  it('is asked for its token at each connection', async () => {
    const server = await listeningServer({ auth: { one: { role: 'worker' }, two: { role: 'worker' } } });
    const given: string[] = [];
    const worker = newWorker(server, {
      token: async () => {
        given.push(given.length === 0 ? 'one' : 'two');
        return given.at(-1) as string;
      },
    });
    await worker.pull();
    const reopened = once(worker as never, 'open');
    expect(await server.setAuth({ two: { role: 'worker' } })).toBe(1);
    await reopened;
    expect(given).toEqual(['one', 'two']);
    expect((await worker.push({ w: new Float32Array(4) })).outcome).toBe('applied');
  });
});

describe('a right that ends', () => {
  it('by setAuth: its connections are closed, others stay, and it does not come back', async () => {
    const server = await listeningServer({ auth: { good: { role: 'worker' }, bad: { role: 'worker' } } });
    const [stays, goes] = [newWorker(server, { token: 'good' }), newWorker(server, { token: 'bad' })];
    await Promise.all([stays.connect(), goes.connect()]);
    const error = once(goes as never, 'error') as Promise<[PsError]>;
    let reopened = 0;
    stays.on('open', () => reopened++);
    await server.setAuth({ good: { role: 'worker' } });
    expect((await error)[0].code).toBe('PS_UNAUTHORIZED');
    await stays.pull();
    expect(reopened).toBe(0);
    expect(await codeOf(newWorker(server, { token: 'bad' }).connect())).toBe('PS_UNAUTHORIZED');
  });

  it('by a change of role: a worker that may only read now is told so', async () => {
    let role: AuthPrincipal['role'] = 'worker';
    const server = await listeningServer({ auth: () => ({ role }) });
    const worker = newWorker(server, { token: 'x' });
    await worker.connect();
    const error = once(worker as never, 'error') as Promise<[PsError]>;
    role = 'reader';
    expect(await server.reauthenticate()).toBe(1);
    expect((await error)[0].code).toBe('PS_FORBIDDEN');
  });

  it('is found by itself after limits.reauthenticateMs', async () => {
    let isValid = true;
    const server = await listeningServer({
      auth: async () => (isValid ? { role: 'worker' } : null),
      limits: { reauthenticateMs: 20 },
    });
    const worker = newWorker(server, {});
    await worker.connect();
    const error = once(worker as never, 'error') as Promise<[PsError]>;
    isValid = false;
    expect((await error)[0].code).toBe('PS_UNAUTHORIZED');
  });

  it('is asked about many connections at a time: a slow answer holds up few', async () => {
    let isSlow = false;
    let asked = 0;
    let answer: (() => void) | undefined;
    const server = await listeningServer({
      auth: async () => {
        asked++;
        if (isSlow) await new Promise<void>((resolve) => (answer = resolve));
        return { role: 'worker' };
      },
    });
    const workers = Array.from({ length: 10 }, () => newWorker(server, {}));
    await Promise.all(workers.map((worker) => worker.connect()));
    isSlow = true;
    asked = 0;
    const judged = server.reauthenticate();
    await expect.poll(() => asked).toBe(10);
    isSlow = false;
    answer?.();
    void judged;
  });

  it('is not taken away by a function that fails', async () => {
    let fails = false;
    const server = await listeningServer({
      auth: async () => {
        if (fails) throw new Error('the directory is down');
        return { role: 'worker' };
      },
    });
    const worker = newWorker(server, {});
    await worker.connect();
    fails = true;
    const error = eventOf(server, 'error');
    expect(await server.reauthenticate()).toBe(0);
    expect(await error).toMatchObject({ code: 'PS_INTERNAL' });
    expect((await worker.pull()).version).toBe(0);
  });

  it('by evict: the worker ends, a new process under the id is let in', async () => {
    const server = await listeningServer({ auth: TOKENS });
    const worker = newWorker(server, { token: 'token-of-a', id: 'a' });
    await worker.tick();
    const error = once(worker as never, 'error') as Promise<[PsError]>;
    const admin = newWorker(server, { token: 'token-of-admin', readOnly: true });
    expect(await admin.control('evict', { id: 'a', reason: 'too slow' })).toEqual({ evicted: true });
    const [{ code, message }] = await error;
    expect(code).toBe('PS_EVICTED');
    expect(message).toContain('too slow');
    expect(await admin.control('evict', { id: 'a' })).toEqual({ evicted: false });
    const next = newWorker(server, { token: 'token-of-a', id: 'a' });
    await next.connect();
    expect(next.clock).toBe(1);
  });
});

describe('an admin', () => {
  it('changes settings and ends training', async () => {
    const server = await listeningServer({ auth: TOKENS });
    const admin = newWorker(server, { token: 'token-of-admin' });
    await admin.control('setConsistency', { consistency: { name: 'ssp', staleness: 7 } });
    expect(server.consistency).toEqual({ name: 'ssp', staleness: 7 });
    await admin.control('setOptimizer', { optimizer: { name: 'sgd', learningRate: 0.5 } });
    await admin.push({ w: Float32Array.of(2, 2, 2, 2) });
    expect([...((await server.parameters()).tensors.w?.data ?? [])]).toEqual([-1, -1, -1, -1]);
    await admin.control('finish', { reason: 'enough' });
    const summary = await admin.run(() => ({ gradients: {} }));
    expect(summary.endedBy).toBe('finish');
  });

  it.each([
    ['an unknown action', 'shutdown', {}],
    ['an argument that is not known', 'finish', { why: 'x' }],
    ['one of another type', 'setLearningRate', { learningRate: '1' }],
    ['a rate that is none', 'setLearningRate', { learningRate: -1 }],
    ['a model that is none', 'setConsistency', { consistency: { name: 'sloppy' } }],
    ['an optimizer with code', 'setOptimizer', { optimizer: { name: 'mine', slots: [], apply: 'x' } }],
    ['a checkpoint without a directory', 'checkpoint', {}],
    ['a path to write to', 'checkpoint', { path: '/tmp/x' }],
    ['no id', 'evict', {}],
    ['a key of Object.prototype', 'constructor', {}],
  ])('is refused %s, and nothing changes', async (_what, action, argument) => {
    const server = await listeningServer({ auth: TOKENS });
    const admin = newWorker(server, { token: 'token-of-admin', readOnly: true });
    expect(await codeOf(admin.control(action, argument))).toBe('PS_INVALID_ARGUMENT');
    expect(server.consistency).toEqual({ name: 'ssp', staleness: 3 });
    expect((await admin.stats()).stats.version).toBe(0);
  });
});

describe('the user’s function', () => {
  it('that throws, or returns what is no principal, refuses with 503 and an error event', async () => {
    for (const auth of [
      () => {
        throw new Error('boom');
      },
      () => ({ role: 'root' }) as never,
      async () => 'yes' as never,
    ]) {
      const server = await listeningServer({ auth });
      const error = eventOf(server, 'error');
      expect(await outcomeOf({ url: server.url, subprotocols: ['pslib.v1'] })).toBe('HTTP 503');
      expect(await error).toMatchObject({ code: 'PS_INTERNAL' });
    }
  });

  it('that never answers is given up after helloTimeoutMs', async () => {
    const server = await listeningServer({
      auth: () => new Promise(() => {}),
      limits: { helloTimeoutMs: 2000 },
    });
    expect(await outcomeOf({ url: server.url, subprotocols: ['pslib.v1'] })).toBe('HTTP 503');
  });
});

describe('without auth', () => {
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((each) => each !== undefined && !each.internal && each.family === 'IPv4')?.address;

  it('a public host throws, with auth or insecure it does not', () => {
    expect(() => newServer({ port: 0, host: '0.0.0.0' })).toThrow(/host .* insecure/);
    newServer({ port: 0, host: '0.0.0.0', auth: 'token' });
    newServer({ port: 0, host: '0.0.0.0', insecure: true });
  });

  it.skipIf(outside === undefined)('a public server of the user’s lets only this machine in', async () => {
    const http = createServer();
    http.listen(0, '0.0.0.0');
    await once(http, 'listening');
    atEnd(() => http.close());
    const { port } = http.address() as AddressInfo;
    const server = newServer({ server: http });
    await server.listen();
    const warning = eventOf(server, 'warning');
    const subprotocols = ['pslib.v1'];
    expect(await outcomeOf({ url: `ws://${outside}:${port}/pslib`, subprotocols })).toBe('HTTP 403');
    expect(await warning).toMatchObject({ message: expect.stringContaining('without auth') });
    expect(await outcomeOf({ url: `ws://127.0.0.1:${port}/pslib`, subprotocols })).toBe('welcome');
  });
});

describe('a token', () => {
  it('is in no log, event or error', async () => {
    const secret = 'a-secret-nobody-may-read';
    const lines: string[] = [];
    const log = (text: string) => lines.push(text);
    const logger = { debug: log, info: log, warn: log, error: log };
    const server = await listeningServer({ auth: { [secret]: { role: 'worker', id: 'a' } }, logger });
    for (const name of ['warning', 'error', 'rejected'] as const) {
      server.on(name, (event: unknown) => log(JSON.stringify(event)));
    }
    const worker = newWorker(server, { token: secret, id: 'b', logger });
    worker.on('error', (error) => log(inspect(error)));
    expect(await codeOf(worker.connect())).toBe('PS_FORBIDDEN');
    expect(await codeOf(newWorker(server, { token: `${secret}x`, logger }).connect())).toBe(
      'PS_UNAUTHORIZED',
    );
    expect(() => newServer({ port: 0, auth: { [`${secret} `]: { role: 'worker' } } })).toThrow(/printable/);
    expect(() => newServer({ port: 0, auth: { [secret]: { role: 'root' as never } } })).toThrow(/role/);
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join('\n')).not.toContain('secret');
    const raw = await RawClient.open(server.url, { headers: { Authorization: `Bearer ${secret}` } });
    raw.socket.terminate();
  });
});
