import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { crc32 } from '../../../src/io/storage/crc32.js';
import type { DiskDone, DiskError, DiskFile, DiskLock, DiskResult } from '../../../src/io/storage/disk.js';
import { NodeDisk } from '../../../src/io/storage/nodeDisk.js';

const disk = new NodeDisk();
let root: string;
let children: ChildProcess[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'pslib-disk-'));
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  rmSync(root, { recursive: true, force: true });
});

function given<T>(begin: (done: DiskResult<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, value) => (error === null ? resolve(value as T) : reject(error)));
  });
}

function done(begin: (done: DiskDone) => void): Promise<void> {
  return given<void>((end) => begin((error) => end(error)));
}

const codeOf = (error: unknown): string | undefined => (error as DiskError).code;

describe('NodeDisk', () => {
  it('writes parts of any size at any place, and reads them back', async () => {
    const file = await given<DiskFile>((end) => disk.open(join(root, 'f'), 'create', end));
    const large = Uint8Array.from({ length: 9_000_001 }, (_, i) => i * 7);
    const parts = [Uint8Array.of(1, 2, 3), new Uint8Array(0), large, Uint8Array.of(9)];
    await done((end) => file.write(parts, 5, end));
    await done((end) => file.write([], 5, end));
    await done((end) => file.sync(end));
    const size = 5 + 3 + large.length + 1;
    expect(await given<number>((end) => file.size(end))).toBe(size);
    const all = await given<Uint8Array>((end) => file.read(0, size + 100, end));
    expect(Buffer.compare(all, Buffer.concat([Buffer.alloc(5), ...parts]))).toBe(0);
    expect(await given<Uint8Array>((end) => file.read(size, 10, end))).toHaveLength(0);
    await done((end) => file.truncate(6, end));
    await done((end) => file.close(end));
    expect([...readFileSync(join(root, 'f'))]).toEqual([0, 0, 0, 0, 0, 1]);
  });

  it.each([
    ['that begins at a page', () => new WebAssembly.Memory({ initial: 200 }).buffer],
    ['that may not', () => new ArrayBuffer(200 * 65_536)],
  ])('writes large parts whose places agree from memory %s, among small ones', async (_name, memory) => {
    const file = await given<DiskFile>((end) => disk.open(join(root, 'f'), 'create', end));
    const bytes = new Uint8Array(memory());
    for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 + (i >> 12);
    const expected = Buffer.alloc(20_000_000);
    let at = 0;
    const add = async (...parts: Uint8Array[]): Promise<void> => {
      const synced = at % 3 === 0;
      await done((end) => (synced ? file.writeSynced(parts, at, end) : file.write(parts, at, end)));
      for (const part of parts) {
        expected.set(part, at);
        at += part.length;
      }
    };
    // The same place in a page, another, and none; longer and shorter than a call takes.
    await add(bytes.subarray(100, 4196 + 40));
    await add(bytes.subarray(at, at + 1_000_000), Uint8Array.of(1, 2, 3));
    await add(bytes.subarray((at % 4096) + 8192, (at % 4096) + 9_000_000));
    await add(bytes.subarray((at % 4096) + 1, (at % 4096) + 300_000));
    await add(bytes.subarray(at % 4096, (at % 4096) + 4_194_304), bytes.subarray(0, 70_000));
    await done((end) => file.sync(end));
    await done((end) => file.close(end));
    expect(Buffer.compare(readFileSync(join(root, 'f')), expected.subarray(0, at))).toBe(0);
  });

  it('writes and syncs in one, over zeros and behind them, also once the file has another name', async () => {
    const path = join(root, 'f');
    const file = await given<DiskFile>((end) => disk.open(path, 'create', end));
    await done((end) =>
      file.writeSynced([Uint8Array.of(1), Uint8Array.of(2, 3), new Uint8Array(5000)], 0, end),
    );
    await done((end) => disk.rename(path, join(root, 'g'), end));
    await done((end) => file.writeSynced([Uint8Array.of(4)], 3, end));
    await done((end) => file.writeSynced([], 0, end));
    await done((end) => file.close(end));
    expect([...readFileSync(join(root, 'g')).subarray(0, 6)]).toEqual([1, 2, 3, 4, 0, 0]);
    expect(readFileSync(join(root, 'g'))).toHaveLength(5003);
  });

  it('looks at a file by its name, whoever has it now', async () => {
    const path = join(root, 'owner');
    const look = (): Promise<Uint8Array> => given((end) => disk.peek(path, end));
    await expect(look()).rejects.toSatisfy((error) => codeOf(error) === 'ENOENT');
    writeFileSync(path, 'a'.repeat(5000));
    expect(Buffer.from(await look()).toString()).toBe('a'.repeat(4096));
    writeFileSync(join(root, 'other'), 'b');
    await done((end) => disk.rename(join(root, 'other'), path, end));
    expect(Buffer.from(await look()).toString()).toBe('b');
    rmSync(path);
    await expect(look()).rejects.toSatisfy((error) => codeOf(error) === 'ENOENT');
  });

  it('writes a thousand small parts in order', async () => {
    const file = await given<DiskFile>((end) => disk.open(join(root, 'f'), 'create', end));
    const parts = Array.from({ length: 2000 }, (_, i) => Uint8Array.of(i, i >> 8, 0));
    await done((end) => file.write(parts, 0, end));
    await done((end) => file.close(end));
    expect(Buffer.compare(readFileSync(join(root, 'f')), Buffer.concat(parts))).toBe(0);
  });

  it('tells the codes that the storage asks for', async () => {
    const path = join(root, 'f');
    await expect(given((end) => disk.open(path, 'read', end))).rejects.toSatisfy(
      (e) => codeOf(e) === 'ENOENT',
    );
    await expect(given((end) => disk.open(path, 'modify', end))).rejects.toSatisfy(
      (e) => codeOf(e) === 'ENOENT',
    );
    writeFileSync(path, 'x');
    await expect(given((end) => disk.open(path, 'create', end))).rejects.toSatisfy(
      (e) => codeOf(e) === 'EEXIST',
    );
    await expect(done((end) => disk.remove(join(root, 'g'), end))).rejects.toSatisfy(
      (e) => codeOf(e) === 'ENOENT',
    );
  });

  it('makes, lists, renames, removes and syncs', async () => {
    const directory = join(root, 'a', 'b');
    await done((end) => disk.makeDirectory(directory, end));
    await done((end) => disk.makeDirectory(directory, end));
    writeFileSync(join(directory, 'x'), '1');
    writeFileSync(join(directory, 'y'), '2');
    await done((end) => disk.rename(join(directory, 'x'), join(directory, 'y'), end));
    expect(await given((end) => disk.list(directory, end))).toEqual(['y']);
    expect(readFileSync(join(directory, 'y'), 'utf8')).toBe('1');
    await done((end) => disk.remove(join(directory, 'y'), end));
    await done((end) => disk.syncDirectory(directory, end));
    const { freeBytes, totalBytes } = await given<{ freeBytes: number; totalBytes: number }>((end) =>
      disk.space(directory, end),
    );
    expect(freeBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
  });

  it('has the checksum of zlib, and the one in plain JavaScript is the same', () => {
    expect(disk.checksum(new TextEncoder().encode('123456789'), 0)).toBe(0xcbf43926);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 50 }), (a, b) => {
        const whole = zlibCrc32(Buffer.concat([a, b]));
        expect(disk.checksum(b, disk.checksum(a, 0))).toBe(whole);
        expect(crc32(b, crc32(a))).toBe(whole);
      }),
    );
  });
});

