import { createServer } from 'node:http';
import { describe, expect, it } from 'vitest';
import { ParameterServer } from '../../../src/io/server/parameterServer.js';
import type { ParameterServerOptions } from '../../../src/io/server/serverOptions.js';

const parameters = { w: { shape: [4] } };
const cyclic: unknown[] = [];
cyclic.push(cyclic);

/** Constructs a server with `options` beside what it needs; returns what it throws. */
function errorOf(options: object): Error | undefined {
  try {
    new ParameterServer({ parameters, port: 0, ...options } as ParameterServerOptions);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

describe('a wrong option throws at once, with its name, what was given and what is expected', () => {
  it.each<[option: string, given: object, shown: string]>([
    ['parameters', { parameters: undefined }, 'undefined'],
    ['parameters', { parameters: [] }, '[]'],
    ['parameters.w.shape', { parameters: { w: { shape: 'x' } } }, '"x"'],
    ['optimizer', { optimizer: 'adam' }, '"adam"'],
    ['optimizer', { optimizer: { name: 'adamax', learningRate: 1 } }, 'an object with keys'],
    ['consistency', { consistency: 'ssp' }, '"ssp"'],
    ['consistency', { consistency: { name: 'dssp', low: 1, high: 2 } }, 'an object with keys'],
    ['ssp.staleness', { consistency: { name: 'ssp', staleness: -1 } }, '-1'],
    ['bsp.backupWorkers', { consistency: { name: 'bsp', backupWorkers: 0.5 } }, '0.5'],
    ['minWorkers', { minWorkers: -1 }, '-1'],
    ['minWorkers', { minWorkers: '2' }, '"2"'],
    ['minWorkers', { minWorkers: null }, 'null'],
    ['delay', { delay: null }, 'null'],
    ['delay.max', { delay: { max: -1 } }, '-1'],
    ['delay.scale', { delay: { scale: 'linear' } }, '"linear"'],
    ['delay.maximum', { delay: { maximum: 1 } }, '"maximum"'],
    ['clip', { clip: null }, 'null'],
    ['clip', { clip: 5 }, '5'],
    ['clip.norm', { clip: { norm: 0 } }, '0'],
    ['clip.value', { clip: { value: '1' } }, '"1"'],
    ['clip option', { clip: { nrom: 1 } }, '"nrom"'],
    ['nonFinite', { nonFinite: 'ignore' }, '"ignore"'],
    ['nonFinite', { nonFinite: null }, 'null'],
    ['maxPushNorm', { maxPushNorm: 0 }, '0'],
    ['maxPushNorm', { maxPushNorm: Number.NaN }, 'NaN'],
    ['seed', { seed: -1 }, '-1'],
    ['seed', { seed: 'abc' }, '"abc"'],
    ['port', { port: -1 }, '-1'],
    ['port', { port: 65_536 }, '65536'],
    ['port', { port: '80' }, '"80"'],
    ['port, server, noServer', { port: undefined }, '0'],
    ['port, server, noServer', { noServer: true }, '2'],
    ['server', { port: undefined, server: {} }, 'an object with keys (none)'],
    ['server', { port: undefined, server: null }, 'null'],
    ['noServer', { port: undefined, noServer: 'yes' }, '"yes"'],
    ['host', { host: '0.0.0.0' }, '"0.0.0.0"'],
    ['host', { host: '' }, '""'],
    ['host', { host: 5, insecure: true }, '5'],
    ['host', { port: undefined, noServer: true, host: '127.0.0.1' }, '"127.0.0.1"'],
    ['insecure', { insecure: 'yes' }, '"yes"'],
    ['path', { path: 'train' }, '"train"'],
    ['path', { path: '/train?x=1' }, '"/train?x=1"'],
    ['path', { path: 7 }, '7'],
    ['allowedOrigins', { allowedOrigins: 'https://a.example' }, '"https://a.example"'],
    ['allowedOrigins', { allowedOrigins: ['https://a.example/page'] }, '"https://a.example/page"'],
    ['allowedOrigins', { allowedOrigins: ['*'] }, '"*"'],
    ['allowedOrigins', { allowedOrigins: cyclic }, '[…]'],
    ['limits', { limits: null }, 'null'],
    ['limits', { limits: [] }, '[]'],
    ['limits.leaseMS', { limits: { leaseMS: 5 } }, '"leaseMS"'],
    ['limits.constructor', { limits: { constructor: 5 } }, '"constructor"'],
    ['limits.leaseMs', { limits: { leaseMs: 0 } }, '0'],
    ['limits.leaseMs', { limits: { leaseMs: 1.5 } }, '1.5'],
    ['limits.pullTimeoutMs', { limits: { pullTimeoutMs: Number.POSITIVE_INFINITY } }, 'Infinity'],
    ['limits.pinnedVersions', { limits: { pinnedVersions: 0 } }, '0'],
    ['limits.chunkBytes', { limits: { chunkBytes: 1001 } }, '1001'],
    ['limits.chunkBytes', { limits: { chunkBytes: 512 } }, '512'],
    ['limits.maxUnansweredPushes', { limits: { maxUnansweredPushes: 9 } }, '9'],
    ['logger', { logger: 'console' }, '"console"'],
    ['logger', { logger: { info() {} } }, 'an object with keys info'],
    ['dataDir', { dataDir: '' }, '""'],
    ['dataDir', { durability: 'journal' }, 'undefined'],
    ['durability', { durability: 'disk' }, '"disk"'],
    ['checkpoint.kept', { dataDir: 'x', checkpoint: { kept: 2 } }, '"kept"'],
    ['optimiser', { optimiser: 1 }, '"optimiser"'],
  ])('%s: %j', (option, given, shown) => {
    const error = errorOf(given);
    expect(error).toMatchObject({ name: 'PsError', code: 'PS_INVALID_ARGUMENT', details: { option } });
    expect(error?.message).toContain(`${option} must be `);
    expect(error?.message).toContain(`got ${shown}`);
  });

  it.each([undefined, null, 5, 'port'])('options may not be %s', (options) => {
    expect(() => new ParameterServer(options as never)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option: 'options' } }),
    );
  });

  it('a model that no memory can hold is refused with its size', () => {
    const error = errorOf({ parameters: { w: { shape: [2 ** 45] } } });
    expect(error).toMatchObject({ name: 'PsError' });
    expect(error?.message).toContain('parameters');
  });
});

