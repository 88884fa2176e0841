import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { PsError } from '../../../src/core/base/errors.js';
import { bsp } from '../../../src/core/consistency/consistency.js';
import { encodeFrame } from '../../../src/core/protocol/codec.js';
import { faultOf } from '../../../src/core/protocol/faults.js';
import { ParameterServer } from '../../../src/io/server/parameterServer.js';
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';
import type { WorkerUrl } from '../../../src/io/worker/serverUrls.js';
import { codeOf, PARAMETERS, startServer, startWorker } from '../worker/bench.js';
import { type ShardServer, startGroup, urlsOf } from './groups.js';

/** What connecting to `url` fails with; with time for it on a busy machine. */
async function refusal(url: WorkerUrl, connectTimeoutMs = 60_000): Promise<PsError> {
  const worker = startWorker(url, { connectTimeoutMs });
  const error = await worker.connect().catch((reason: unknown) => reason as PsError);
  if (error === undefined) throw new Error('it connected');
  // It has ended for good, on all connections.
  if (error.code !== 'PS_CONNECT_TIMEOUT') expect(await codeOf(worker.pull())).toBe(error.code);
  return error;
}

function shard(options: Partial<ParameterServerOptions>): Promise<ShardServer> {
  return startServer({ parameters: PARAMETERS, ...options }) as Promise<ShardServer>;
}

describe('urls that are not those of one group', () => {
  it.each<[string, Partial<ParameterServerOptions>, RegExp]>([
    ['a shard twice', { shard: { index: 0, count: 2 } }, /url 1 and url 2 lead to the same shard, 0/],
    ['another count', { shard: { index: 1, count: 3 } }, /groups of 2 and 3/],
    [
      'another model',
      { parameters: { a: { shape: [7] } }, shard: { index: 1, count: 2 } },
      /different models: 1 tensors/,
    ],
    ['another seed', { seed: 1, shard: { index: 1, count: 2 } }, /different groups/],
    ['another bound of norms', { maxPushNorm: 5, shard: { index: 1, count: 2 } }, /different groups/],
    ['another clipping', { clip: { norm: 1 }, shard: { index: 1, count: 2 } }, /different groups/],
    [
      'another rule for values that are not finite',
      { nonFinite: 'zero', shard: { index: 1, count: 2 } },
      /different groups/,
    ],
    ['another group', { shard: { index: 1, count: 2, group: 'B' } }, /different groups/],
    ['a whole model', {}, /groups of 2 and 1/],
  ])('%s', async (_name, options, text) => {
    const urls = [(await shard({ shard: { index: 0, count: 2 } })).url, (await shard(options)).url];
    expect(await refusal(urls)).toMatchObject({
      code: 'PS_MODEL_MISMATCH',
      message: expect.stringMatching(text),
    });
  });

  it('too few, too many', async () => {
    const urls = urlsOf(await startGroup(3, { parameters: PARAMETERS }));
    expect(await refusal(urls.slice(1))).toMatchObject({
      code: 'PS_MODEL_MISMATCH',
      message: 'the server at url 1 is one of 3 that hold the model, and 2 urls were given',
    });
    const other = await shard({});
    expect((await refusal([...urls, other.url])).code).toBe('PS_MODEL_MISMATCH');
    expect((await refusal([other.url, ...urls])).message).toContain(
      'holds a whole model, and 4 urls were given',
    );
    expect((await refusal(urls[0] as string)).message).toContain('a worker needs the urls of all 3');
    expect((await refusal(() => urls.slice(0, 2))).code).toBe('PS_MODEL_MISMATCH');
  });

  it('a token that one of them does not know', async () => {
    const [first] = await startGroup(2, { parameters: PARAMETERS, auth: 'all' });
    const other = await shard({ shard: { index: 1, count: 2 }, auth: 'another' });
    const worker = startWorker([(first as ShardServer).url, other.url], {
      token: 'all',
    });
    expect(await worker.connect().catch((reason: unknown) => reason)).toMatchObject({
      code: 'PS_UNAUTHORIZED',
    });
  });

  it('another version of the protocol', async () => {
    const [first] = await startGroup(2, { parameters: PARAMETERS });
    // It speaks the protocol of a later version: to the worker's Hello it has nothing to say.
    const later = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'pslib.v1' });
    await once(later, 'listening');
    later.on('connection', (socket) => {
      socket.on('message', () => {
        const error = new PsError('PS_VERSION', 'the server speaks protocol 2, not 1');
        socket.send(encodeFrame(faultOf(error), new Uint8Array(0)));
        socket.close(4406, 'the server speaks protocol 2, not 1');
      });
    });
    const { port } = later.address() as AddressInfo;
    const error = await refusal([(first as ShardServer).url, `ws://127.0.0.1:${port}`]);
    later.close();
    expect(error).toMatchObject({ code: 'PS_VERSION', message: expect.stringContaining('protocol 2') });
  });

  it.each([2, 3, 5])('all %i in any order are right', async (count) => {
    const urls = urlsOf(await startGroup(count, { parameters: PARAMETERS }));
    for (let turn = 0; turn < count; turn++) {
      const worker = startWorker<typeof PARAMETERS>([...urls.slice(turn), ...urls.slice(0, turn)].reverse());
      expect([...(await worker.pull()).tensors.b.data]).toEqual([1, 2, 3, 4]);
      await worker.close();
    }
  });

  it('one where nobody listens is named', async () => {
    const [first, second] = await startGroup(2, { parameters: PARAMETERS });
    await second?.close();
    const error = await refusal(
      urlsOf([first as ShardServer, second as ShardServer].slice(0, 1)).concat('ws://127.0.0.1:1'),
      500,
    );
    expect(error.code).toBe('PS_CONNECT_TIMEOUT');
    expect(error.message).toMatch(/^url 2 of 2: no connection within 500 ms/);
  });
});

describe('the option shard', () => {
  const make = (options: object): ParameterServer =>
    new ParameterServer({ parameters: PARAMETERS, port: 0, ...options });

  it.each<[object, string]>([
    [{ shard: 2 }, 'shard'],
    [{ shard: { index: 0 } }, 'shard.count'],
    [{ shard: { index: 2, count: 2 } }, 'shard.index'],
    [{ shard: { index: 0, count: 2000 } }, 'shard.count'],
    [{ shard: { index: 0, count: 2, group: 7 } }, 'shard.group'],
    [{ shard: { index: 0, count: 2, of: 3 } }, 'shard.of'],
    [{ shard: { index: 0, count: 2 }, consistency: bsp({ backupWorkers: 1 }) }, 'consistency'],
  ])('%o is refused', (options, option) => {
    expect(() => make(options)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option } }),
    );
  });

  it('backup workers are refused while it runs, too', async () => {
    const [server] = await startGroup(2, { parameters: PARAMETERS });
    expect(await codeOf(server?.setConsistency(bsp({ backupWorkers: 1 })) as Promise<void>)).toBe(
      'PS_INVALID_ARGUMENT',
    );
  });
});
