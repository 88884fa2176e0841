import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { type Failure, MemoryDisk } from '../../unit/storage/memoryDisk.js';
import {
  StoredServer,
  type StoredServerOptions,
  type StoredWorker,
} from '../../unit/storage/storedServer.js';

const PUSHES = 8;

/**
 * Two workers push, a checkpoint is taken in the middle, the server closes. Worker i adds 1 to cell i and to
 * a shared cell with each push. Returns how many pushes of each were answered. Goes as far as it can.
 */
function live(
  disk: MemoryDisk,
  options: StoredServerOptions,
): { server: StoredServer; acknowledged: number[] } {
  const server = new StoredServer(disk, options);
  const acknowledged = [0, 0];
  server.onResult = ({ id }, { outcome }) => {
    if (outcome === 'applied') acknowledged[Number(id)] = (acknowledged[Number(id)] as number) + 1;
  };
  if (server.open() !== null) return { server, acknowledged };
  const workers: StoredWorker[] = ['0', '1'].map((id) => server.join(id));
  server.settle();
  for (let i = 0; i < PUSHES; i++) {
    for (const worker of workers) {
      if (worker.isOpen) server.push(worker, worker.id === '0' ? [-1, 0, -1] : [0, -1, -1]);
    }
    // Twice the disk is idle between pushes, otherwise they come in groups.
    if (i % 4 === 1) server.settle();
    if (i === 4) server.storage.checkpoint(() => {});
  }
  server.settle();
  server.close();
  return { server, acknowledged };
}

const OPTIONS: StoredServerOptions = { parameters: { cells: { shape: [3] } }, checkpoint: { keep: 1 } };

/** Numbers of the pushes of worker `id` that were refused, because the disk was full. */
function refusalsOf({ observations }: StoredServer, id: string): number[] {
  return observations.flatMap((each) => (each.kind === 'rejected' && each.id === id ? [each.seq ?? 0] : []));
}

/** A restart on `disk` finds every push that `before` has answered, and each at most once. */
function expectNothingLost(
  disk: MemoryDisk,
  acknowledged: readonly number[],
  options = OPTIONS,
  before?: StoredServer,
): void {
  const server = StoredServer.open(disk, options);
  const [first, second, shared] = server.values as [number, number, number];
  expect(first).toBeGreaterThanOrEqual(acknowledged[0] as number);
  expect(second).toBeGreaterThanOrEqual(acknowledged[1] as number);
  expect(first).toBeLessThanOrEqual(PUSHES);
  expect(second).toBeLessThanOrEqual(PUSHES);
  expect(shared).toBe(first + second);
  for (const [id, value] of [first, second].entries()) {
    const committedSeq = server.state.sessions.get(String(id))?.committedSeq ?? 0;
    const refused = before === undefined ? [] : refusalsOf(before, String(id));
    expect(committedSeq - refused.filter((seq) => seq <= committedSeq).length).toBe(value);
  }
  expect(server.state.version).toBe(shared);
}

function callsOf(options: StoredServerOptions): number {
  const disk = new MemoryDisk();
  live(disk, options);
  return disk.calls;
}

describe.each(['journal', 'journal-async'] as const)(
  '%s: the N-th call of the disk fails, for every N',
  (durability) => {
    const options = { ...OPTIONS, durability };

    it.each(['none', 'half', 'whole'] as const)(
      'with %s of its effect: nothing that was answered is lost',
      (effect) => {
        const calls = callsOf(options);
        let failedJournals = 0;
        for (let n = 1; n <= calls; n++) {
          const code = n % 2 === 0 ? 'EIO' : 'ENOSPC';
          const disk = new MemoryDisk(n % 4 < 2 ? 0 : 1000);
          disk.failure = (call): Failure | undefined => (call === n ? { code, effect } : undefined);
          const { server, acknowledged } = live(disk, options);
          if (server.observations.length > 0 && server.errors.length > 0) failedJournals++;
          for (const error of server.errors)
            expect(error).toMatchObject({ code: 'PS_STORAGE', retryable: true });
          expectNothingLost(disk.afterKill(), acknowledged, options, server);
          if (durability === 'journal') {
            for (const seed of [1, 2, 3]) {
              const random = new Random(seed * 1000 + n);
              expectNothingLost(
                disk.afterPowerLoss(() => random.nextFloat()),
                acknowledged,
                options,
                server,
              );
            }
          }
        }
        expect(failedJournals).toBeGreaterThan(3);
      },
    );

    it('from the N-th call on, for every N: the same', () => {
      const calls = callsOf(options);
      for (let n = 1; n <= calls; n++) {
        const disk = new MemoryDisk();
        disk.failure = (call): Failure | undefined =>
          call >= n ? { code: 'EIO', effect: 'half' } : undefined;
        const { acknowledged } = live(disk, options);
        expectNothingLost(disk.afterKill(), acknowledged, options);
      }
    });
  },
);

describe('a loss of power between any two calls', () => {
  it('journal: loses nothing that was answered', () => {
    const calls = callsOf(OPTIONS);
    for (let n = 1; n <= calls; n++) {
      const disk = new MemoryDisk(n % 2 === 0 ? 0 : 1000);
      let lost: { disk: MemoryDisk; acknowledged: number[] } | undefined;
      const random = new Random(n);
      const acknowledged = [0, 0];
      disk.failure = (call) => {
        if (call === n) {
          lost = { disk: disk.afterPowerLoss(() => random.nextFloat()), acknowledged: [...acknowledged] };
        }
        return undefined;
      };
      const server = new StoredServer(disk, OPTIONS);
      server.onResult = ({ id }) => {
        acknowledged[Number(id)] = (acknowledged[Number(id)] as number) + 1;
      };
      server.open();
      const workers = ['0', '1'].map((id) => server.join(id));
      server.settle();
      for (let i = 0; i < PUSHES; i++) {
        for (const worker of workers) server.push(worker, worker.id === '0' ? [-1, 0, -1] : [0, -1, -1]);
        if (i === 4) server.storage.checkpoint(() => {});
        if (i % 3 === 0) disk.step();
      }
      server.settle();
      server.close();
      if (lost !== undefined) expectNothingLost(lost.disk, lost.acknowledged);
    }
  });
});

