import { describe, expect, it } from 'vitest';
import { asp, bsp, ssp } from '../../../src/core/consistency/consistency.js';
import { adam } from '../../../src/core/optim/adam.js';
import { ftrl } from '../../../src/core/optim/ftrl.js';
import { momentum } from '../../../src/core/optim/momentum.js';
import type { UserOptimizer } from '../../../src/core/optim/optimizer.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { MemoryDisk } from './memoryDisk.js';
import { textOf } from './stateText.js';
import { DIRECTORY, StoredServer } from './storedServer.js';

const names = (disk: MemoryDisk): string[] =>
  [...disk.files().keys()].map((path) => path.slice(DIRECTORY.length + 1)).sort();

describe('a segment whose last record has become zeros', () => {
  it('is found out by the segment behind it, and only by that', () => {
    const disk = new MemoryDisk(65_536);
    const first = StoredServer.open(disk);
    const worker = first.join('a');
    first.push(worker, [1, 1, 1, 1]);
    first.settle();
    const [path, before] = [...disk.files()].find(([name]) => name.endsWith('.pslog')) as [
      string,
      Uint8Array,
    ];
    // As it was before the last push: the same length, zeros at the end.
    const lost = before.slice();
    first.push(worker, [1, 1, 1, 1]);
    first.settle();
    expect(disk.read(path)).toHaveLength(lost.length);
    const alone = disk.afterKill();
    alone.put(path, lost);
    expect(StoredServer.open(alone).state.version).toBe(1);
    const second = StoredServer.open(disk.afterKill());
    second.join('b');
    second.settle();
    const followed = second.disk.afterKill();
    followed.put(path, lost);
    expect(() => StoredServer.open(followed)).toThrow('are missing');
  });
});

describe('a new data directory', () => {
  it('gets a checkpoint of the first values before anything is served', () => {
    const disk = new MemoryDisk();
    StoredServer.open(disk, { parameters: { w: { shape: [3], init: 'normal' } }, seed: 7 });
    expect(names(disk)).toEqual(['checkpoint-0000000000000000.safetensors']);
    const again = StoredServer.open(disk.afterKill(), {
      parameters: { w: { shape: [3], init: 'ones' } },
      seed: 8,
    });
    expect(again.values).not.toEqual([1, 1, 1]);
    expect(again.core.lineage).toBe('lineage-7');
  });

  it('is made anew when the first checkpoint was not finished', () => {
    const disk = new MemoryDisk();
    StoredServer.open(disk);
    const bytes = disk.read(`${DIRECTORY}/checkpoint-0000000000000000.safetensors`);
    const torn = new MemoryDisk();
    torn.put(`${DIRECTORY}/checkpoint-0000000000000000.safetensors.tmp`, bytes.subarray(0, 100));
    StoredServer.open(torn);
    expect(names(torn)).toEqual(['checkpoint-0000000000000000.safetensors']);
  });

  it('is refused when other files are in it, but not hidden ones', () => {
    const disk = new MemoryDisk();
    disk.put(`${DIRECTORY}/.gitkeep`, new Uint8Array(0));
    disk.put(`${DIRECTORY}/thesis.tex`, Uint8Array.of(1));
    const error = new StoredServer(disk).open();
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option: 'dataDir' } });
    expect(names(disk)).toEqual(['.gitkeep', 'thesis.tex']);
    disk.put(`${DIRECTORY}/thesis.tex`, undefined);
    expect(new StoredServer(disk).open()).toBeNull();
  });

  it('belongs to one server at a time', () => {
    const disk = new MemoryDisk();
    const first = StoredServer.open(disk);
    expect(new StoredServer(disk).open()).toMatchObject({ code: 'PS_DATA_DIR_IN_USE', retryable: true });
    expect(first.close()).toBeNull();
    expect(new StoredServer(disk).open()).toBeNull();
  });
});

