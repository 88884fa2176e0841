import { describe, expect, it } from 'vitest';
import { adam } from '../../../src/core/optim/adam.js';
import { verify } from '../../../src/io/storage/checkpointStore.js';
import { runTask } from '../../../src/io/storage/task.js';
import { MemoryDisk } from '../../unit/storage/memoryDisk.js';
import { textOf } from '../../unit/storage/stateText.js';
import { DIRECTORY, StoredServer } from '../../unit/storage/storedServer.js';

const OPTIONS = { parameters: { w: { shape: [3] } }, optimizer: adam() } as const;

/** A directory with two checkpoints and two segments, and every state that it went through, by position. */
function lived(): { disk: MemoryDisk; texts: Map<number, string> } {
  const disk = new MemoryDisk();
  const server = StoredServer.open(disk, OPTIONS);
  const texts = new Map([[0, textOf(server.state)]]);
  const note = (): void => {
    server.settle();
    texts.set(server.core.position, textOf(server.state));
  };
  const a = server.join('a');
  note();
  const b = server.join('b');
  note();
  for (let i = 0; i < 6; i++) {
    server.step(i % 2 === 0 ? a : b, [i, -1, 0.25]);
    note();
    if (i === 2) expect(server.checkpoint()).toBeNull();
  }
  server.record({ kind: 'optimizer', learningRate: 0.5 });
  note();
  server.push(a, [1, 1, 1]);
  note();
  return { disk: disk.afterKill(), texts };
}

const { disk: original, texts } = lived();
const paths = [...original.files().keys()].sort();
const last = Math.max(...texts.keys());
const segments = paths.filter((path) => path.endsWith('.pslog'));
const lastSegment = segments.at(-1) as string;
const newest = paths.filter((path) => path.endsWith('.safetensors')).at(-1) as string;

/** The directory as if the newest checkpoint had never been. */
function withoutNewest(): MemoryDisk {
  const disk = original.afterKill();
  disk.put(newest, undefined);
  return disk;
}

/** `bytes` with one bit changed in byte `at`. */
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const damaged = bytes.slice();
  damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
  return damaged;
}

/** Opens a server on the directory, with one file changed. */
function reopened(
  path: string,
  bytes: Uint8Array,
): { server: StoredServer; disk: MemoryDisk; code: string | undefined } {
  const disk = original.afterKill();
  disk.put(path, bytes);
  const server = new StoredServer(disk, OPTIONS);
  return { server, disk, code: server.open()?.code };
}

/** Whether the state is one that the server went through: the last one, or an earlier one and it says so. */
function expectKnownState({ core, state, warnings }: StoredServer, isSilent = false): void {
  const { position } = core;
  if (texts.has(position)) expect(textOf(state)).toBe(texts.get(position));
  if (position !== last && !isSilent) expect(warnings.length).toBeGreaterThan(0);
}

/** What verifying the file at `path` with these bytes says. */
function verified(path: string, bytes: Uint8Array): unknown {
  const disk = new MemoryDisk();
  disk.put(path, bytes);
  let found: unknown;
  runTask(verify(disk, path), (error, info) => {
    found = error ?? info;
  });
  disk.run();
  return found;
}

