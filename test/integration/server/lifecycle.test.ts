import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { asp } from '../../../src/core/consistency/consistency.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { atEnd, eventOf, listeningServer, newServer, RawClient } from './rawClient.js';

/** Everything that is ready has happened. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('listen', () => {
  it('twice is an error; the server goes on', async () => {
    const server = await listeningServer();
    await expect(server.listen()).rejects.toMatchObject({ code: 'PS_INVALID_ARGUMENT' });
    await RawClient.join(server.url, 'a');
  });

  it('tells when it listens, and where', async () => {
    const server = newServer({ port: 0 });
    const listening = eventOf(server, 'listening');
    await server.listen();
    expect(await listening).toEqual({ url: server.url });
  });

  it('with a signal that has aborted is PS_ABORTED, and may be called again', async () => {
    const server = newServer({ port: 0 });
    const signal = AbortSignal.abort(new Error('mine'));
    await expect(server.listen({ signal })).rejects.toMatchObject({
      code: 'PS_ABORTED',
      cause: { message: 'mine' },
    });
    expect(server.address()).toBeNull();
    await server.listen();
    await RawClient.join(server.url, 'a');
  });

  it('with a signal that aborts meanwhile is PS_ABORTED, and the port is free', async () => {
    const server = newServer({ port: 0 });
    const controller = new AbortController();
    const listening = server.listen({ signal: controller.signal });
    controller.abort();
    await expect(listening).rejects.toMatchObject({ code: 'PS_ABORTED' });
    expect(server.address()).toBeNull();
  });

  it('after close is PS_CLOSED', async () => {
    const server = newServer({ port: 0 });
    await server.close();
    await expect(server.listen()).rejects.toMatchObject({ code: 'PS_CLOSED' });
  });

  it('that close overtakes is PS_CLOSED, and no port stays open', async () => {
    const server = newServer({ port: 0 });
    const told: string[] = [];
    server.on('listening', () => told.push('listening'));
    const listening = server.listen();
    const closing = server.close();
    await expect(listening).rejects.toMatchObject({ code: 'PS_CLOSED' });
    await closing;
    expect(server.address()).toBeNull();
    expect(told).toEqual([]);
  });
});

describe('close', () => {
  it('ends every connection with PS_DRAINING, frees the port, and is told', async () => {
    const server = await listeningServer();
    const clients = await Promise.all(['a', 'b'].map((id) => RawClient.join(server.url, id)));
    const stranger = await RawClient.open(server.url);
    const told = eventOf(server, 'close');
    const closing = server.close();
    for (const client of [...clients, stranger]) {
      expect(await client.nextText()).toBe('PS_DRAINING');
      expect((await client.closed).code).toBe(4310);
    }
    await closing;
    await told;
    expect(server.stats().connections).toBe(0);
    expect(server.address()).toBeNull();
  });

  it('while a pull waits ends that pull', async () => {
    const server = await listeningServer({ minWorkers: 2 });
    const client = await RawClient.join(server.url, 'a');
    client.ask({ training: true });
    expect(await client.ping()).toBe('pong');
    expect(server.stats().waitingPulls).toBe(1);
    await server.close();
    expect(await client.nextText()).toBe('PS_DRAINING');
    await client.closed;
    expect(server.stats().waitingPulls).toBe(0);
  });

  it('repeated waits for the same end; without listen it is nothing', async () => {
    const server = await listeningServer();
    expect(server.close()).toBe(server.close());
    await server.close();
    await newServer({ port: 0 }).close();
  });

  it('cuts off who does not close within the time', async () => {
    const server = await listeningServer();
    const client = await RawClient.join(server.url, 'a');
    client.socket.pause();
    await server.close({ timeoutMs: 1 });
    expect(server.stats().connections).toBe(0);
  });

  it.each<[string, object, (server: ReturnType<typeof newServer>) => Promise<void>]>([
    ['close waits for', { closeTimeoutMs: 50 }, (server) => server.close()],
    ['drain waits for', { drainTimeoutMs: 50 }, (server) => server.drain()],
  ])('%s as long as the limits say', async (_what, limits, end) => {
    const server = await listeningServer({ limits });
    const client = await RawClient.join(server.url, 'a');
    // A push that never ends, of a worker that never reads.
    client.send({ t: MessageType.push, seq: 1, clock: 0, bytes: 16 }, new Uint8Array(8));
    expect(await client.ping()).toBe('pong');
    client.socket.pause();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let hasEnded = false;
      const ended = end(server).then(() => {
        hasEnded = true;
      });
      await turn();
      vi.advanceTimersByTime(49);
      await turn();
      expect(hasEnded).toBe(false);
      vi.advanceTimersByTime(1);
      await ended;
    } finally {
      vi.useRealTimers();
    }
  });

  it('waits for as long as it is told, be it longer than timers can be set to', async () => {
    const server = await listeningServer({ limits: { closeTimeoutMs: Number.MAX_SAFE_INTEGER } });
    const client = await RawClient.join(server.url, 'a');
    client.socket.pause();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let hasEnded = false;
    let ended: Promise<void>;
    try {
      ended = server.close().then(() => {
        hasEnded = true;
      });
      await turn();
      vi.advanceTimersByTime(100);
      await turn();
      expect(hasEnded).toBe(false);
    } finally {
      vi.useRealTimers();
    }
    client.socket.resume();
    await ended;
  });

  it('finishes what was begun: a copy and a change of settings', async () => {
    const server = await listeningServer({ parameters: { w: { shape: [2_000_000] } } });
    const snapshot = server.parameters();
    const change = server.setConsistency(asp());
    const closing = server.close();
    expect((await snapshot).tensors.w?.data).toHaveLength(2_000_000);
    await change;
    await closing;
  });

  it.each<[string, (server: ReturnType<typeof newServer>) => Promise<unknown>]>([
    ['parameters', (server) => server.parameters()],
    [
      'load',
      (server) =>
        server.load({ tensors: { w: { shape: [4], dtype: 'float32', data: new Float32Array(4) } } }),
    ],
    ['setConsistency', (server) => server.setConsistency(asp())],
    ['setLearningRate', (server) => server.setLearningRate(1)],
    ['checkpoint', (server) => server.checkpoint('x')],
    ['drain', (server) => server.drain()],
  ])('after it %s is PS_CLOSED', async (_name, call) => {
    const server = await listeningServer();
    await server.close();
    await expect(call(server)).rejects.toMatchObject({ code: 'PS_CLOSED' });
  });

  it('is what asyncDispose does', async () => {
    const server = await listeningServer();
    const client = await RawClient.join(server.url, 'a');
    await server[Symbol.asyncDispose]();
    expect((await client.closed).code).toBe(4310);
  });
});

describe('a listener or a logger that throws', () => {
  it('surfaces as an uncaught error; the server and its workers go on', async () => {
    const thrown: unknown[] = [];
    const before = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error.message));
    atEnd(() => {
      process.removeAllListeners('uncaughtException');
      for (const listener of before) process.on('uncaughtException', listener);
    });
    const fail = (what: string) => (): never => {
      throw new Error(what);
    };
    const logger = {
      debug: fail('logger'),
      info: fail('logger'),
      warn: fail('logger'),
      error: fail('logger'),
    };
    const server = await listeningServer({ logger });
    server.on('worker:join', fail('join'));
    server.on('update', fail('update'));
    const client = await RawClient.join(server.url, 'a');
    expect(await client.push([1, 0, 0, 0])).toBe('applied v1');
    expect(await client.pull()).toEqual([-1, 0, 0, 0]);
    expect(thrown).toEqual(['logger', 'join', 'update']);
  });
});

describe('a process with a server', () => {
  const root = fileURLToPath(new URL('../../..', import.meta.url));

  /** Runs `body` in a process of its own; `report` there sends what is next here. */
  function run(body: string): {
    child: ChildProcess;
    ended: Promise<[code: number | null, signal: string | null]>;
    output(): string;
  } {
    const source = `
      import { createServer } from 'node:http';
      import { ParameterServer } from './src/io/server/parameterServer.ts';
      const report = (value) => process.send(value);
      ${body}`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', source], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (data) => {
        text += String(data);
      });
    }
    atEnd(() => child.kill('SIGKILL'));
    return {
      child,
      ended: once(child, 'exit') as Promise<[number | null, string | null]>,
      output: () => text,
    };
  }

  it('ends by itself once it is closed, and prints nothing', async () => {
    const { child, ended, output } = run(`
      const server = new ParameterServer({ parameters: { w: { shape: [4] } }, port: 0 });
      await server.listen();
      report(server.url);
      process.once('message', async () => {
        await server.close();
        process.disconnect();
      });`);
    const [url] = await once(child, 'message');
    const clients = await Promise.all(['a', 'b'].map((id) => RawClient.join(url as string, id)));
    await clients[0]?.push([1, 1, 1, 1]);
    clients[1]?.ask({ training: true, clock: 0 });
    child.send('close');
    expect(await ended).toEqual([0, null]);
    expect(output()).toBe('');
  });

  it('ends by itself when the server of the user’s that it is attached to ends', async () => {
    const { child, ended, output } = run(`
      const names = ['SIGINT', 'SIGTERM', 'SIGHUP', 'exit', 'beforeExit', 'uncaughtException', 'unhandledRejection'];
      const count = () => names.map((name) => process.listenerCount(name)).join();
      const before = count();
      const http = createServer().listen(0, '127.0.0.1');
      const server = new ParameterServer({ parameters: { w: { shape: [4] } }, server: http });
      await server.listen();
      report(count() === before);
      process.disconnect();
      http.close();`);
    const [hasNoHandlers] = await once(child, 'message');
    expect(hasNoHandlers).toBe(true);
    expect(await ended).toEqual([0, null]);
    expect(output()).toBe('');
  });
});

describe('goodbye', () => {
  it('closes with 1000', async () => {
    const server = await listeningServer();
    const client = await RawClient.join(server.url, 'a');
    client.send({ t: MessageType.goodbye, reason: 'done' });
    expect((await client.closed).code).toBe(1000);
    expect(server.workers()).toEqual([]);
  });
});