describe('what is right', () => {
  it.each<[string, object]>([
    ['the least', {}],
    [
      'a scheduled rate and a delay function',
      { delay: { scale: (delay: number) => 1 / (1 + delay), max: 10 } },
    ],
    ['limits that are left out', { limits: { leaseMs: undefined, pullTimeoutMs: 5 } }],
    ['no progress time-out', { limits: { progressTimeoutMs: Number.POSITIVE_INFINITY } }],
    ['a public host, knowingly', { host: '0.0.0.0', insecure: true }],
    ['a server of the user’s', { port: undefined, server: createServer() }],
    ['no server', { port: undefined, noServer: true }],
    ['port and noServer: false', { noServer: false }],
    ['origins', { allowedOrigins: ['https://a.example', 'http://localhost:3000'] }],
    ['a logger', { logger: console }],
    ['clip of one kind', { clip: { norm: 1 } }],
  ])('%s', (_what, options) => {
    expect(errorOf(options)).toBeUndefined();
  });

  it('nothing happens before listen: it has no address', () => {
    const server = new ParameterServer({ parameters, port: 0 });
    expect(server.address()).toBeNull();
    expect(() => server.url).toThrow(expect.objectContaining({ code: 'PS_INVALID_ARGUMENT' }));
    expect(server.workers()).toEqual([]);
    expect(server.stats()).toMatchObject({ version: 0, connections: 0 });
  });
});
