import { describe, expect, it } from 'vitest';
import { type Failure, MemoryDisk } from '../../unit/storage/memoryDisk.js';
import { textOf } from '../../unit/storage/stateText.js';
import {
  StoredServer,
  type StoredServerOptions,
  type StoredWorker,
} from '../../unit/storage/storedServer.js';

const FAULT = 66;
const PUSHES = 6;

interface Run {
  readonly server: StoredServer;
  readonly a: StoredWorker;
  readonly disk: MemoryDisk;
}

/** A server that has taken one push, on a disk whose writes then find no room. */
function full(code: string, effect: Failure['effect'], options: StoredServerOptions = {}): Run {
  const disk = new MemoryDisk();
  const server = StoredServer.open(disk, options);
  const a = server.join('a');
  server.tick(1000);
  server.settle();
  server.push(a, [1, 1, 1, 1]);
  server.settle();
  disk.failure = (_call, name) => (name === 'write' ? { code, effect } : undefined);
  return { server, a, disk };
}

/** A second passes. */
function second(server: StoredServer): void {
  server.tick(1000);
  server.settle();
}

describe.each(['journal', 'journal-async'] as const)('%s: a write that finds no room', (durability) => {
  it.each([
    ['ENOSPC', 'none'],
    ['ENOSPC', 'half'],
    ['EDQUOT', 'whole'],
  ] as const)('%s, %s of it done: pushes wait or are refused, and nothing is lost', (code, effect) => {
    const { server, a, disk } = full(code, effect, { durability });
    server.push(a, [2, 2, 2, 2]);
    server.settle();
    second(server);
    second(server);
    server.push(a, [4, 4, 4, 4]);
    const reader = server.join('r', 'r', undefined, true);
    server.send(reader, { t: 13, request: 1, training: false, clock: 0, wait: false, consistent: true });
    server.settle();
    expect(a.isOpen).toBe(true);
    expect(a.results).toHaveLength(1);
    expect(reader.pulled).toEqual([-3, -3, -3, -3]);
    expect(server.errors).toEqual([]);
    expect(server.warnings).toEqual([expect.stringMatching(`waits for room on the disk: ${code}`)]);
    // What was answered survives, with the process and without power.
    for (const after of [disk.afterKill(), disk.afterPowerLoss(() => 0)]) {
      expect(StoredServer.open(after).state.sessions.get('a')?.committedSeq).toBe(1);
    }
    disk.failure = () => undefined;
    second(server);
    expect(a.results).toMatchObject([{ seq: 1 }, { seq: 2, outcome: 'applied' }]);
    expect(a.others.filter(({ t }) => t === FAULT)).toMatchObject([{ code: 10, seq: 3 }]);
    second(server);
    server.push(a, [8, 8, 8, 8]);
    server.settle();
    expect(a.results.at(-1)).toMatchObject({ seq: 4, outcome: 'applied' });
    expect(server.values).toEqual([-11, -11, -11, -11]);
    expect(textOf(StoredServer.open(disk.afterKill()).state)).toBe(textOf(server.state));
  });

  it('tries once more when the server closes, and does not wait for room', () => {
    for (const hasRoom of [true, false]) {
      const { server, a, disk } = full('ENOSPC', 'half', { durability });
      server.push(a, [2, 2, 2, 2]);
      server.settle();
      if (hasRoom) disk.failure = () => undefined;
      const ended = server.close();
      if (hasRoom) expect(ended).toBeNull();
      else expect(ended).toMatchObject({ code: 'PS_STORAGE', retryable: true });
      disk.failure = () => undefined;
      expect(StoredServer.open(disk.afterKill()).state.version).toBe(hasRoom ? 2 : 1);
    }
  });

  it('at any call, also of a new segment: is made good a second later', () => {
    const live = (disk: MemoryDisk): Run => {
      const server = StoredServer.open(disk, { durability });
      const a = server.join('a');
      second(server);
      for (let i = 0; i < PUSHES; i++) {
        server.push(a, [1, 1, 1, 1]);
        if (i % 2 === 1) second(server);
        if (i === 2) server.storage.checkpoint(() => {});
      }
      second(server);
      second(server);
      return { server, a, disk };
    };
    const written: number[] = [];
    const whole = new MemoryDisk();
    whole.failure = (call, name) => void (name === 'write' && written.push(call));
    live(whole);
    // The first belong to the checkpoint of a new directory, which must succeed.
    const opening = new MemoryDisk();
    StoredServer.open(opening, { durability });
    const later = written.filter((call) => call > opening.calls);
    expect(later.length).toBeGreaterThan(5);
    for (const n of later) {
      const disk = new MemoryDisk();
      disk.failure = (call) => (call === n ? { code: 'ENOSPC', effect: 'half' } : undefined);
      const { server, a } = live(disk);
      expect(server.errors).toEqual([]);
      const refused = a.others.filter(({ t }) => t === FAULT);
      expect(refused.every((each) => 'code' in each && each.code === 10)).toBe(true);
      expect(a.results.length + refused.length).toBe(PUSHES);
      expect(server.state.version).toBe(a.results.length);
      expect(textOf(StoredServer.open(disk.afterKill()).state)).toBe(textOf(server.state));
    }
  });
});

describe('a sync that finds no room', () => {
  it('is fatal, as every failed sync', () => {
    const { server, a, disk } = full('ENOSPC', 'none');
    disk.failure = (_call, name) => (name === 'sync' ? { code: 'ENOSPC', effect: 'none' } : undefined);
    server.push(a, [2, 2, 2, 2]);
    server.settle();
    expect(server.errors).toMatchObject([{ code: 'PS_STORAGE' }]);
    expect(a.isOpen).toBe(false);
  });
});

describe('zeros ahead of the journal', () => {
  it('are left out where only they have no room: pushes go on', () => {
    const disk = new MemoryDisk(1_048_576);
    const server = StoredServer.open(disk);
    const a = server.join('a');
    server.settle();
    // A checkpoint begins a new segment, whose zeros would not fit.
    const before = disk.usedBytes();
    disk.capacityBytes = before + 30_000;
    expect(server.checkpoint()).toBeNull();
    for (let i = 1; i <= 3; i++) {
      server.push(a, [i, i, i, i]);
      server.settle();
    }
    expect(a.results).toHaveLength(3);
    expect(server.warnings).toEqual([]);
    expect(server.errors).toEqual([]);
    expect(disk.usedBytes()).toBeLessThan(before + 30_000);
    expect(textOf(StoredServer.open(disk.afterPowerLoss(() => 0)).state)).toBe(textOf(server.state));
  });
});
