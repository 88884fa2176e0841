import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readSegment, type SegmentReport } from '../../src/io/storage/journalReader.js';
import { recordBytes, segmentHeaderLength } from '../../src/io/storage/segmentFormat.js';
import { runTask } from '../../src/io/storage/task.js';
import { MemoryDisk } from '../unit/storage/memoryDisk.js';
import { StoredServer, type StoredServerOptions } from '../unit/storage/storedServer.js';

// A data directory whose segment has version 2: a filler before a large gradient, and zeros behind the last record. Never
// edited: storageFillers.json has its files, compressed with gzip, in base64. It was made by `lived`.

const LENGTH = 262_145;
const OPTIONS: StoredServerOptions = { parameters: { w: { shape: [LENGTH] } } };
const SEGMENT = 'data/journal-0000000000000001.pslog';
const gradient = Array.from({ length: LENGTH }, (_, i) => (i % 5) - 2);

/** Three pushes, a large one among them. */
function lived(): MemoryDisk {
  const disk = new MemoryDisk();
  disk.appending = { pageBytes: 4096, aheadBytes: 65_536 };
  const server = StoredServer.open(disk, OPTIONS);
  const worker = server.join('a', 'key of a');
  server.settle();
  for (let k = 0; k < 3; k++) {
    server.push(worker, gradient);
    server.settle();
  }
  return disk.afterKill();
}

const golden = JSON.parse(readFileSync(new URL('storageFillers.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>;

function goldenDisk(): MemoryDisk {
  const disk = new MemoryDisk();
  for (const [path, text] of Object.entries(golden)) {
    disk.put(path, Uint8Array.from(gunzipSync(Buffer.from(text, 'base64'))));
  }
  return disk;
}

/** What is in the segment, and the bytes of its records. */
function read(disk: MemoryDisk): { report: SegmentReport; records: number } {
  let report: SegmentReport | undefined;
  let records = 0;
  const task = readSegment(disk, SEGMENT, ({ head, payload }) => {
    records += recordBytes(head.length, payload.byteLength);
  });
  runTask(task, (error, found) => {
    if (error !== null) throw error;
    report = found;
  });
  disk.run();
  return { report: report as SegmentReport, records };
}

describe.each([
  ['golden', goldenDisk],
  ['of now', lived],
])('a segment of version 2: %s', (_name, make) => {
  it('has fillers between its records and zeros behind them', () => {
    const { report, records } = read(make());
    expect(report).toMatchObject({ header: { version: 2, first: 1 } });
    expect(report.damage).toBeUndefined();
    expect(report.goodBytes).toBeGreaterThan(segmentHeaderLength(report.header.lineage) + records);
    expect(report.size).toBeGreaterThan(report.goodBytes);
  });

  it('gives what was pushed', () => {
    const server = StoredServer.open(make(), OPTIONS);
    expect(server.warnings).toEqual([]);
    expect(server.state.version).toBe(3);
    expect(server.values).toEqual(gradient.map((value) => 0 - 3 * value));
    expect(server.state.sessions.get('a')).toMatchObject({ key: 'key of a', committedSeq: 3 });
  });
});
