/** Checkpoints of sparse tables: of all rows, or of those that have changed since; what is kept, and what damage does. */
import { describe, expect, it } from 'vitest';
import { adagrad } from '../../../src/core/optim/adagrad.js';
import { sgd } from '../../../src/core/optim/sgd.js';
import { MessageType } from '../../../src/core/protocol/messages.js';
import { decodeSafetensorsHeader, headerLength, LENGTH_BYTES } from '../../../src/io/storage/safetensors.js';
import { differenceOf } from '../../../src/testing/check/stateDifference.js';
import { MemoryDisk } from './memoryDisk.js';
import { DIRECTORY, StoredServer, type StoredServerOptions, type StoredWorker } from './storedServer.js';

const OPTIONS = {
  tables: { words: { dim: 2 }, few: { dim: 1, maxRows: 4, optimizer: adagrad({ learningRate: 1 }) } },
  checkpoint: { keep: 2 },
} satisfies StoredServerOptions;

const checkpoints = (disk: MemoryDisk): string[] =>
  [...disk.files().keys()]
    .map((path) => path.slice(DIRECTORY.length + 1))
    .filter((name) => name.startsWith('checkpoint'))
    .sort();

/** What the newest checkpoint says of itself. */
function newest(disk: MemoryDisk): {
  base: string | undefined;
  version: string;
  rows: number[];
  path: string;
} {
  const whole = checkpoints(disk).filter((name) => name.endsWith('.safetensors'));
  const path = `${DIRECTORY}/${whole.at(-1)}`;
  const bytes = disk.read(path);
  const length = headerLength(bytes.subarray(0, LENGTH_BYTES), bytes.length);
  const { metadata, entries } = decodeSafetensorsHeader(
    bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length),
    bytes.length,
  );
  const rows = entries.flatMap(({ name, shape }) =>
    /table\..*\.ids$/.test(name) ? [shape[0] as number] : [],
  );
  return {
    base: metadata.get('base'),
    version: metadata.get('format_version') as string,
    rows,
    path,
  };
}

/** A server with a worker that pushes rows. */
class Played {
  readonly server: StoredServer;
  #worker: StoredWorker | undefined;

  constructor(disk: MemoryDisk = new MemoryDisk(), options: StoredServerOptions = OPTIONS) {
    this.server = StoredServer.open(disk, options);
  }

