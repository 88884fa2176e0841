import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkStorage, type StorageSettings } from '../../../src/io/server/storageOptions.js';

describe('the options about durable state', () => {
  it('keep nothing by default, and a journal with dataDir', () => {
    expect(checkStorage({}, 100)).toBeUndefined();
    expect(checkStorage({ durability: 'memory' }, 100)).toBeUndefined();
    expect(checkStorage({ dataDir: 'x' }, 100)).toEqual({
      directory: resolve('x'),
      durability: 'journal',
      checkpoint: { intervalMs: 300_000, journalBytes: 2 ** 30, keep: 3 },
    });
  });

  it('take a checkpoint after four times the state, if that is more than 1 GiB', () => {
    expect(checkStorage({ dataDir: 'x' }, 2 ** 30)?.checkpoint.journalBytes).toBe(2 ** 32);
    const never = { intervalMs: Number.POSITIVE_INFINITY, journalBytes: Number.POSITIVE_INFINITY };
    expect(checkStorage({ dataDir: 'x', checkpoint: never }, 1)?.checkpoint).toEqual({ ...never, keep: 3 });
  });

  it.each([
    ['dataDir', { dataDir: '' }],
    ['dataDir', { dataDir: 7 }],
    ['dataDir', { dataDir: 'a\0b' }],
    ['dataDir', { durability: 'journal' }],
    ['dataDir', { checkpoint: {} }],
    ['durability', { dataDir: 'x', durability: 'memory' }],
    ['durability', { dataDir: 'x', durability: 'tape' }],
    ['checkpoint', { dataDir: 'x', checkpoint: null }],
    ['checkpoint.every', { dataDir: 'x', checkpoint: { every: 1 } }],
    ['checkpoint.intervalMs', { dataDir: 'x', checkpoint: { intervalMs: 0 } }],
    ['checkpoint.journalBytes', { dataDir: 'x', checkpoint: { journalBytes: Number.NaN } }],
    ['checkpoint.keep', { dataDir: 'x', checkpoint: { keep: 0 } }],
    ['checkpoint.keep', { dataDir: 'x', checkpoint: { keep: 1.5 } }],
  ])('are refused by name: %s', (option, options) => {
    expect(() => checkStorage(options as StorageSettings, 1)).toThrow(
      expect.objectContaining({ code: 'PS_INVALID_ARGUMENT', details: { option } }),
    );
  });
});
