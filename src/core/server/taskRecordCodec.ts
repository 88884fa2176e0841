/**
 * The bytes of what records say of data shards; the grammar is in `docs/formats.md`. `recordCodec.ts`
 * writes the kind before them.
 */
import type { ByteReader } from '../base/byteReader.js';
import type { ByteWriter } from '../base/byteWriter.js';
import { PsError } from '../base/errors.js';
import type { CountedData, DataSetRecord, EpochRecord, LeaseRecord, ReleaseRecord } from './records.js';

const IS_SHUFFLED = 1;
const HAS_ITEMS = 2;
const IS_END = 1;
const HAS_BEST = 2;
const IS_DUPLICATE = 1;

/** Writes the fields of `record`. */
export function writeTaskRecord(
  writer: ByteWriter,
  record: DataSetRecord | EpochRecord | LeaseRecord | ReleaseRecord,
): void {
  switch (record.kind) {
    case 'dataSet': {
      const { size, shardSize, epochs, seed, shuffle, hasItems } = record.dataSet;
      for (const each of [record.number, size, shardSize, epochs, seed]) writer.uint53(each);
      writer.uint8((shuffle ? IS_SHUFFLED : 0) + (hasItems ? HAS_ITEMS : 0));
      return;
    }
    case 'epoch':
      writer.uint53(record.epoch);
      writer.uint8((record.isEnd ? IS_END : 0) + (record.best === undefined ? 0 : HAS_BEST));
      if (record.best !== undefined) {
        writer.uint53(record.best.epoch);
        writer.float64(record.best.value);
      }
      return;
    case 'lease':
      writer.text(record.worker);
      writer.uint53(record.lease);
      writer.uint53(record.dataShard);
      return;
    case 'release':
      writer.text(record.worker);
      writer.uint32(record.leases.length);
      for (const lease of record.leases) writer.uint53(lease);
      return;
  }
}

/** Writes what a push says of its examples. */
export function writeCountedData(
  writer: ByteWriter,
  { range, metrics = {}, isDuplicate }: CountedData,
): void {
  const { dataSet, epoch, dataShard, begin, end, from, to, lease } = range;
  for (const each of [dataSet, epoch, dataShard, begin, end, from, to, lease]) writer.uint53(each);
  writer.uint8(isDuplicate ? IS_DUPLICATE : 0);
  const entries = Object.entries(metrics);
  writer.uint32(entries.length);
  for (const [name, value] of entries) {
    writer.text(name);
    writer.float64(value);
  }
}

export function readCountedData(reader: ByteReader): CountedData {
  const [dataSet, epoch, dataShard, begin] = [
    reader.uint53(),
    reader.uint53(),
    reader.uint53(),
    reader.uint53(),
  ];
  const [end, from, to, lease] = [reader.uint53(), reader.uint53(), reader.uint53(), reader.uint53()];
  const isDuplicate = (reader.uint8() & IS_DUPLICATE) !== 0;
  const count = reader.uint32();
  if (count * 12 > reader.left) throw new PsError('PS_CORRUPT', 'metrics are missing');
  const metrics: Record<string, number> = Object.create(null) as Record<string, number>;
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    metrics[name] = reader.float64();
  }
  const range = { dataSet, epoch, dataShard, begin, end, from, to, lease };
  return count === 0 ? { range, isDuplicate } : { range, metrics, isDuplicate };
}

export function readDataSet(reader: ByteReader): DataSetRecord {
  const [number, size, shardSize] = [reader.uint53(), reader.uint53(), reader.uint53()];
  const [epochs, seed, flags] = [reader.uint53(), reader.uint53(), reader.uint8()];
  const [shuffle, hasItems] = [(flags & IS_SHUFFLED) !== 0, (flags & HAS_ITEMS) !== 0];
  return { kind: 'dataSet', number, dataSet: { size, shardSize, epochs, shuffle, seed, hasItems } };
}

export function readEpoch(reader: ByteReader): EpochRecord {
  const [epoch, flags] = [reader.uint53(), reader.uint8()];
  const best = (flags & HAS_BEST) === 0 ? undefined : { epoch: reader.uint53(), value: reader.float64() };
  return { kind: 'epoch', epoch, isEnd: (flags & IS_END) !== 0, ...(best === undefined ? {} : { best }) };
}

export function readLeases(reader: ByteReader): number[] {
  const count = reader.uint32();
  if (count * 8 > reader.left) throw new PsError('PS_CORRUPT', 'leases are missing');
  return Array.from({ length: count }, () => reader.uint53());
}