describe('the lock of a directory', () => {
  const lock = (directory: string): Promise<DiskLock> => given((end) => disk.lock(directory, end));
  const isBusy = (error: unknown): boolean => codeOf(error) === 'EBUSY';

  async function holder(directory: string): Promise<ChildProcess> {
    const script = fileURLToPath(new URL('./lockHolder.ts', import.meta.url));
    const child = fork(script, [directory], { execArgv: ['--import', 'tsx'] });
    children.push(child);
    const [message] = await once(child, 'message');
    expect(message).toBe('locked');
    return child;
  }

  it('is taken once, and again when it is released; nothing is left', async () => {
    const first = await lock(root);
    await expect(lock(root)).rejects.toSatisfy(isBusy);
    await done((end) => first.release(end));
    const second = await lock(root);
    await done((end) => second.release(end));
    expect(readdirSync(root)).toEqual([]);
  });

  it('holds against other processes, stopped ones too, and ends with a kill', async () => {
    const child = await holder(root);
    await expect(lock(root)).rejects.toSatisfy(isBusy);
    child.kill('SIGSTOP');
    await expect(lock(root)).rejects.toSatisfy(isBusy);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const again = await lock(root);
    await done((end) => again.release(end));
  });

  it('works in a directory with a long path', async () => {
    const directory = join(root, 'x'.repeat(120), 'y'.repeat(120));
    mkdirSync(directory, { recursive: true });
    const first = await lock(directory);
    await expect(lock(directory)).rejects.toSatisfy(isBusy);
    await done((end) => first.release(end));
    expect(readdirSync(directory)).toEqual([]);
  });

  it('leaves a file alone that has its name and is not its own', async () => {
    writeFileSync(join(root, 'lock'), 'mine');
    await expect(lock(root)).rejects.toSatisfy(isBusy);
    expect(readFileSync(join(root, 'lock'), 'utf8')).toBe('mine');
    rmSync(join(root, 'lock'));
    await done((end) => lock(root).then((each) => each.release(end)));
  });
});