describe('a segment that is cut off', () => {
  it.each(segments)('at any byte gives a state that was there, or is refused and kept: %s', (path) => {
    const bytes = original.read(path);
    let refused = 0;
    for (let length = 0; length < bytes.length; length++) {
      const { server, disk, code } = reopened(path, bytes.subarray(0, length));
      if (code === undefined) {
        // Between two records nothing shows that there were more.
        expectKnownState(server, disk.files().get(path)?.length === length);
        continue;
      }
      refused++;
      expect(code).toBe('PS_CORRUPT');
      expect(disk.read(path)).toEqual(bytes.subarray(0, length));
    }
    // The last segment may be torn; the one before is not needed, as the checkpoint behind it is whole.
    expect(refused).toBe(0);
  });

  it('loses the records behind the cut, and no others', () => {
    const bytes = original.read(lastSegment);
    const positions = new Set<number>();
    for (let length = 0; length <= bytes.length; length += 3) {
      const { server } = reopened(lastSegment, bytes.subarray(0, length));
      positions.add(server.core.position);
      // What is written behind the cut is found again.
      const c = server.join(`c${length}`);
      server.settle();
      server.push(c, [1, 2, 3]);
      server.settle();
      expect(c.results).toHaveLength(1);
      const again = StoredServer.open(server.disk.afterKill(), OPTIONS);
      expect(textOf(again.state)).toBe(textOf(server.state));
    }
    expect([...positions].sort((a, b) => a - b)).toEqual(
      [7, 8, 9, 10, 11, 12].filter((each) => positions.has(each)),
    );
    expect(positions.has(last - 1)).toBe(true);
  });

  it('is refused where a checkpoint needs all of it', () => {
    const [first] = segments as [string];
    const bytes = original.read(first);
    for (let length = 0; length < bytes.length; length += 3) {
      const disk = withoutNewest();
      disk.put(first, bytes.subarray(0, length));
      const error = new StoredServer(disk, OPTIONS).open();
      expect(error?.code).toBe('PS_CORRUPT');
      expect(disk.read(first)).toEqual(bytes.subarray(0, length));
    }
  });
});

describe('a segment with a flipped bit', () => {
  it.each(segments)('at any byte gives a state that was there, or is refused and kept: %s', (path) => {
    const bytes = original.read(path);
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      const damaged = flipped(bytes, at);
      const { server, disk, code } = reopened(path, damaged);
      if (code === undefined) {
        expectKnownState(server);
        continue;
      }
      refused++;
      expect(code).toBe('PS_CORRUPT');
      expect(disk.read(path)).toEqual(damaged);
    }
    // Damage in what was synced is known from a torn end by the records behind it; there are none behind the last.
    if (path === lastSegment) expect(refused).toBeGreaterThan(bytes.length / 2);
  });

  it('is refused wherever it is, where a checkpoint needs all of it', () => {
    const [first] = segments as [string];
    const bytes = original.read(first);
    for (let at = 0; at < bytes.length; at += 3) {
      const disk = withoutNewest();
      disk.put(first, flipped(bytes, at));
      expect(new StoredServer(disk, OPTIONS).open()?.code).toBe('PS_CORRUPT');
    }
  });
});

describe('a damaged checkpoint', () => {
  const bytes = original.read(newest);

  it('is known at every length and with any flipped bit', () => {
    expect(verified(newest, bytes)).toMatchObject({ position: 7, isFinite: true });
    for (let at = 0; at < bytes.length; at++) {
      expect(verified(newest, bytes.subarray(0, at))).toMatchObject({ code: 'PS_CORRUPT' });
      expect(verified(newest, flipped(bytes, at))).toMatchObject({ code: 'PS_CORRUPT' });
    }
    expect(verified(newest, Uint8Array.of(...bytes, 0))).toMatchObject({ code: 'PS_CORRUPT' });
  });

  it('is put aside, and the one before it with the whole journal gives the same state', () => {
    for (let at = 0; at < bytes.length; at += 61) {
      for (const damaged of [flipped(bytes, at), bytes.subarray(0, at)]) {
        const { server, disk } = reopened(newest, damaged);
        expect(server.warnings[0]).toContain('put aside');
        expect(disk.read(`${newest}.corrupt`)).toEqual(damaged);
        expect(textOf(server.state)).toBe(texts.get(last));
      }
    }
  });
});

