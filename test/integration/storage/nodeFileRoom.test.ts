import type * as fs from 'node:fs';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type DiskError, syncFailure } from '../../../src/io/storage/disk.js';
import { NodeFile } from '../../../src/io/storage/nodeFile.js';

// A write that syncs in one call fails without saying which of the two it was: a full disk, for which one waits, or a
// sync, after which nothing may be trusted. What NodeFile does then is tried with calls of the system that fail as told.

type Done = (error: DiskError | null, count?: number) => void;
/** What the next writes fail with; undefined: they do not. And the next sync. */
let writeFailures: (string | undefined)[] = [];
let syncFailures: (string | undefined)[] = [];
let calls: string[] = [];

vi.mock('node:fs', async (original) => {
  const real = await original<typeof fs>();
  const failure = (code: string): DiskError => Object.assign(new Error(code), { code });
  const write = (name: 'write' | 'writev', args: unknown[]): void => {
    calls.push('write');
    const code = writeFailures.shift();
    if (code === undefined) (real[name] as (...all: unknown[]) => void)(...args);
    else setImmediate(args.at(-1) as Done, failure(code));
  };
  return {
    ...real,
    write: (...args: unknown[]) => write('write', args),
    writev: (...args: unknown[]) => write('writev', args),
    fdatasync: (descriptor: number, done: Done) => {
      calls.push('sync');
      const code = syncFailures.shift();
      if (code === undefined) real.fdatasync(descriptor, done);
      else setImmediate(done, failure(code));
    },
  };
});

let root: string;
let file: NodeFile;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pslib-room-'));
  file = new NodeFile(openSync(join(root, 'f'), 'wx+'));
  calls = [];
});

afterEach(async () => {
  await new Promise((resolve) => file.close(resolve));
  rmSync(root, { recursive: true });
});

/** Writes 1, 2, 3 in two parts at 0, and what came of it. */
function written(): Promise<DiskError | null> {
  return new Promise((resolve) => file.writeSynced([Uint8Array.of(1, 2), Uint8Array.of(3)], 0, resolve));
}

// Elsewhere write and sync are two calls from the start.
describe.runIf(process.platform === 'linux')('a write with its sync that finds no room', () => {
  it('is one call where there is room', async () => {
    expect(await written()).toBeNull();
    expect(calls).toEqual(['write']);
  });

  it.each(['ENOSPC', 'EDQUOT'])('is done again in two calls after %s', async (code) => {
    writeFailures = [code];
    expect(await written()).toBeNull();
    expect(calls).toEqual(['write', 'write', 'sync']);
    expect([...readFileSync(join(root, 'f'))]).toEqual([1, 2, 3]);
  });

  it('says so if the write alone finds none either', async () => {
    writeFailures = ['ENOSPC', 'ENOSPC'];
    expect(await written()).toMatchObject({ code: 'ENOSPC' });
    expect(calls).toEqual(['write', 'write']);
  });

  it('is a failed sync if the write alone finds room, and its sync none: that is not to be tried again', async () => {
    writeFailures = ['ENOSPC'];
    syncFailures = ['ENOSPC'];
    const error = await written();
    expect(error).toMatchObject({ code: 'EIO', message: syncFailure(new Error('ENOSPC')).message });
    expect(calls).toEqual(['write', 'write', 'sync']);
  });

  it('is not done again after any other error', async () => {
    writeFailures = ['EIO'];
    expect(await written()).toMatchObject({ code: 'EIO' });
    expect(calls).toEqual(['write']);
  });
});