describe('journal', () => {
  it('answers a push only when its record is synced', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk);
    const a = server.join('a');
    server.settle();
    server.push(a, [1, 2, 3, 4]);
    let synced = 0;
    const calls: string[] = [];
    disk.failure = (_call, name) => {
      calls.push(name);
      if (name === 'sync') synced++;
      return undefined;
    };
    while (a.results.length === 0 && disk.step());
    expect(a.results).toMatchObject([{ seq: 1, outcome: 'applied', version: 1 }]);
    expect(synced).toBe(1);
    // Behind it is looked at whose the directory is.
    expect(calls.slice(calls.indexOf('sync'))).toEqual(['sync', 'peek']);
  });

  it('writes everything that came during a sync as one group', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk);
    const workers = ['a', 'b', 'c'].map((id) => server.join(id));
    server.settle();
    let syncs = 0;
    disk.failure = (_call, name) => {
      if (name === 'sync') syncs++;
      return undefined;
    };
    for (const worker of workers) for (let i = 0; i < 4; i++) server.push(worker, [1, 1, 1, 1]);
    server.settle();
    expect(workers.map(({ results }) => results.length)).toEqual([4, 4, 4]);
    // The first record alone, then all others.
    expect(syncs).toBe(2);
  });

  it.each([
    ['sgd', sgd({ learningRate: 0.1 }), ssp({ staleness: 1 })],
    ['adam', adam({ learningRate: 0.1 }), asp()],
    ['ftrl', ftrl({ learningRate: 0.5, l1: 0.01 }), ssp({ staleness: 0 })],
    ['momentum under BSP', momentum({ learningRate: 0.1, momentum: 0.9 }), bsp()],
  ])('recovers the same bits after a kill: %s', (_name, optimizer, consistency) => {
    const disk = new MemoryDisk();
    const options = {
      parameters: { w: { shape: [2, 2], init: 'normal' }, b: { shape: [3] } },
      ...{ optimizer, consistency },
    } as const;
    const server = StoredServer.open(disk, options);
    const [a, b] = [server.join('a'), server.join('b')];
    server.settle();
    for (let i = 0; i < 5; i++) {
      server.step(a, [1, -2, 0.5, i, 1, 2, 3]);
      server.settle();
      server.step(b, [0.1, 0.2, 0.3, 0.4], { tensors: [0] });
      if (i === 2) expect(server.checkpoint()).toBeNull();
    }
    server.settle();
    const again = StoredServer.open(disk.afterKill(), options);
    expect(textOf(again.state)).toBe(textOf(server.state));
    expect(again.warnings).toEqual([]);
    expect(again.core.position).toBe(server.core.position);
  });

  it('recovers again what was recovered, with records of all lives, each in a segment of its own', () => {
    let disk = new MemoryDisk();
    let text = '';
    for (let life = 0; life < 4; life++) {
      const server = StoredServer.open(disk, { optimizer: adam() });
      if (life > 0) expect(textOf(server.state)).toBe(text);
      const a = server.join('a', `life ${life}`);
      server.settle();
      server.push(a, [life, 1, 2, 3]);
      server.settle();
      text = textOf(server.state);
      disk = disk.afterKill();
    }
    const segments = [1, 4, 8, 12].map((first) => `journal-${String(first).padStart(16, '0')}.pslog`);
    expect(names(disk)).toEqual(['checkpoint-0000000000000000.safetensors', ...segments]);
  });

  it('has records in the order of their effect, also where small ones come while a large push is applied', () => {
    const disk = new MemoryDisk();
    const options = { parameters: { w: { shape: [600_000] } }, limits: { chunkBytes: 4_000_000 } };
    const server = StoredServer.open(disk, options);
    const [a, b] = [server.join('a'), server.join('b')];
    server.settle();
    const gradient = Array.from({ length: 600_000 }, () => 1);
    server.step(a, gradient);
    // The first slice is applied. Meanwhile b enters, a is replaced, and c is new.
    server.send(b, { t: 10, request: 1 });
    server.drop(a);
    const other = server.join('a', 'another process');
    const c = server.join('c');
    server.send(c, { t: 10, request: 1 });
    server.settle();
    expect(other.welcome?.epoch).toBe(2);
    expect(server.state.version).toBe(1);
    const again = StoredServer.open(disk.afterKill(), options);
    expect(textOf(again.state)).toBe(textOf(server.state));
  });

  it('gives a resumed worker its place: a repeated push is a duplicate, the next is applied', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk);
    const a = server.join('a');
    server.settle();
    server.step(a, [1, 1, 1, 1]);
    server.step(a, [1, 1, 1, 1]);
    server.settle();
    const again = StoredServer.open(disk.afterKill());
    const back = again.join('a', 'a', again.core.lineage);
    again.settle();
    expect(back.welcome).toMatchObject({ resumed: true, committedSeq: 2, clock: 2, epoch: 1, version: 2 });
    again.push(back, [1, 1, 1, 1], { seq: 2, clock: 1 });
    again.push(back, [1, 1, 1, 1], { seq: 3 });
    again.settle();
    expect(back.results).toMatchObject([
      { seq: 2, duplicate: true, version: 2 },
      { seq: 3, duplicate: false, version: 3 },
    ]);
    expect(again.values).toEqual([-3, -3, -3, -3]);
  });

  it('makes durable what it recovers before it tells anyone', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk);
    const a = server.join('a');
    server.settle();
    // Killed between the write and its sync.
    let isWritten = false;
    disk.failure = (_call, name) => {
      isWritten ||= name === 'write';
      return name === 'sync' ? { code: 'EIO', effect: 'none' } : undefined;
    };
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    expect(isWritten).toBe(true);
    const next = disk.afterKill();
    const again = StoredServer.open(next);
    const back = again.join('a', 'a', again.core.lineage);
    again.settle();
    expect(back.welcome?.committedSeq).toBe(1);
    expect(StoredServer.open(next.afterPowerLoss(() => 0)).state.version).toBe(1);
  });

  it('keeps everyone in the clock table for one full lease after a recovery', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { limits: { leaseMs: 1000 } });
    const a = server.join('a');
    server.settle();
    server.step(a, [1, 1, 1, 1]);
    server.settle();
    const again = StoredServer.open(disk.afterKill(), { limits: { leaseMs: 1000 } });
    expect([...again.state.clocks.entries()]).toEqual([['a', 1]]);
    for (let ms = 0; ms < 900; ms += 100) again.tick(100);
    expect(again.state.clocks.has('a')).toBe(true);
    for (let ms = 0; ms < 300; ms += 100) again.tick(100);
    expect(again.state.clocks.has('a')).toBe(false);
    again.settle();
    expect(again.state.clocks.minClock).toBe(1);
  });
});