describe("other files in place of pslib's", () => {
  const version3 = (): Uint8Array => {
    // A header of a later version that is whole: its checksum is right.
    const bytes = original.read(lastSegment).slice();
    const view = new DataView(bytes.buffer);
    view.setUint32(8, 3, true);
    view.setUint32(28, 0, true);
    view.setUint32(28, original.checksum(bytes.subarray(0, 48), 0), true);
    return bytes;
  };

  it('an older or newer version is refused as such, and kept', () => {
    const bytes = version3();
    const { code, disk } = reopened(lastSegment, bytes);
    expect(code).toBe('PS_VERSION');
    expect(disk.read(lastSegment)).toEqual(bytes);
  });

  it('a checkpoint of a later version is refused as such, and kept with all others', () => {
    const text = Buffer.from(original.read(newest)).toString('latin1');
    const bytes = Uint8Array.from(
      Buffer.from(text.replace('"format_version":"1"', '"format_version":"9"'), 'latin1'),
    );
    // Its checksums are right: of the header, and of everything before them.
    const view = new DataView(bytes.buffer);
    const headerEnd = 8 + Number(view.getBigUint64(0, true));
    view.setUint32(bytes.length - 8, original.checksum(bytes.subarray(0, headerEnd), 0), true);
    view.setUint32(bytes.length - 4, original.checksum(bytes.subarray(0, bytes.length - 8), 0), true);
    const { code, disk } = reopened(newest, bytes);
    expect(code).toBe('PS_VERSION');
    expect(disk.read(newest)).toEqual(bytes);
    expect([...disk.files().keys()].filter((path) => !path.endsWith('lock')).sort()).toEqual(paths);
  });

  it.each(segments)('a foreign file in the place of a segment is refused and kept: %s', (path) => {
    const bytes = new TextEncoder().encode('Dear Ada, this is a letter and no journal. '.repeat(9));
    const disk = withoutNewest();
    disk.put(path, bytes);
    expect(new StoredServer(disk, OPTIONS).open()?.code).toBe('PS_CORRUPT');
    expect(disk.read(path)).toEqual(bytes);
    for (const other of segments.filter((each) => each !== path)) {
      expect(disk.read(other)).toEqual(original.read(other));
    }
  });

  it('an empty file in the place of a segment that is needed is refused and kept', () => {
    const [path = ''] = segments;
    const disk = withoutNewest();
    disk.put(path, new Uint8Array(0));
    expect(new StoredServer(disk, OPTIONS).open()?.code).toBe('PS_CORRUPT');
    expect(disk.read(path)).toHaveLength(0);
    expect(disk.read(lastSegment)).toEqual(original.read(lastSegment));
  });

  it('an empty or a foreign checkpoint is put aside, byte for byte', () => {
    const json = '{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}  ';
    const foreign = new Uint8Array(8 + json.length + 4);
    foreign[0] = json.length;
    foreign.set(new TextEncoder().encode(json), 8);
    for (const bytes of [new Uint8Array(0), foreign, new TextEncoder().encode('hello, world')]) {
      const { server, code } = reopened(newest, bytes);
      expect(code).toBeUndefined();
      expect(server.warnings[0]).toContain('put aside');
      expect(textOf(server.state)).toBe(texts.get(last));
      expect(server.disk.read(`${newest}.corrupt`)).toEqual(bytes);
    }
  });

  it('a segment of another history is refused', () => {
    const disk = new MemoryDisk();
    const server = StoredServer.open(disk, { ...OPTIONS, seed: 5 });
    server.join('a');
    server.settle();
    const bytes = disk.read(`${DIRECTORY}/journal-0000000000000001.pslog`);
    expect(reopened(paths.find((path) => path.endsWith('01.pslog')) as string, bytes).code).toBe(undefined);
    const alone = withoutNewest();
    alone.put(`${DIRECTORY}/journal-0000000000000001.pslog`, bytes);
    expect(new StoredServer(alone, OPTIONS).open()?.code).toBe('PS_CORRUPT');
  });

  it('a missing segment is noticed', () => {
    const disk = withoutNewest();
    disk.put(`${DIRECTORY}/journal-0000000000000001.pslog`, undefined);
    const error = new StoredServer(disk, OPTIONS).open();
    expect(error).toMatchObject({ code: 'PS_CORRUPT' });
    expect(error?.message).toContain('missing');
  });

  it('a directory whose checkpoints are all damaged is refused, now and at the next start', () => {
    const disk = original.afterKill();
    for (const path of paths) if (path.includes('checkpoint')) disk.put(path, Uint8Array.of(1, 2, 3));
    expect(new StoredServer(disk, OPTIONS).open()?.code).toBe('PS_CORRUPT');
    expect(new StoredServer(disk, OPTIONS).open()?.code).toBe('PS_CORRUPT');
    expect([...disk.files().keys()].filter((path) => path.endsWith('.corrupt'))).toHaveLength(2);
    expect(disk.read(lastSegment)).toEqual(original.read(lastSegment));
  });
});