  push(words: readonly number[], few: readonly number[] = []): void {
    this.#worker ??= this.server.join('w', `process of ${this.server.core.position}`);
    this.server.settle();
    const parts = [
      { table: 0, ids: words, dim: 2 },
      { table: 1, ids: few, dim: 1 },
    ].filter(({ ids }) => ids.length > 0);
    const payload = Buffer.concat([
      Buffer.alloc(16),
      ...parts.flatMap(({ ids, dim }) => [
        Buffer.from(BigUint64Array.from(ids, BigInt).buffer),
        Buffer.from(new Float32Array(ids.length * dim).fill(1).buffer),
      ]),
    ]);
    this.#worker.seq++;
    const fields = { seq: this.#worker.seq, clock: 0, bytes: payload.length, tensors: [0] };
    const rows = parts.map(({ table, ids }) => ({ table, count: ids.length }));
    this.server.send(this.#worker, { t: MessageType.push, ...fields, rows }, payload);
    this.server.settle();
  }

  checkpoint(): ReturnType<typeof newest> {
    expect(this.server.checkpoint()).toBeNull();
    return newest(this.server.disk);
  }

  /** What is recovered from `disk` is what there is. */
  expectRecovered(disk: MemoryDisk = this.server.disk.afterKill()): StoredServer {
    const again = StoredServer.open(disk, OPTIONS);
    expect(differenceOf(this.server.state, again.state)).toBeUndefined();
    return again;
  }
}

const MANY = Array.from({ length: 100 }, (_, i) => i * 3);

describe('a checkpoint of tables', () => {
  it('holds all rows at first, then those that have changed, until they are half of them', () => {
    const played = new Played();
    played.push(MANY, [1, 2, 3]);
    expect(played.checkpoint()).toMatchObject({ base: undefined, version: '2', rows: [100, 3] });
    const whole = played.server.disk.read(newest(played.server.disk).path).length;
    played.push([3, 6, 2 ** 40], [2]);
    const changed = played.checkpoint();
    expect(changed).toMatchObject({ version: '3', rows: [3, 1] });
    expect(played.server.disk.read(changed.path).length).toBeLessThan(whole);
    played.expectRecovered();
    // Since the one of all rows, not since the last.
    played.push([9], [9]);
    expect(played.checkpoint()).toMatchObject({ base: changed.base, rows: [4, 2] });
    played.expectRecovered();
    played.push(MANY.slice(0, 60));
    expect(played.checkpoint()).toMatchObject({ base: undefined, version: '2', rows: [101, 4] });
    played.expectRecovered();
  });

  it('holds all rows again where nothing has happened: it takes the place of the one before', () => {
    const played = new Played();
    played.push(MANY);
    const first = played.checkpoint();
    expect(played.checkpoint()).toMatchObject({ path: first.path, base: undefined, rows: [100, 0] });
    played.expectRecovered();
  });

  it('knows which rows were evicted, and in which order the others would be', () => {
    const played = new Played();
    played.push(MANY, [1, 2, 3, 4]);
    played.checkpoint();
    played.push([], [5]);
    played.push([], [2, 6]);
    expect(played.checkpoint()).toMatchObject({ version: '3', rows: [0, 3] });
    const again = played.expectRecovered();
    const [, few] = again.state.tables.tables;
    expect([...(few?.order?.entries() ?? [])].map(([, low]) => low)).toEqual([4, 5, 2, 6]);
  });

  it('holds all rows after a restart, after another optimizer, and after one that could not be written', () => {
    const played = new Played();
    played.push(MANY);
    played.checkpoint();
    played.server.record({ kind: 'optimizer', optimizer: sgd({ learningRate: 2 }) });
    played.server.settle();
    expect(played.checkpoint().base).toBeUndefined();
    const again = new Played(played.server.disk.afterKill());
    again.push([3]);
    expect(again.checkpoint().base).toBeUndefined();
    again.push([6]);
    expect(again.checkpoint().base).toBeDefined();
    again.push(MANY);
    again.server.disk.failure = (_, name) =>
      name === 'rename' ? { code: 'EIO', effect: 'none' } : undefined;
    expect(again.server.checkpoint()).toMatchObject({ code: 'PS_STORAGE' });
    again.server.disk.failure = () => undefined;
    again.push([9]);
    expect(again.checkpoint().base).toBeUndefined();
    again.expectRecovered();
  });
});

describe('what is kept', () => {
  it('has the checkpoints that others build on, and one of all rows before', () => {
    const played = new Played();
    played.push(MANY);
    const first = played.checkpoint();
    played.push(MANY);
    const second = played.checkpoint();
    for (let i = 0; i < 4; i++) {
      played.push([3 * i]);
      played.checkpoint();
    }
    const kept = checkpoints(played.server.disk);
    // Two of changes, and two of all rows.
    expect(kept).toHaveLength(4);
    for (const { path } of [first, second]) expect(kept).toContain(path.slice(DIRECTORY.length + 1));
    played.expectRecovered();
  });

  it('gives the same state when the checkpoint that all build on is damaged', () => {
    const played = new Played();
    played.push(MANY);
    played.checkpoint();
    played.push(MANY);
    const base = played.checkpoint();
    for (const id of [3, 6, 9]) {
      played.push([id]);
      played.checkpoint();
    }
    const damaged = played.server.disk.afterKill();
    const bytes = damaged.read(base.path).slice();
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
    damaged.put(base.path, bytes);
    const again = played.expectRecovered(damaged);
    expect(again.warnings).toHaveLength(3);
    // Those of changes, and what they build on.
    expect(checkpoints(damaged).filter((name) => name.endsWith('.corrupt'))).toHaveLength(3);
  });

  it('gives the same state when the newest, of changes, is damaged', () => {
    const played = new Played();
    played.push(MANY);
    played.checkpoint();
    played.push([3]);
    const changed = played.checkpoint();
    const damaged = played.server.disk.afterKill();
    damaged.put(changed.path, damaged.read(changed.path).subarray(0, 200));
    expect(played.expectRecovered(damaged).warnings).toHaveLength(1);
  });
});

describe('a directory of other tables', () => {
  it.each<[string, StoredServerOptions]>([
    ['dim', { tables: { words: { dim: 3 }, few: OPTIONS.tables.few } }],
    ['bound', { tables: { words: { dim: 2, maxRows: 9 }, few: OPTIONS.tables.few } }],
    ['optimizer', { tables: { words: { dim: 2 }, few: { dim: 1, maxRows: 4 } } }],
    ['table fewer', { tables: { words: { dim: 2 } } }],
  ])('is refused with another %s, and left as it is', (_, options) => {
    const played = new Played();
    played.push(MANY, [1]);
    played.checkpoint();
    played.push([3]);
    played.checkpoint();
    const disk = played.server.disk.afterKill();
    const before = new Map([...disk.files()].map(([path, bytes]) => [path, [...bytes]]));
    const error = new StoredServer(disk, options).open();
    expect(error).toMatchObject({ code: 'PS_INVALID_ARGUMENT', details: { option: 'tables' } });
    expect(error?.message).toContain('"words" (dim 2');
    expect(new Map([...disk.files()].map(([path, bytes]) => [path, [...bytes]]))).toEqual(before);
  });
});
