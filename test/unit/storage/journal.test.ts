import { describe, expect, it } from 'vitest';
import { encodeRecord } from '../../../src/core/server/recordCodec.js';
import type { JournalRecord } from '../../../src/core/server/records.js';
import { readSegment, type SegmentReport } from '../../../src/io/storage/journalReader.js';
import { JournalWriter, type JournalWriterOptions } from '../../../src/io/storage/journalWriter.js';
import { runTask } from '../../../src/io/storage/task.js';
import { MemoryDisk } from './memoryDisk.js';

const path = (first: number): string => `d/journal-${String(first).padStart(16, '0')}.pslog`;

function writerOn(
  disk: MemoryDisk,
  more: Partial<JournalWriterOptions> = {},
): { writer: JournalWriter; persisted: number[] } {
  const persisted: number[] = [];
  disk.makeDirectory('d', () => {});
  const writer = new JournalWriter({
    disk,
    directory: 'd',
    lineage: 'history',
    mode: 'journal',
    newSalt: () => 0xabcdef01,
    onPersisted: (number) => persisted.push(number),
    onFull: () => {},
    onFailed: (error) => {
      throw error;
    },
    ...more,
  });
  return { writer, persisted };
}

function read(
  disk: MemoryDisk,
  first: number,
): { report: SegmentReport; records: { number: number; bytes: Buffer }[] } {
  const records: { number: number; bytes: Buffer }[] = [];
  let found: SegmentReport | undefined;
  const visit = ({
    number,
    head,
    payload,
  }: {
    number: number;
    head: Uint8Array;
    payload: Float32Array;
  }): void => {
    records.push({ number, bytes: Buffer.concat([head, new Uint8Array(payload.slice().buffer)]) });
  };
  runTask(readSegment(disk, path(first), visit), (error, report) => {
    if (error !== null) throw error;
    found = report;
  });
  disk.run();
  return { report: found as SegmentReport, records };
}

const load = (length: number, start = 0): JournalRecord => ({
  kind: 'load',
  values: Float32Array.from({ length }, (_, i) => start + i),
});

function bytesOf(record: JournalRecord): Buffer {
  const { head, payload } = encodeRecord(record);
  return Buffer.concat([head, new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)]);
}

