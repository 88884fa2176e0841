/**
 * One directory, two machines that do not see each other's locks: the first stands still at any call of its disk,
 * the second takes over, and the first goes on.
 */
import { describe, expect, it } from 'vitest';
import { Random } from '../../../src/core/base/random.js';
import { MemoryDisk } from '../../unit/storage/memoryDisk.js';
import { textOf } from '../../unit/storage/stateText.js';
import {
  DIRECTORY,
  StoredServer,
  type StoredServerOptions,
  type StoredWorker,
} from '../../unit/storage/storedServer.js';

const PUSHES = 9;
/** All checkpoints are kept, so that each can be begun from. */
const CELLS: StoredServerOptions = { parameters: { cells: { shape: [3] } }, checkpoint: { keep: 50 } };

function options(host: string, durability: 'journal' | 'journal-async' | 'checkpoint'): StoredServerOptions {
  return { ...CELLS, durability, self: { token: host.repeat(4), host, boot: `boot of ${host}`, pid: 7 } };
}

/** A server whose steps are taken one by one, and a worker of it that adds 1 to its cell and to a shared one. */
class Host {
  readonly server: StoredServer;
  readonly id: string;
  /** The directory was another's when it was opened, or has become so. */
  hasLost = false;
  #worker: StoredWorker | undefined;
  readonly #program: (() => void)[];