describe('journal-async', () => {
  it('answers when a record is written, and syncs it within a second', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { durability: 'journal-async' });
    const a = server.join('a');
    server.settle();
    server.tick(50);
    let syncs = 0;
    disk.failure = (_call, name) => {
      if (name === 'sync') syncs++;
      return undefined;
    };
    server.push(a, [1, 2, 3, 4]);
    server.settle();
    expect(a.results).toHaveLength(1);
    expect(syncs).toBe(0);
    for (let ms = 0; ms < 900; ms += 50) server.tick(50);
    server.settle();
    expect(syncs).toBe(1);
    const never = (): number => 0;
    expect(StoredServer.open(disk.afterPowerLoss(never), { durability: 'journal-async' }).state.version).toBe(
      1,
    );
  });

  it('loses at most what was not synced', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { durability: 'journal-async' });
    const a = server.join('a');
    server.push(a, [1, 2, 3, 4]);
    server.settle();
    expect(StoredServer.open(disk.afterKill(), { durability: 'journal-async' }).state.version).toBe(1);
    expect(
      StoredServer.open(
        disk.afterPowerLoss(() => 0),
        { durability: 'journal-async' },
      ).state.version,
    ).toBe(0);
  });
});

describe('a directory that was written with another durability', () => {
  it.each([
    ['journal-async', 'journal'],
    ['checkpoint', 'journal'],
    ['checkpoint', 'journal-async'],
  ] as const)('may lack sessions: their workers are let in again (%s, then %s)', (before, durability) => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { durability: before });
    const a = server.join('a');
    server.settle();
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    expect(a.results).toHaveLength(1);
    const next = disk.afterPowerLoss(() => 0);
    const again = StoredServer.open(next, { durability });
    expect(again.state.sessions.size).toBe(0);
    const back = again.join('a', 'a', server.core.lineage);
    again.settle();
    expect(back.welcome).toMatchObject({ resumed: false, epoch: 1 });
    expect(again.close()).toBeNull();
    // From now on the directory says how it is kept since.
    const third = StoredServer.open(next, { durability });
    const stranger = third.join('stranger', 'key', server.core.lineage);
    third.settle();
    expect(stranger.isOpen).toBe(durability !== 'journal');
    expect(third.state.sessions.has('a')).toBe(true);
  });

  it('says so in a checkpoint that it takes at once, and once only', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { durability: 'journal-async' });
    server.push(server.join('a'), [1, 1, 1, 1]);
    server.settle();
    expect(server.close()).toBeNull();
    const first = names(disk);
    StoredServer.open(disk, { durability: 'journal-async' }).close();
    expect(names(disk)).toEqual(first);
    const again = StoredServer.open(disk, { durability: 'journal' });
    expect(textOf(again.state)).toBe(textOf(server.state));
    const position = String(server.core.position).padStart(16, '0');
    expect(names(disk)).toContain(`checkpoint-${position}.safetensors`);
    expect(again.close()).toBeNull();
    const second = names(disk);
    StoredServer.open(disk, { durability: 'journal' }).close();
    expect(names(disk)).toEqual(second);
  });
});

