import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { bsp } from '../../src/core/consistency/consistency.js';
import { adam } from '../../src/core/optim/adam.js';
import { momentum } from '../../src/core/optim/momentum.js';
import { MessageType } from '../../src/core/protocol/messages.js';
import { MemoryDisk } from '../unit/storage/memoryDisk.js';
import { StoredServer, type StoredServerOptions } from '../unit/storage/storedServer.js';

// The files of version 1 of the formats, for ever: storage.json is never edited. It was made by `lived`.

const place = new URL('storage.json', import.meta.url);
const OPTIONS: StoredServerOptions = {
  parameters: { kernel: { shape: [2, 2], init: 'normal' }, bias: { shape: [3] } },
  optimizer: momentum({ learningRate: 0.5, momentum: 0.5 }),
  limits: { sessionExpiryMs: 50_000 },
};
const CHANGED: StoredServerOptions = {
  ...OPTIONS,
  optimizer: momentum({ learningRate: 0.25, momentum: 0.5 }),
};

/** A life with every kind of record, a checkpoint in the middle of a clock of BSP, and a restart with other options. */
function lived(): { disk: MemoryDisk; kinds: Set<string> } {
  const server = StoredServer.open(new MemoryDisk(), OPTIONS);
  const a = server.join('a', 'key of a');
  const b = server.join('b 𝄞', 'key of b');
  server.join('silent', 'key');
  server.settle();
  server.step(a, [1, 2, 3, 4, 5, 6, 7]);
  server.push(b, [-1, 0.5, 0.25], { tensors: [1] });
  server.push(b, [Number.NaN, 0, 0], { tensors: [1] });
  server.settle();
  server.send(b, { t: MessageType.tick, request: 1, clock: 1 });
  server.record({ kind: 'consistency', model: bsp({ backupWorkers: 0 }), rates: [0.5] });
  server.settle();
  server.push(a, [1, 1, 1, 1, 1, 1, 1]);
  server.settle();
  expect(server.checkpoint()).toBeNull();
  server.send(a, { t: MessageType.tick, request: 1, clock: 2 });
  server.send(b, { t: MessageType.tick, request: 2, clock: 2 });
  server.settle();
  server.record({ kind: 'load', values: Float32Array.of(1, 2, 3, 4, 5, 6, 7) });
  server.record({ kind: 'optimizer', optimizer: adam({ learningRate: 0.125 }), learningRate: 0.0625 });
  server.send(b, { t: MessageType.leave, request: 3 });
  server.settle();
  for (let ms = 0; ms < 60_000; ms += 1000) {
    server.send(a, { t: MessageType.ping });
    server.tick(1000);
  }
  server.settle();
  const again = StoredServer.open(server.disk.afterKill(), CHANGED);
  again.settle();
  const back = again.join('a', 'key of a', again.core.lineage);
  again.settle();
  again.push(back, [1, 0, 0, 0, 0, 0, 0], { seq: 3, clock: 2 });
  again.settle();
  return { disk: again.disk, kinds: new Set([...server.records, ...again.records].map(({ kind }) => kind)) };
}

function hexOf(disk: MemoryDisk): Record<string, string> {
  return Object.fromEntries(
    [...disk.files()].sort().map(([path, bytes]) => [path, Buffer.from(bytes).toString('hex')]),
  );
}

const golden = JSON.parse(readFileSync(place, 'utf8')) as Record<string, string>;

/** The golden files, but for those that `without` names. */
function goldenDisk(without = ''): MemoryDisk {
  const disk = new MemoryDisk();
  for (const [path, hex] of Object.entries(golden)) {
    if (without === '' || !path.includes(without)) disk.put(path, Uint8Array.from(Buffer.from(hex, 'hex')));
  }
  return disk;
}

describe('golden files of a data directory', () => {
  it('hold every kind of record', () => {
    expect([...lived().kinds].sort()).toEqual(
      [
        ...['close', 'consistency', 'enter', 'expire', 'leave', 'load', 'optimizer', 'push', 'session'],
        ...['settings', 'tick'],
      ].sort(),
    );
  });

  it('the journal is written as ever', () => {
    const now = hexOf(lived().disk);
    const segments = Object.keys(golden).filter((path) => path.endsWith('.pslog'));
    expect(segments).toHaveLength(2);
    // The second life went on in the segment of the first; now each has its own.
    for (const path of segments) {
      expect(now[path]?.length).toBeGreaterThan(1000);
      expect(golden[path]?.startsWith(now[path] ?? '')).toBe(true);
    }
  });

  it.each([
    ['from the newest checkpoint', ''],
    ['from the first one, with the whole journal', 'checkpoint-0000000000000010'],
  ])('are read as ever: %s', (_name, without) => {
    const server = StoredServer.open(goldenDisk(without), CHANGED);
    expect(server.warnings).toEqual([]);
    expect(server.state.version).toBe(4);
    expect(server.values).toEqual([1, 2, 3, 4, 5, 6, 7]);
    const [buffered] = server.state.buffers.get(2)?.contributions ?? [];
    expect(buffered?.worker).toBe('a');
    expect([...(buffered?.parts.values() ?? [])].flatMap((part) => [...part])).toEqual([1, 0, 0, 0, 0, 0, 0]);
    expect(server.state.model).toEqual(bsp());
    expect(server.state.table.groups[0]?.optimizer).toEqual(adam({ learningRate: 0.0625 }));
    expect([...server.state.clocks.entries()]).toEqual([['a', 2]]);
    const sessions = [...server.state.sessions.values()].map(({ id, key, epoch, clock, committedSeq }) => ({
      ...{ id, key, epoch, clock, committedSeq },
    }));
    expect(sessions).toEqual([{ id: 'a', key: 'key of a', epoch: 1, clock: 2, committedSeq: 3 }]);
  });
});