  constructor(id: string, disk: MemoryDisk, durability: 'journal' | 'journal-async' | 'checkpoint') {
    this.id = id;
    this.server = new StoredServer(disk, options(id, durability));
    const push = (): void => this.push();
    const tick = (): void => this.server.tick(1000);
    this.#program = [
      () =>
        this.server.storage.open(this.server.core, (error) => {
          if (error === null) return;
          this.hasLost = true;
          this.#program.splice(0);
        }),
      () => {
        this.#worker = this.server.join(this.id);
      },
      ...[push, push, tick, push, () => this.server.storage.checkpoint(() => {}), push, tick],
      ...[
        () => this.push(2),
        tick,
        tick,
        push,
        () => this.server.storage.checkpoint(() => {}),
        push,
        tick,
        push,
      ],
    ];
  }

  get worker(): StoredWorker {
    return this.#worker as StoredWorker;
  }

  /** Pushes that were answered as applied. */
  get acknowledged(): number {
    return this.#worker?.results.filter(({ outcome }) => outcome === 'applied').length ?? 0;
  }

  push(count = 1): void {
    for (let i = 0; i < count; i++) {
      if (this.#worker?.isOpen === true)
        this.server.push(this.#worker, this.id === 'a' ? [-1, 0, -1] : [0, -1, -1]);
    }
  }

  /** Goes on until the disk has got `calls` calls, or there is nothing more to do. */
  runTo(calls: number): void {
    while (this.server.disk.calls < calls) {
      if (this.server.proceed()) continue;
      const next = this.#program.shift();
      if (next === undefined) return;
      next();
    }
  }

  /** What worker a was not told here it sends again, and says as much as the first host would have heard. */
  finish(): void {
    this.server.settle();
    const a = this.server.join('a');
    this.server.settle();
    while (a.seq < PUSHES) {
      this.server.push(a, [-1, 0, -1]);
      this.server.settle();
    }
    this.push(3);
    this.server.settle();
  }
}

function callsOf(durability: 'journal' | 'journal-async' | 'checkpoint'): { opening: number; all: number } {
  const host = new Host('a', new MemoryDisk(), durability);
  host.runTo(1);
  host.server.settle();
  const opening = host.server.disk.calls;
  host.runTo(Number.POSITIVE_INFINITY);
  expect(host.acknowledged).toBe(PUSHES);
  return { opening, all: host.server.disk.calls };
}

/** Whatever another wrote late: what is found on `disk`, from whichever checkpoint, is the state of `server`, or refused. */
function expectStateOf(server: StoredServer, disk: MemoryDisk, mayRefuse = false): void {
  const checkpoints = [...disk.files().keys()].filter((path) => path.includes('/checkpoint-')).sort();
  expect(checkpoints.length).toBeGreaterThan(1);
  for (let newest = checkpoints.length; newest > 0; newest--) {
    const after = disk.afterKill();
    for (const path of checkpoints.slice(newest)) after.put(path, Uint8Array.of(1, 2, 3));
    const again = new StoredServer(after, CELLS);
    const error = again.open();
    if (mayRefuse && error !== null) expect(error.code).toBe('PS_CORRUPT');
    else expect(textOf(again.state)).toBe(textOf(server.state));
    if (newest === checkpoints.length) expect(error).toBeNull();
  }
}

describe.each(['journal', 'journal-async'] as const)(
  '%s: a server that stands still, and is replaced',
  (durability) => {
    it.each([false, true])('at any call, whose effect comes late: %s', (isLate) => {
      const { opening, all } = callsOf(durability);
      expect(all - opening).toBeGreaterThan(60);
      for (let stop = opening + 1; stop <= all; stop++) {
        const disk = new MemoryDisk();
        disk.isLate = (call) => isLate && call === stop;
        const first = new Host('a', disk, durability);
        first.runTo(stop);
        const told = first.acknowledged;
        const second = new Host('b', disk.otherHost(), durability);
        second.runTo(Number.POSITIVE_INFINITY);
        const seen = second.server.state.sessions.get('a')?.committedSeq ?? 0;
        first.runTo(Number.POSITIVE_INFINITY);
        // What it had looked at before it stood still it may still say: the second has seen it. Nothing else.
        expect(first.acknowledged).toBeLessThanOrEqual(seen);
        expect(told).toBeLessThanOrEqual(seen);
        second.finish();
        expect(second.server.errors).toEqual([]);
        expect(second.server.values).toEqual([PUSHES, PUSHES + 3, 2 * PUSHES + 3]);
        expect(second.acknowledged).toBe(PUSHES + 3);
        expectStateOf(second.server, disk);
      }
    });

    it('about to cut off what found no room', () => {
      const disk = new MemoryDisk();
      const first = new Host('a', disk, durability);
      first.runTo(Number.POSITIVE_INFINITY);
      let isAsked = false;
      disk.failure = (_call, name) => (name === 'write' ? { code: 'ENOSPC', effect: 'whole' } : undefined);
      disk.isLate = (_call, name) => {
        isAsked ||= name === 'truncate';
        return name === 'truncate';
      };
      first.push();
      while (!isAsked && first.server.proceed());
      expect(isAsked).toBe(true);
      const second = StoredServer.open(disk.otherHost(), options('b', durability));
      first.server.settle();
      expect(second.values[0]).toBe(PUSHES + 1);
      second.push(second.join('b'), [0, -1, -1]);
      second.settle();
      expect(textOf(StoredServer.open(disk.afterKill(), CELLS).state)).toBe(textOf(second.state));
    });

    it('in a checkpoint of what is not in the journal yet', () => {
      let isOver = false;
      for (let calls = 1; !isOver; calls++) {
        const disk = new MemoryDisk();
        const first = new Host('a', disk, durability);
        first.runTo(Number.POSITIVE_INFINITY);
        disk.failure = (_call, name) => (name === 'write' ? { code: 'ENOSPC', effect: 'half' } : undefined);
        first.push();
        first.server.settle();
        disk.failure = () => undefined;
        const stop = disk.calls + calls;
        first.server.storage.checkpoint(() => {});
        first.runTo(stop);
        isOver = disk.calls < stop;
        const second = new Host('b', disk.otherHost(), durability);
        second.runTo(Number.POSITIVE_INFINITY);
        first.runTo(Number.POSITIVE_INFINITY);
        second.push();
        second.server.settle();
        // Nothing but that checkpoint has it.
        expectStateOf(second.server, disk, true);
      }
    });

    it('says that it has lost the directory, once, and refuses', () => {
      const disk = new MemoryDisk();
      const first = new Host('a', disk, durability);
      first.runTo(Number.POSITIVE_INFINITY);
      const second = new Host('b', disk.otherHost(), durability);
      second.runTo(Number.POSITIVE_INFINITY);
      expect(second.server.warnings).toEqual([
        `"${DIRECTORY}" was not closed by the server on a (process 7): waiting 10 s to see whether it lives`,
      ]);
      expect(second.acknowledged).toBe(PUSHES);
      first.push();
      first.server.settle();
      first.server.tick(3000);
      first.server.settle();
      expect(first.acknowledged).toBe(PUSHES);
      expect(first.worker.isOpen).toBe(false);
      expect(first.server.errors).toMatchObject([{ code: 'PS_DATA_DIR_IN_USE' }]);
      expect(first.server.errors[0]?.message).toBe(
        `"${DIRECTORY}" is not this server's any more: the server on b (process 7) has taken it over`,
      );
      expect(first.server.checkpoint()).toMatchObject({ code: 'PS_DATA_DIR_IN_USE' });
      expect(first.server.close()).toMatchObject({ code: 'PS_DATA_DIR_IN_USE' });
      expect(second.server.close()).toBeNull();
    });
  },
);

it('a server without a journal finds out by itself, and takes no checkpoint', () => {
  const disk = new MemoryDisk();
  const first = new Host('a', disk, 'checkpoint');
  first.runTo(Number.POSITIVE_INFINITY);
  const second = StoredServer.open(disk.otherHost(), options('b', 'checkpoint'));
  const files = disk.files();
  expect(first.server.checkpoint()).toMatchObject({ code: 'PS_DATA_DIR_IN_USE' });
  expect(disk.files()).toEqual(files);
  expect(first.server.errors).toMatchObject([{ code: 'PS_DATA_DIR_IN_USE' }]);
  expect(second.close()).toBeNull();
});

describe('a directory whose owner is elsewhere', () => {
  it('is refused while that one lives, and left as it is', () => {
    const disk = new MemoryDisk();
    const first = StoredServer.open(disk, options('a', 'journal'));
    const second = new StoredServer(disk.otherHost(), options('b', 'journal'));
    let ended: unknown;
    second.storage.open(second.core, (error) => {
      ended = error;
    });
    for (let looks = 0; ended === undefined && second.proceed(); looks++) {
      if (looks % 20 === 19) first.tick(2000);
      first.settle();
    }
    expect(ended).toMatchObject({ code: 'PS_DATA_DIR_IN_USE', retryable: true });
    expect((ended as Error).message).toBe(`"${DIRECTORY}" is used by the server on a (process 7)`);
    const a = first.join('a');
    first.settle();
    first.push(a, [1, 1, 1]);
    first.settle();
    expect(a.results).toHaveLength(1);
    expect(first.errors).toEqual([]);
  });

  it('is taken at once when that one has closed it', () => {
    const disk = new MemoryDisk();
    expect(StoredServer.open(disk, options('a', 'journal')).close()).toBeNull();
    const second = StoredServer.open(disk.otherHost(), options('b', 'journal'));
    expect(second.now).toBe(1000);
    expect(second.warnings).toEqual([]);
    const owner = new TextDecoder().decode(disk.read(`${DIRECTORY}/owner`));
    expect(owner).toMatch(/^{"life":2,"token":"bbbb","host":"b",.*}\n{"beat":0} *\n$/);
  });

  it('is taken by one of two that find it at the same time, wherever either stands still', () => {
    for (let stop = 1; stop < 40; stop++) {
      const disk = new MemoryDisk();
      const first = new Host('a', disk, 'journal');
      first.runTo(stop);
      const second = new Host('b', disk.otherHost(), 'journal');
      second.runTo(Number.POSITIVE_INFINITY);
      first.runTo(Number.POSITIVE_INFINITY);
      const { values } = StoredServer.open(disk.afterKill(), CELLS);
      expect(values[0]).toBeGreaterThanOrEqual(first.acknowledged);
      expect(values[1]).toBeGreaterThanOrEqual(second.acknowledged);
      expect(first.acknowledged + second.acknowledged).toBeGreaterThanOrEqual(PUSHES);
      expect(values[2]).toBe((values[0] as number) + (values[1] as number));
    }
  });

  it('is held by the last that took it, in whatever order both work', () => {
    let neither = 0;
    for (let seed = 1; seed <= 120; seed++) {
      const random = new Random(seed);
      const disk = new MemoryDisk();
      const other = disk.otherHost();
      const [first, second] = [new Host('a', disk, 'journal'), new Host('b', other, 'journal')];
      first.runTo(random.nextInt(80));
      for (let turns = 0; turns < 400; turns++) {
        const host = random.nextInt(3) === 0 ? first : second;
        host.runTo(host.server.disk.calls + random.nextInt(12));
      }
      for (const host of [first, second]) {
        host.runTo(Number.POSITIVE_INFINITY);
        host.push();
        host.server.settle();
      }
      const [last, ...others] = [first, second].filter(
        ({ server, hasLost }) => !hasLost && server.errors.length === 0,
      );
      expect(others).toEqual([]);
      // Two that start at once may take each other's temporary files away. Then neither starts: they are to be started again.
      if (last === undefined) neither++;
      const server = last?.server ?? StoredServer.open(disk.afterKill(), CELLS);
      expectStateOf(server, disk);
      const [a, b, all] = server.values as [number, number, number];
      expect(a).toBeGreaterThanOrEqual(first.acknowledged);
      expect(b).toBeGreaterThanOrEqual(second.acknowledged);
      expect(all).toBe(a + b);
    }
    expect(neither).toBeLessThan(5);
  });

  it('is looked at again when there was no free descriptor', () => {
    const disk = new MemoryDisk();
    const first = new Host('a', disk, 'journal');
    first.runTo(Number.POSITIVE_INFINITY);
    let refusals = 0;
    disk.failure = (_call, name) =>
      name === 'peek' && refusals++ < 3 ? { code: 'EMFILE', effect: 'none' } : undefined;
    first.push();
    first.server.settle();
    expect(refusals).toBeGreaterThan(3);
    expect(first.acknowledged).toBe(PUSHES + 1);
  });

  it('that is gone, or says nothing that is known, is no owner', () => {
    const disk = new MemoryDisk();
    const first = new Host('a', disk, 'journal');
    first.runTo(Number.POSITIVE_INFINITY);
    disk.put(`${DIRECTORY}/owner`, undefined);
    first.push();
    first.server.settle();
    expect(first.acknowledged).toBe(PUSHES);
    expect(first.server.errors[0]?.message).toContain('the file "owner" is gone');
    disk.put(`${DIRECTORY}/owner`, Uint8Array.of(0, 255, 10, 123));
    const second = StoredServer.open(disk.otherHost(), options('b', 'journal'));
    expect(second.warnings).toMatchObject([expect.stringContaining('was not closed by another server')]);
    expect(second.values[0]).toBeGreaterThanOrEqual(PUSHES);
  });
});