describe('checkpoint without a journal', () => {
  it('goes back to the last checkpoint, and a clean close takes one', () => {
    const disk = new MemoryDisk();
    const options = { durability: 'checkpoint', checkpoint: { intervalMs: 1000 } } as const;
    const server = StoredServer.open(disk, options);
    const a = server.join('a');
    server.push(a, [1, 1, 1, 1]);
    server.tick(1000);
    server.settle();
    expect(server.checkpoints).toMatchObject([{ version: 1 }]);
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    expect(a.results).toHaveLength(2);
    expect(StoredServer.open(disk.afterKill(), options).state.version).toBe(1);
    expect(server.close()).toBeNull();
    const again = StoredServer.open(disk, options);
    expect(again.state.version).toBe(2);
    expect(names(disk).filter((name) => name.startsWith('journal'))).toEqual([]);
  });

  it('is durable when it is reported', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { durability: 'checkpoint' });
    const a = server.join('a');
    server.push(a, [1, 1, 1, 1]);
    expect(server.checkpoint()).toBeNull();
    const next = disk.afterPowerLoss(() => 0);
    expect(StoredServer.open(next, { durability: 'checkpoint' }).state.version).toBe(1);
  });

  it('takes over the journal that a server with another mode left', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk);
    const a = server.join('a');
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    const next = disk.afterKill();
    const again = StoredServer.open(next, { durability: 'checkpoint' });
    expect(textOf(again.state)).toBe(textOf(server.state));
    expect(names(next)).toEqual([
      'checkpoint-0000000000000000.safetensors',
      'checkpoint-0000000000000003.safetensors',
    ]);
  });
});