describe('when the journal has failed', () => {
  const failed = (effect: Failure['effect']): { server: StoredServer; a: StoredWorker; disk: MemoryDisk } => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, OPTIONS);
    const a = server.join('0');
    server.settle();
    server.push(a, [-1, 0, -1]);
    server.settle();
    disk.failure = (_call, name) => (name === 'sync' ? { code: 'EIO', effect } : undefined);
    server.push(a, [-1, 0, -1]);
    server.settle();
    disk.failure = () => undefined;
    return { server, a, disk };
  };

  it('pushes are not answered, workers lose their connection and are refused, with a retryable error', () => {
    const { server, a } = failed('none');
    expect(a.results).toHaveLength(1);
    expect(a.isOpen).toBe(false);
    expect(a.others.at(-1)).toMatchObject({ t: 66, code: 10 });
    expect(server.errors).toMatchObject([{ code: 'PS_STORAGE', retryable: true }]);
    const b = server.join('1');
    server.settle();
    expect(b.welcome).toBeUndefined();
    expect(b.isOpen).toBe(false);
  });

  it('is never tried again, but readers go on', () => {
    const { server, disk } = failed('none');
    let calls = 0;
    disk.failure = () => {
      calls++;
      return undefined;
    };
    const reader = server.join('r', 'r', undefined, true);
    server.send(reader, { t: 13, request: 1, training: false, clock: 0, wait: false, consistent: true });
    for (let ms = 0; ms < 5000; ms += 500) server.tick(500);
    server.settle();
    expect(reader.isOpen).toBe(true);
    expect(reader.others.some(({ t }) => t === 71)).toBe(true);
    expect(calls).toBe(0);
    expect(server.checkpoint()).toMatchObject({ code: 'PS_STORAGE' });
    const { committed, lost } = server.record({ kind: 'optimizer', learningRate: 3 });
    server.settle();
    expect([committed, lost]).toEqual([false, true]);
  });

  it('a restart answers the repeated push once, whether its record was written or not', () => {
    for (const effect of ['none', 'whole'] as const) {
      const { disk, server } = failed(effect);
      expect(server.close()).toMatchObject({ code: 'PS_STORAGE' });
      const again = StoredServer.open(disk, OPTIONS);
      const a = again.join('0', '0', again.core.lineage);
      again.settle();
      expect(a.welcome).toMatchObject({ resumed: true });
      for (let seq = (a.welcome?.committedSeq ?? 0) + 1; seq <= 2; seq++) again.push(a, [-1, 0, -1], { seq });
      again.settle();
      expect(again.values).toEqual([2, 0, 2]);
    }
  });
});

describe('a full disk', () => {
  it('refuses pushes with a retryable error, changes nothing, and takes them again when there is room', () => {
    const disk = new MemoryDisk();
    disk.capacityBytes = 2 ** 24;
    const shape = [100_000];
    const server = StoredServer.open(disk, { parameters: { w: { shape } }, limits: { chunkBytes: 2 ** 20 } });
    const a = server.join('a');
    server.settle();
    server.tick(1000);
    server.settle();
    const gradient = Array.from({ length: 100_000 }, () => 1);
    const faults = (): unknown[] => a.others.filter(({ t }) => t === 66);
    for (let i = 0; i < 60; i++) {
      server.push(a, gradient);
      server.settle();
      server.tick(100);
      server.settle();
    }
    const applied = a.results.length;
    expect(applied).toBeGreaterThan(20);
    expect(applied + faults().length).toBe(60);
    expect(faults()[0]).toMatchObject({ code: 10, seq: applied + 1 });
    expect(server.state.version).toBe(applied);
    expect(server.errors).toEqual([]);
    // What is refused takes its number, also over a restart.
    const again = StoredServer.open(disk.afterKill(), { parameters: { w: { shape } } });
    expect(again.state.version).toBe(applied);
    expect(again.state.sessions.get('a')?.committedSeq).toBe(60);
    // Room again.
    disk.capacityBytes = 2 ** 26;
    server.tick(1000);
    server.settle();
    server.push(a, gradient);
    server.settle();
    expect(a.results).toHaveLength(applied + 1);
  });

  it('a checkpoint that finds no room is reported, and the journal goes on', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk);
    const a = server.join('a');
    server.settle();
    disk.failure = (_call, name) => (name === 'open' ? { code: 'ENOSPC', effect: 'none' } : undefined);
    expect(server.checkpoint()).toMatchObject({ code: 'PS_STORAGE' });
    disk.failure = () => undefined;
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    expect(a.results).toHaveLength(1);
    expect(StoredServer.open(disk.afterKill()).state.version).toBe(1);
  });
});

describe('a directory that can only be read', () => {
  it('is refused with a typed error and left as it is', () => {
    const disk = new MemoryDisk();
    StoredServer.open(disk).close();
    const before = disk.files();
    disk.failure = (_call, name) =>
      ['makeDirectory', 'lock', 'write', 'rename', 'remove'].includes(name)
        ? { code: 'EROFS', effect: 'none' }
        : undefined;
    expect(new StoredServer(disk).open()).toMatchObject({ code: 'PS_STORAGE' });
    expect(disk.files()).toEqual(before);
  });
});
