import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MessageType } from '../../src/core/protocol/messages.js';
import { MemoryDisk } from '../unit/storage/memoryDisk.js';
import { StoredServer, type StoredServerOptions } from '../unit/storage/storedServer.js';

// Files with a data set in them, for ever: storageTasks.json is never edited. It was made by `lived`.

const place = new URL('storageTasks.json', import.meta.url);
const OPTIONS: StoredServerOptions = { parameters: { w: { shape: [2] } } };
const DATA_SET = { size: 10, shardSize: 4, epochs: 3, shuffle: true, seed: 7, hasItems: false };
const RANGE = { dataSet: 1, epoch: 1, dataShard: 0, begin: 0, end: 4 };

/** A life with a data set: an epoch, then one that is partly counted, with a checkpoint in between. */
function lived(): { disk: MemoryDisk; kinds: Set<string> } {
  const server = StoredServer.open(new MemoryDisk(), OPTIONS);
  const [a, b] = [server.join('a'), server.join('b')];
  server.settle();
  const record = (given: Parameters<StoredServer['record']>[0]): void => {
    server.record(given);
    server.settle();
  };
  record({ kind: 'dataSet', number: 1, dataSet: DATA_SET });
  record({ kind: 'epoch', epoch: 1, isEnd: false, best: { epoch: 0, value: 0.25 } });
  record({ kind: 'lease', worker: 'a', lease: 1, dataShard: 0 });
  record({ kind: 'lease', worker: 'b', lease: 2, dataShard: 1 });
  server.push(a, [1, 2], { data: { ...RANGE, from: 0, to: 3, lease: 1 }, metrics: { loss: 0.5 } });
  server.settle();
  expect(server.checkpoint()).toBeNull();
  server.push(a, [1, 2], { data: { ...RANGE, from: 0, to: 3, lease: 1 } });
  server.push(a, [3, 4], { data: { ...RANGE, from: 3, to: 4, lease: 1 } });
  server.settle();
  record({ kind: 'release', worker: 'b', leases: [2] });
  server.send(b, { t: MessageType.goodbye, reason: '' });
  server.settle();
  return { disk: server.disk, kinds: new Set(server.records.map(({ kind }) => kind)) };
}

function hexOf(disk: MemoryDisk): Record<string, string> {
  return Object.fromEntries(
    [...disk.files()].sort().map(([path, bytes]) => [path, Buffer.from(bytes).toString('hex')]),
  );
}

const golden = JSON.parse(readFileSync(place, 'utf8')) as Record<string, string>;

describe('golden files with a data set', () => {
  it('hold every kind of record of data shards', () => {
    expect([...lived().kinds]).toEqual(
      expect.arrayContaining(['dataSet', 'epoch', 'lease', 'release', 'push']),
    );
  });

  it('the journal is written as ever', () => {
    const now = hexOf(lived().disk);
    for (const path of Object.keys(golden).filter((each) => each.endsWith('.pslog'))) {
      expect(now[path]).toBe(golden[path]);
    }
  });

  it('are read as ever, from the checkpoint and from the journal alone', () => {
    const checkpoints = Object.keys(golden)
      .filter((path) => !path.endsWith('.pslog'))
      .sort();
    for (const without of [undefined, checkpoints.at(-1)]) {
      const disk = new MemoryDisk();
      for (const [path, hex] of Object.entries(golden)) {
        if (path !== without) disk.put(path, Uint8Array.from(Buffer.from(hex, 'hex')));
      }
      const server = StoredServer.open(disk, OPTIONS);
      expect(server.warnings).toEqual([]);
      expect(server.values).toEqual([-4, -6]);
      expect(server.state.data.save()).toEqual({
        current: { number: 1, dataSet: DATA_SET, epoch: 1, isEnded: false },
        progress: { dataSet: 1, epoch: 1, open: [], done: [[0, 1]] },
        ...{ next: 2, returned: [1], leases: [], lastLease: 2 },
        metrics: [['loss', 1.5, 3]],
        best: { epoch: 0, value: 0.25 },
      });
      const answers = server.state.sessions
        .get('a')
        ?.answers.map(({ isDuplicate, progress }) => [isDuplicate, progress]);
      expect(answers).toEqual([
        [undefined, 3],
        [true, 3],
        [undefined, 4],
      ]);
    }
  });
});