describe('checkpoints', () => {
  const pushes = (server: StoredServer, count: number): void => {
    const a = server.join(`w${server.core.position}`);
    for (let i = 0; i < count; i++) {
      server.push(a, [1, 1, 1, 1]);
      server.settle();
    }
  };

  it('come by time and by bytes of journal, and not when nothing has changed', () => {
    const server = StoredServer.open(new MemoryDisk(), {
      checkpoint: { intervalMs: 10_000, journalBytes: 2000 },
    });
    server.tick(20_000);
    server.settle();
    expect(server.checkpoints).toHaveLength(0);
    pushes(server, 1);
    server.tick(50);
    server.settle();
    expect(server.checkpoints).toHaveLength(1);
    pushes(server, 1);
    server.tick(50);
    server.settle();
    expect(server.checkpoints).toHaveLength(1);
    pushes(server, 20);
    server.tick(50);
    server.settle();
    expect(server.checkpoints).toHaveLength(2);
    expect(server.errors).toEqual([]);
  });

  it('are kept as many as wanted, with the journal that the oldest needs', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { checkpoint: { keep: 2 } });
    for (let i = 0; i < 4; i++) {
      pushes(server, 2);
      expect(server.checkpoint()).toBeNull();
    }
    pushes(server, 1);
    expect(names(disk)).toEqual([
      'checkpoint-0000000000000012.safetensors',
      'checkpoint-0000000000000016.safetensors',
      'journal-0000000000000013.pslog',
      'journal-0000000000000017.pslog',
    ]);
    // The newest is damaged: the one before and its journal give the same state.
    const damaged = disk.afterKill();
    const path = `${DIRECTORY}/checkpoint-0000000000000016.safetensors`;
    const bytes = damaged.read(path);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] as number) ^ 1;
    const again = StoredServer.open(damaged, { checkpoint: { keep: 2 } });
    expect(textOf(again.state)).toBe(textOf(server.state));
    expect(again.warnings).toHaveLength(1);
    expect(names(damaged)).toContain('checkpoint-0000000000000016.safetensors.corrupt');
  });

  it('are taken between two updates while records without arrays go on', () => {
    const disk = new MemoryDisk();
    // Two slices of copying.
    const options = { parameters: { w: { shape: [600_000] } }, limits: { chunkBytes: 4_000_000 } };
    const server = StoredServer.open(disk, options);
    const a = server.join('a');
    server.settle();
    server.push(
      a,
      Array.from({ length: 600_000 }, () => 1),
    );
    server.settle();
    let isDone = false;
    server.storage.checkpoint(() => {
      isDone = true;
    });
    // The first slice is copied; a worker joins before the rest is.
    expect(isDone).toBe(false);
    const b = server.join('b');
    server.settle();
    expect(isDone).toBe(true);
    expect(b.welcome).toBeDefined();
    const again = StoredServer.open(disk.afterKill(), options);
    expect(textOf(again.state)).toBe(textOf(server.state));
    expect(again.state.sessions.has('b')).toBe(true);
  });

  it('take the place of one that was not finished', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk);
    pushes(server, 1);
    const path = `${DIRECTORY}/checkpoint-${String(server.core.position).padStart(16, '0')}.safetensors`;
    disk.put(`${path}.tmp`, Uint8Array.of(1, 2, 3));
    expect(server.checkpoint()).toBeNull();
    expect(names(disk)).not.toContain(`${path}.tmp`);
    expect(disk.read(path).length).toBeGreaterThan(100);
  });

  it('never go below one that has only finite parameters', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { checkpoint: { keep: 1 } });
    pushes(server, 1);
    expect(server.checkpoint()).toBeNull();
    const finite = server.core.position;
    server.record({ kind: 'load', values: Float32Array.of(1, Number.NaN, 1, 1) });
    for (let i = 0; i < 3; i++) {
      pushes(server, 1);
      expect(server.checkpoint()).toBeNull();
    }
    const kept = names(disk).filter((name) => name.startsWith('checkpoint'));
    expect(kept).toHaveLength(2);
    expect(kept[0]).toBe(`checkpoint-${String(finite).padStart(16, '0')}.safetensors`);
  });
});