describe('a journal', () => {
  it('gives back records of every size, whichever way they fall on batches', () => {
    const disk = new MemoryDisk();
    const { writer, persisted } = writerOn(disk);
    // Around what is copied (64 KiB), what a batch holds (4 MiB), and odd lengths that need padding.
    const sizes = [
      0, 1, 2, 3, 16_383, 16_384, 16_385, 100_001, 1_048_575, 1_048_576, 1_500_001, 5, 16_384, 7,
    ];
    const records = sizes.map((size, i) => load(size, i));
    for (const [i, record] of records.entries()) writer.append(i + 1, record);
    writer.flush();
    disk.run();
    expect(persisted).toEqual([records.length]);
    const { report, records: found } = read(disk, 1);
    expect(report).toMatchObject({ last: records.length, header: { lineage: 'history', first: 1 } });
    expect(report.damage).toBeUndefined();
    expect(report.goodBytes).toBe(report.size);
    expect(found.map(({ number }) => number)).toEqual(records.map((_, i) => i + 1));
    for (const [i, { bytes }] of found.entries()) {
      const expected = bytesOf(records[i] as JournalRecord);
      expect(bytes.length).toBe(expected.length);
      expect(bytes.equals(expected)).toBe(true);
    }
  });

  it('begins a new segment behind a boundary, in the middle of a group too, and syncs the old one first', () => {
    const disk = new MemoryDisk();
    const { writer, persisted } = writerOn(disk, { mode: 'journal-async' });
    writer.rotateAfter(2);
    for (let number = 1; number <= 5; number++) writer.append(number, load(number));
    writer.flush();
    disk.run();
    expect(persisted).toEqual([2, 5]);
    expect(read(disk, 1).report).toMatchObject({ last: 2 });
    expect(read(disk, 3).report).toMatchObject({ last: 5, header: { first: 3 } });
    // Without power the old segment is there as a whole.
    const after = disk.afterPowerLoss(() => 0);
    expect(read(after, 1).report).toMatchObject({ last: 2 });
    expect(read(after, 3).report).toMatchObject({ last: 2 });
  });

  it('makes no second segment where the last one holds no record', () => {
    const disk = new MemoryDisk();
    const { writer } = writerOn(disk);
    writer.append(1, load(1));
    writer.flush();
    disk.run();
    writer.rotateAfter(1);
    writer.rotateAfter(1);
    writer.append(2, load(1));
    writer.flush();
    disk.run();
    expect([...disk.files().keys()]).toEqual([path(1), path(2)]);
    expect(read(disk, 2).report).toMatchObject({ last: 2 });
  });

  it('does not take a gradient for a record, even one that holds a whole segment', () => {
    const disk = new MemoryDisk();
    const { writer } = writerOn(disk);
    writer.append(1, load(3));
    writer.flush();
    disk.run();
    writer.append(2, load(4));
    writer.flush();
    disk.run();
    const segment = disk.read(path(1));
    // The same records as they would stand in another segment, with another salt.
    const values = new Float32Array(segment.slice().buffer);
    const other = new MemoryDisk();
    const { writer: target } = writerOn(other, { newSalt: () => 7 });
    target.append(1, { kind: 'load', values });
    target.flush();
    other.run();
    const bytes = other.read(path(1));
    // The only record is torn at its head; what looks like records behind it proves nothing.
    bytes[80] = (bytes[80] as number) ^ 1;
    const { report } = read(other, 1);
    expect(report.damage).toMatchObject({ isTorn: true });
  });

  it('says everything is durable when it settles, in either mode', () => {
    for (const mode of ['journal', 'journal-async'] as const) {
      const disk = new MemoryDisk();
      const { writer } = writerOn(disk, { mode });
      let isSettled = false;
      writer.append(1, load(10));
      writer.append(2, load(10));
      writer.settle(() => {
        isSettled = true;
      });
      disk.run();
      expect(isSettled).toBe(true);
      expect(
        read(
          disk.afterPowerLoss(() => 0),
          1,
        ).report.last,
      ).toBe(2);
      let isClosed = false;
      writer.append(3, load(1));
      writer.close(() => {
        isClosed = true;
      });
      disk.run();
      expect(isClosed).toBe(true);
      expect(
        read(
          disk.afterPowerLoss(() => 0),
          1,
        ).report.last,
      ).toBe(3);
    }
  });

  it('syncs what comes behind a boundary too when it settles', () => {
    const disk = new MemoryDisk();
    const { writer } = writerOn(disk, { mode: 'journal-async' });
    let durable: number[] = [];
    writer.append(1, load(10));
    writer.append(2, load(10));
    writer.rotateAfter(1);
    writer.settle(() => {
      const after = disk.afterPowerLoss(() => 0);
      durable = [1, 2].map((first) => read(after, first).report.last);
    });
    disk.run();
    expect(durable).toEqual([1, 2]);
  });

  // Two groups, and a large record of several batches: whoever is told of the first throws while the second is being written.
  it.each([1, 2_500_000])(
    'writes each batch once if whoever is told throws meanwhile, before %i values',
    (length) => {
      const disk = new MemoryDisk();
      const persisted: number[] = [];
      const onPersisted = (number: number): void => {
        persisted.push(number);
        if (number === 1) throw new Error('of the owner');
      };
      const { writer } = writerOn(disk, { onPersisted });
      const last = load(length);
      let writes = 0;
      disk.failure = (_call, name) => {
        // Behind the write of the segment's header comes that of the first record.
        if (name === 'write' && ++writes === 2) {
          writer.append(2, last);
          writer.append(3, load(2));
        }
        return undefined;
      };
      writer.append(1, load(1));
      writer.flush();
      expect(() => disk.run()).toThrow('of the owner');
      disk.run();
      expect(persisted).toEqual([1, 3]);
      const { report, records } = read(disk, 1);
      expect(report).toMatchObject({ last: 3, goodBytes: report.size });
      expect(report.damage).toBeUndefined();
      expect(records[1]?.bytes.equals(bytesOf(last))).toBe(true);
    },
  );

  it('puts large values to the same place of a page as in memory, and gives them back', () => {
    const disk = new MemoryDisk();
    disk.appending = { pageBytes: 4096, aheadBytes: 65_536 };
    const { writer, persisted } = writerOn(disk);
    const memory = new Float32Array(2_000_000).map((_, i) => 1 + i);
    // Of every place in a page and length; and small ones between them, with zeros behind.
    const places = [0, 8, 40, 4088, 4096, 12_300];
    const records = places.flatMap((place, i): JournalRecord[] => [
      { kind: 'load', values: memory.subarray(place / 4, place / 4 + 300_000 + 700_000 * (i % 2) + i) },
      load(3, i),
    ]);
    for (const [i, record] of records.entries()) {
      writer.append(i + 1, record);
      if (i % 3 === 2) continue;
      writer.flush();
      disk.run();
    }
    writer.flush();
    disk.run();
    expect(persisted.at(-1)).toBe(records.length);
    const { report, records: found } = read(disk, 1);
    expect(report).toMatchObject({ last: records.length, header: { version: 2 } });
    expect(report.damage).toBeUndefined();
    const segment = Buffer.from(disk.read(path(1)));
    for (const [i, { bytes }] of found.entries()) {
      expect(bytes.equals(bytesOf(records[i] as JournalRecord))).toBe(true);
      if (i % 2 === 1) continue;
      const { payload } = encodeRecord(records[i] as JournalRecord);
      const at = segment.indexOf(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength));
      // Of a place that no record can have, it is copied to where records stand.
      if (payload.byteOffset % 8 === 0) expect((at - payload.byteOffset) % 4096).toBe(0);
      expect(at % 8).toBe(0);
    }
  });

  it('ends where only zeros follow, and is torn where anything else does', () => {
    const disk = new MemoryDisk(65_536);
    const { writer } = writerOn(disk);
    for (let number = 1; number <= 3; number++) {
      writer.append(number, load(2, number));
      writer.flush();
      disk.run();
    }
    const bytes = disk.read(path(1));
    const { report } = read(disk, 1);
    expect(report).toMatchObject({ last: 3, size: bytes.length });
    expect(report.damage).toBeUndefined();
    // The zeros were written once: the second and the third record took the place of some.
    expect(bytes.length).toBeLessThan(2 * 65_536);
    for (let at = report.goodBytes; at < bytes.length; at += 997) {
      const damaged = bytes.slice();
      damaged[at] = 1;
      disk.put(path(1), damaged);
      expect(read(disk, 1).report).toMatchObject({ last: 3, damage: { isTorn: true } });
    }
  });

  it('finds damage in a filler', () => {
    const disk = new MemoryDisk();
    disk.appending = { pageBytes: 4096, aheadBytes: 0 };
    const { writer } = writerOn(disk);
    const memory = new Float32Array(300_000).fill(1);
    for (let number = 1; number <= 2; number++) {
      writer.append(number, { kind: 'load', values: memory.subarray(500) });
      writer.flush();
      disk.run();
    }
    const bytes = disk.read(path(1));
    // The header takes 40 bytes; the filler goes on to where the values stand in a page, without front and head.
    for (let at = 40; at < 2000 - 64; at += 61) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ 1;
      disk.put(path(1), damaged);
      expect(read(disk, 1).report).toMatchObject({ last: 0, damage: { isTorn: false } });
    }
  });

  // The first write is the segment's header, then come three batches of the record.
  it.each([2, 3, 4])('begins a group anew whose write %i, in a large record, found no room', (failing) => {
    const disk = new MemoryDisk();
    let isFull = 0;
    const { writer, persisted } = writerOn(disk, { onFull: () => isFull++ });
    const large = load(2_500_000);
    let writes = 0;
    disk.failure = (_call, name) =>
      name === 'write' && ++writes === failing ? { code: 'ENOSPC', effect: 'half' } : undefined;
    writer.append(1, load(1));
    writer.append(2, large);
    writer.flush();
    disk.run();
    expect({ isFull, persisted }).toEqual({ isFull: 1, persisted: [] });
    writer.onTick(10_000);
    disk.run();
    expect(persisted).toEqual([2]);
    const { report, records } = read(disk, 1);
    expect(report.damage).toBeUndefined();
    expect(records[1]?.bytes.equals(bytesOf(large))).toBe(true);
  });
});
