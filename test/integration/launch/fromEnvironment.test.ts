/** `fromEnvironment` with real sockets: servers that come late, that do not come, and what is said meanwhile. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { fromEnvironment, ParameterServer, Worker } from '../../../src/index.js';

const open: Server[] = [];

afterEach(async () => {
  for (const server of open.splice(0)) server.close();
});

/** A port on which nobody listens yet. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function environment(role: string, servers: string): Record<string, string> {
  return { PSLIB_ROLE: role, PSLIB_RANK: '0', PSLIB_WORLD_SIZE: '1', PSLIB_SERVERS: servers };
}

describe('fromEnvironment', () => {
  test('makes a server and a worker that find each other', async () => {
    const servers = `ws://127.0.0.1:${await freePort()}/model`;
    const place = await fromEnvironment({
      env: { ...environment('server', servers), PSLIB_WORKER_COUNT: '3' },
    });
    if (place.role !== 'server') throw new Error('it is a server');
    expect(place).toMatchObject({ launcher: 'local', rank: 0, worldSize: 1, workers: 3, servers: [servers] });
    const parameters = { w: { shape: [2], init: 'ones' } } as const;
    const server = new ParameterServer({ parameters, ...place.serverOptions });
    await server.listen();
    const other = await fromEnvironment({ env: environment('worker', servers) });
    if (other.role !== 'worker') throw new Error('it is a worker');
    expect(other.workerOptions).toEqual({ id: 'worker-0' });
    const worker = new Worker(other.servers, other.workerOptions);
    expect((await worker.pull()).tensors.w?.data).toEqual(Float32Array.of(1, 1));
    await worker.close();
    await server.close();
  });

  test('waits for servers that come late', async () => {
    const port = await freePort();
    const waiting = fromEnvironment({ env: environment('worker', `ws://127.0.0.1:${port}`) });
    const server = createServer().listen(port, '127.0.0.1');
    open.push(server);
    expect((await waiting).servers).toEqual([`ws://127.0.0.1:${port}`]);
  });

  test('says which servers did not come, and why', async () => {
    const here = createServer().listen(0, '127.0.0.1');
    open.push(here);
    await once(here, 'listening');
    const urls = [
      `ws://127.0.0.1:${(here.address() as { port: number }).port}`,
      `ws://127.0.0.1:${await freePort()}`,
    ];
    const env = environment('worker', urls.join(' '));
    await expect(fromEnvironment({ env, waitMs: 30 })).rejects.toMatchObject({
      code: 'PS_CONNECT_TIMEOUT',
      retryable: true,
      message: `server 1 of 2 at ${urls[1]} (ECONNREFUSED) did not come within 0 s`,
    });
  });

  test('tells from time to time what is awaited, and ends when its signal is aborted', async () => {
    const url = `ws://127.0.0.1:${await freePort()}`;
    const control = new AbortController();
    const lines: string[] = [];
    const log = (line: string): void => {
      lines.push(line);
      control.abort(new Error('enough'));
    };
    const waiting = fromEnvironment({ env: environment('worker', url), log, signal: control.signal });
    await expect(waiting).rejects.toMatchObject({ code: 'PS_ABORTED', cause: { message: 'enough' } });
    expect(lines).toEqual([
      expect.stringMatching(
        /^waiting for server 0 of 1 at ws:\S+ \(ECONNREFUSED\), since \d+ s, for 300 s at most$/,
      ),
    ]);
  });

  test('does not wait when it is told not to', async () => {
    const place = await fromEnvironment({ env: environment('worker', 'ws://127.0.0.1:1'), waitMs: 0 });
    expect(place.role).toBe('worker');
  });

  test('gives each server a directory of its own, and listens beyond this machine only for names beyond it', async () => {
    const env = {
      ...environment('server', 'ws://node7:7077'),
      PSLIB_DATA_DIR: '/data',
      PSLIB_INSECURE: '1',
      PSLIB_TOKEN: 't0ken',
    };
    const place = await fromEnvironment({ env });
    expect(place.role === 'server' && place.serverOptions).toEqual({
      host: '0.0.0.0',
      port: 7077,
      shard: { index: 0, count: 1 },
      auth: 't0ken',
      insecure: true,
      dataDir: '/data/server-0',
    });
  });

  test('has a second token for who only watches', async () => {
    const env = {
      ...environment('server', 'ws://node7:7077'),
      PSLIB_TOKEN: 't0ken',
      PSLIB_MONITOR_TOKEN: 'eyes',
    };
    const place = await fromEnvironment({ env });
    expect(place.role === 'server' && place.serverOptions.auth).toEqual({
      t0ken: { role: 'worker' },
      eyes: { role: 'monitor' },
    });
  });

  test.each([
    [{ PSLIB_MONITOR_TOKEN: 'eyes' }, 'PSLIB_TOKEN'],
    [{ PSLIB_TOKEN: 'same', PSLIB_MONITOR_TOKEN: 'same' }, 'PSLIB_MONITOR_TOKEN'],
    [{ PSLIB_TOKEN: 'replace-me' }, 'PSLIB_TOKEN'],
    [{ PSLIB_TOKEN: 't0ken', PSLIB_MONITOR_TOKEN: 'replace-me' }, 'PSLIB_MONITOR_TOKEN'],
  ])('refuses the tokens %j', async (tokens, option) => {
    const env = { ...environment('server', 'ws://node7:7077'), ...tokens };
    await expect(fromEnvironment({ env })).rejects.toMatchObject({
      code: 'PS_ENVIRONMENT',
      details: { option },
    });
  });

  test.each([
    ['waitMs', { waitMs: -1 }, 'PS_INVALID_ARGUMENT'],
    ['log', { log: 'x' }, 'PS_INVALID_ARGUMENT'],
    [
      'PSLIB_INSECURE',
      { env: { ...environment('server', 'ws://h:1'), PSLIB_INSECURE: 'yes' } },
      'PS_ENVIRONMENT',
    ],
    ['SLURM_JOB_NODELIST', { env: slurmOnUnknownNode() }, 'PS_ENVIRONMENT'],
  ])('refuses a wrong %s', async (option, options, code) => {
    await expect(fromEnvironment(options as object)).rejects.toMatchObject({ code, details: { option } });
  });
});

/** A node that neither resolves nor is known to a scontrol. */
function slurmOnUnknownNode(): Record<string, string> {
  return {
    SLURM_JOB_ID: '1',
    SLURM_STEP_ID: '0',
    SLURM_PROCID: '1',
    SLURM_NTASKS: '2',
    SLURM_STEP_NODELIST: 'no-such-node.invalid',
    SLURM_STEP_TASKS_PER_NODE: '2',
  };
}