describe('settings', () => {
  const restart = (disk: MemoryDisk, options: Parameters<typeof StoredServer.open>[1]): StoredServer =>
    StoredServer.open(disk.afterKill(), options);

  it('that were changed while the server ran survive', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { optimizer: sgd({ learningRate: 1 }) });
    const done = [
      server.record({ kind: 'optimizer', optimizer: adam({ learningRate: 0.5 }) }),
      server.record({ kind: 'optimizer', learningRate: 0.25 }),
      server.record({ kind: 'consistency', model: asp(), rates: [0.25] }),
    ];
    server.settle();
    expect(done.every(({ committed }) => committed)).toBe(true);
    const again = restart(disk, { optimizer: sgd({ learningRate: 1 }) });
    expect(again.state.table.groups[0]).toMatchObject({ optimizer: { name: 'adam' }, learningRate: 0.25 });
    expect(again.state.model).toEqual(asp());
    expect(again.checkpoint()).toBeNull();
    const third = restart(again.disk, { optimizer: sgd({ learningRate: 1 }) });
    expect(third.state.table.groups[0]).toMatchObject({ optimizer: { name: 'adam' }, learningRate: 0.25 });
    expect(third.state.model).toEqual(asp());
  });

  it('in the options that were changed since count, and the replay keeps what was true before', () => {
    const disk = new MemoryDisk();
    const before = {
      optimizer: momentum({ learningRate: 1, momentum: 0.5 }),
      consistency: ssp({ staleness: 1 }),
    };
    const server = StoredServer.open(disk, before);
    const a = server.join('a');
    server.push(a, [1, 1, 1, 1]);
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    expect(server.values[0]).toBe(-2.5);
    const after = {
      optimizer: momentum({ learningRate: 0.5, momentum: 0 }),
      consistency: ssp({ staleness: 2 }),
    };
    const again = restart(disk, after);
    again.settle();
    expect(again.values[0]).toBe(-2.5);
    const b = again.join('b');
    again.push(b, [1, 1, 1, 1]);
    again.settle();
    expect(again.values[0]).toBe(-3);
    expect(again.state.model).toEqual(ssp({ staleness: 2 }));
    // All of it from the first checkpoint, once more.
    const third = restart(again.disk, after);
    expect(textOf(third.state)).toBe(textOf(again.state));
  });

  it('refuse an optimizer that can not go on with the slots', () => {
    const disk = new MemoryDisk();
    StoredServer.open(disk, { optimizer: adam() });
    const before = disk.afterKill();
    const error = new StoredServer(before, { optimizer: momentum() }).open();
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option: 'optimizer' } });
    expect(error?.message).toContain('"adam"');
    expect(new StoredServer(before, { optimizer: adam() }).open()).toBeNull();
  });

  const doubling = (name = 'doubling'): UserOptimizer => ({
    name,
    slots: ['seen'],
    learningRate: (version) => version + 1,
    apply(parameter, gradient, [seen], { learningRate }) {
      for (let i = 0; i < parameter.length; i++) {
        parameter[i] = (parameter[i] as number) - 2 * learningRate * (gradient[i] as number);
        (seen as Float32Array)[i] = (gradient[i] as number) + ((seen as Float32Array)[i] as number);
      }
    },
  });

  it('that are code come from the options: the rates that were used stand in the records', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { optimizer: doubling() });
    const a = server.join('a');
    server.push(a, [1, 1, 1, 1]);
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    expect(server.values[0]).toBe(-6);
    const asked: number[] = [];
    const other = { ...doubling(), learningRate: (version: number) => asked.push(version) };
    const again = restart(disk, { optimizer: other });
    expect(again.values[0]).toBe(-6);
    expect(asked).toEqual([]);
    const error = new StoredServer(disk.afterKill(), { optimizer: doubling('tripling') }).open();
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT' });
  });

  it('that were a schedule set while the server ran give way to the options, with a warning', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { optimizer: sgd({ learningRate: 2 }) });
    server.record({ kind: 'optimizer', learningRate: (version) => 10 + version });
    const a = server.join('a');
    server.push(a, [1, 1, 1, 1]);
    server.settle();
    const again = restart(disk, { optimizer: sgd({ learningRate: 2 }) });
    expect(again.values[0]).toBe(-10);
    expect(again.warnings).toHaveLength(1);
    expect(again.state.table.groups[0]?.learningRate).toBe(2);
    again.settle();
    expect(restart(again.disk, { optimizer: sgd({ learningRate: 2 }) }).warnings).toEqual([]);
  });
});

describe('a state that does not fit', () => {
  it.each([
    ['another shape', { parameters: { w: { shape: [5] } } }, 'parameters'],
    ['another name', { parameters: { v: { shape: [4] } } }, 'parameters'],
    ['one more', { parameters: { w: { shape: [4] }, v: { shape: [1] } } }, 'parameters'],
    ['an optimizer of its own', { parameters: { w: { shape: [4], optimizer: sgd() } } }, 'parameters'],
    ['another shard', { shard: { index: 1, count: 2 } }, 'shard'],
  ])('is refused and left alone: %s', (_name, options, option) => {
    const disk = new MemoryDisk();
    StoredServer.open(disk);
    const before = disk.afterKill();
    const error = new StoredServer(before, options).open();
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option } });
    expect(StoredServer.open(before).core.lineage).toBe('lineage-0');
  });
});
