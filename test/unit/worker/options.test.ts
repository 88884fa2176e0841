import { describe, expect, it } from 'vitest';
import { PsError } from '../../../src/core/base/errors.js';
import { Worker } from '../../../src/io/worker/node/worker.js';
import type { WorkerOptions } from '../../../src/io/worker/workerOptions.js';

/** What is thrown for these arguments. */
function refusal(url: unknown, options?: unknown): PsError {
  try {
    new Worker(url as string, options as WorkerOptions);
  } catch (error) {
    expect(error).toBeInstanceOf(PsError);
    expect((error as PsError).code).toBe('PS_INVALID_ARGUMENT');
    return error as PsError;
  }
  throw new Error('nothing was thrown');
}

const URL_OK = 'ws://127.0.0.1:1';

describe('the url of a worker', () => {
  it.each([undefined, null, 5, '', 'localhost:80', 'http://x', 'ws://', 'ws://x#part', {}, [], [5]])(
    'is refused at once if it is none: %o',
    (url) => {
      const error = refusal(url);
      expect(error.details.option).toBe('url');
      expect(error.message).toMatch(/^url must be/);
    },
  );

  it('may be several, each once', () => {
    expect(new Worker([URL_OK, `${URL_OK}/other`]).connected).toBe(false);
    expect(refusal([URL_OK, URL_OK])).toMatchObject({ details: { option: 'url[1]' } });
    expect(refusal([URL_OK, 'http://x'])).toMatchObject({ details: { option: 'url[1]' } });
    expect(refusal([])).toMatchObject({ details: { option: 'url' } });
  });

  it.each([URL_OK, 'wss://example.org/pslib?x=1', 'ws://[::1]:80', [URL_OK], () => URL_OK])(
    'is taken: %o',
    (url) => {
      expect(new Worker(url as string).connected).toBe(false);
    },
  );
});

describe('the options of a worker', () => {
  it.each([
    ['id', ''],
    ['id', 'x'.repeat(129)],
    ['id', 5],
    ['id', 'a\u001b[2J'],
    ['id', 'a\u009b'],
    ['token', 5],
    ['readOnly', 'yes'],
    ['connectTimeoutMs', 0],
    ['connectTimeoutMs', Number.NaN],
    ['connectTimeoutMs', '30'],
    ['pullTimeoutMs', -1],
    ['maxStepMs', 0],
    ['onRollback', 'ignore'],
    ['signal', {}],
    ['WebSocket', {}],
    ['trustedNetwork', 1],
    ['reconnect', true],
    ['limits', 5],
    ['logger', 'console'],
    ['logger', { info: () => {} }],
  ])('%s: %o is refused, and named', (option, value) => {
    const error = refusal(URL_OK, { [option]: value });
    expect(error.details.option).toBe(option);
    expect(error.message).toContain(option);
  });

  it.each([
    ['reconnect.retries', { reconnect: { retries: -1 } }],
    ['reconnect.minDelayMs', { reconnect: { minDelayMs: 0 } }],
    ['reconnect.maxOfflineMs', { reconnect: { maxOfflineMs: 'long' } }],
    ['limits.maxUnansweredPushes', { limits: { maxUnansweredPushes: 0 } }],
    ['limits.maxUnansweredPushes', { limits: { maxUnansweredPushes: 1.5 } }],
    ['limits.maxMessageBytes', { limits: { maxMessageBytes: 2 ** 31 } }],
  ])('%s is named with its place', (option, options) => {
    expect(refusal(URL_OK, options).details.option).toBe(option);
  });

  it('that do not exist are refused, and those that do are named', () => {
    expect(refusal(URL_OK, { readonly: true }).message).toContain('readOnly');
    expect(refusal(URL_OK, { reconnect: { delayMs: 5 } }).message).toContain('minDelayMs');
    expect(refusal(URL_OK, { limits: { maxPushes: 5 } }).message).toContain('maxUnansweredPushes');
    expect(refusal(URL_OK, { pipelines: 1 }).message).toContain('pipeline');
    for (const pipeline of [-1, 0.5, 65, Number.NaN, '1']) {
      expect(refusal(URL_OK, { pipeline }).details.option).toBe('pipeline');
    }
    expect(refusal(URL_OK, null).message).toContain('options must be an object');
  });

  it('may be undefined one by one', () => {
    const options = {
      id: undefined,
      token: undefined,
      reconnect: undefined,
      signal: undefined,
      limits: undefined,
    };
    expect(new Worker(URL_OK, options as never).id).toMatch(/^worker-[0-9a-f]{8}$/);
    expect(new Worker(URL_OK, { id: 'mine', pullTimeoutMs: Number.POSITIVE_INFINITY }).id).toBe('mine');
  });

  it('give each worker a name of its own', () => {
    const ids = new Set(Array.from({ length: 50 }, () => new Worker(URL_OK).id));
    expect(ids.size).toBe(50);
  });

  it('never put a token into a message', async () => {
    const worker = new Worker(URL_OK, { token: () => 'se cret' });
    const late = (await worker.connect().catch((thrown: unknown) => thrown)) as PsError;
    for (const error of [late, refusal(URL_OK, { token: 'se cret' })]) {
      expect(error.code).toBe('PS_INVALID_ARGUMENT');
      expect(JSON.stringify([error.message, error.details, String(error.cause)])).not.toContain('cret');
    }
    expect(refusal(URL_OK, { token: 123_456 }).message).not.toContain('123');
  });
});
