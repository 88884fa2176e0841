/**
 * Records ↔ bytes: a small head and, for a gradient or loaded values, a payload of float32. Integers are
 * little-endian. What is code (a user's optimizer, a schedule) is only named; see `optimizerImage.ts`.
 *
 *     head  = kind u8 | fields, see `docs/formats.md`
 *     text  = u32 units × 2 + wide | units (u8, or u16 if wide)
 */
import { ByteReader } from '../base/byteReader.js';
import { ByteWriter } from '../base/byteWriter.js';
import { ERROR_KINDS, PsError, type PsErrorCode } from '../base/errors.js';
import { checkConsistency } from '../consistency/consistency.js';
import type { Optimizer } from '../optim/optimizer.js';
import type { RowCount } from '../tensor/rowLayout.js';
import {
  imageOfOptimizer,
  imageOfSettings,
  type OptimizerImage,
  optimizerOfImage,
  type SettingsImage,
  settingsOfImage,
  unknownSchedule,
} from './optimizerImage.js';
import type { JournalRecord, LoadRecord, OptimizerState, PushRecord } from './records.js';
import {
  readCountedData,
  readDataSet,
  readEpoch,
  readLeases,
  writeCountedData,
  writeTaskRecord,
} from './taskRecordCodec.js';

/** Number of each kind of record; never reused. */
const RECORD_KINDS: Readonly<Record<JournalRecord['kind'], number>> = {
  session: 1,
  enter: 2,
  leave: 3,
  tick: 4,
  push: 5,
  close: 6,
  consistency: 7,
  optimizer: 8,
  settings: 9,
  load: 10,
  expire: 11,
  dataSet: 20,
  epoch: 21,
  lease: 22,
  release: 23,
};

/** A load with the optimizers' state. */
const LOAD_WITH_STATE = 12;
const HAVE_VALUES: ReadonlySet<number> = new Set([RECORD_KINDS.push, RECORD_KINDS.load, LOAD_WITH_STATE]);

/** The number of an outcome is its position. */
const OUTCOMES = ['applied', 'buffered', 'scaled', 'dropped', 'refused'] as const;
/** Optional fields of a push. */
const HAS_FAULT = 1;
const HAS_FAULT_TENSOR = 2;
const HAS_TICK = 4;
const HAS_TENSORS = 8;
const HAS_DATA = 16;
const HAS_ROWS = 128;

const NO_VALUES = new Float32Array(0);
const writer = new ByteWriter(1024);

/** A record as bytes. */
export interface EncodedRecord {
  /** A view that is valid until the next call. */
  readonly head: Uint8Array;
  /** The record's own values. */
  readonly payload: Float32Array;
}

/** The bytes of `record`. O(head). */
export function encodeRecord(record: JournalRecord): EncodedRecord {
  writer.restart();
  const hasState = record.kind === 'load' && record.state !== undefined;
  writer.uint8(hasState ? LOAD_WITH_STATE : RECORD_KINDS[record.kind]);
  return { payload: writeFields(record), head: writer.written };
}

/**
 * The record in `head`, with `payload` as its values. `known`: optimizers that code is taken from.
 * Throws `PS_CORRUPT` if it is none, `PS_VERSION` if it is of a kind that is not known.
 */
export function decodeRecord(
  head: Uint8Array,
  payload: Float32Array,
  known: readonly Optimizer[],
): JournalRecord {
  const reader = new ByteReader(head);
  const record = readFields(reader, payload, known);
  if (reader.left > 0) throw corrupt(`a record of kind ${head[0]} is too long`);
  return record;
}

function writeFields(record: JournalRecord): Float32Array {
  switch (record.kind) {
    case 'session':
      writer.text(record.worker);
      writer.text(record.key);
      writer.uint53(record.epoch);
      return NO_VALUES;
    case 'enter':
    case 'leave':
    case 'expire':
      writer.text(record.worker);
      return NO_VALUES;
    case 'tick':
      writer.text(record.worker);
      writer.uint53(record.clock);
      return NO_VALUES;
    case 'push':
      writePush(record);
      return record.gradient;
    case 'close':
      writer.uint53(record.clock);
      writer.uint8(record.isFailed === true ? 1 : 0);
      writeNumbers(record.rates);
      return NO_VALUES;
    case 'consistency':
      writer.text(JSON.stringify(record.model));
      writeNumbers(record.rates);
      return NO_VALUES;
    case 'optimizer': {
      const { optimizer, learningRate } = record;
      const rate = typeof learningRate === 'function' ? null : learningRate;
      writer.text(
        JSON.stringify({ optimizer: optimizer && imageOfOptimizer(optimizer), learningRate: rate }),
      );
      return NO_VALUES;
    }
    case 'settings':
      writer.text(
        JSON.stringify({
          optimizers: record.optimizers.map(imageOfOptimizer),
          configured: imageOfSettings(record.configured),
        }),
      );
      return NO_VALUES;
    case 'load':
      if (record.state !== undefined) writer.text(JSON.stringify(record.state));
      // Records of before there were tables end here.
      if (record.rows !== undefined) writeRowCounts(record.rows);
      return record.values;
    case 'dataSet':
    case 'epoch':
    case 'lease':
    case 'release':
      writeTaskRecord(writer, record);
      return NO_VALUES;
  }
}

function writePush(record: PushRecord): void {
  const { fault, tick, tensors, data, rows } = record;
  writer.text(record.worker);
  writer.uint53(record.epoch);
  writer.uint53(record.seq);
  writer.uint53(record.clock);
  writer.uint53(record.delay);
  writer.uint8(OUTCOMES.indexOf(record.outcome));
  writer.float64(record.factor);
  writer.float64(record.clipValue);
  writer.uint8(
    (fault === undefined ? 0 : HAS_FAULT) +
      (fault?.tensor === undefined ? 0 : HAS_FAULT_TENSOR) +
      (tick === undefined ? 0 : HAS_TICK) +
      (tensors === undefined ? 0 : HAS_TENSORS) +
      (data === undefined ? 0 : HAS_DATA) +
      (rows === undefined ? 0 : HAS_ROWS),
  );
  if (fault !== undefined) {
    writer.text(fault.code);
    writer.text(fault.message);
  }
  if (fault?.tensor !== undefined) writer.text(fault.tensor);
  if (tick !== undefined) writer.uint53(tick);
  if (tensors !== undefined) {
    writer.uint32(tensors.length);
    for (const index of tensors) writer.uint32(index);
  }
  if (data !== undefined) writeCountedData(writer, data);
  if (rows !== undefined) writeRowCounts(rows);
  writeNumbers(record.rates);
}

function writeRowCounts(rows: readonly RowCount[]): void {
  writer.uint32(rows.length);
  for (const { table, count } of rows) {
    writer.uint32(table);
    writer.uint53(count);
  }
}

function writeNumbers(numbers: readonly number[]): void {
  writer.uint32(numbers.length);
  for (const each of numbers) writer.float64(each);
}

function readFields(reader: ByteReader, payload: Float32Array, known: readonly Optimizer[]): JournalRecord {
  const kind = reader.uint8();
  if (payload.length > 0 && !HAVE_VALUES.has(kind)) {
    throw corrupt(`a record of kind ${kind} has values`);
  }
  switch (kind) {
    case RECORD_KINDS.session: {
      const worker = reader.text();
      return { kind: 'session', worker, key: reader.text(), epoch: reader.uint53() };
    }
    case RECORD_KINDS.enter:
      return { kind: 'enter', worker: reader.text() };
    case RECORD_KINDS.leave:
      return { kind: 'leave', worker: reader.text() };
    case RECORD_KINDS.expire:
      return { kind: 'expire', worker: reader.text() };
    case RECORD_KINDS.tick:
      return { kind: 'tick', worker: reader.text(), clock: reader.uint53() };
    case RECORD_KINDS.push:
      return readPush(reader, payload);
    case RECORD_KINDS.close: {
      const clock = reader.uint53();
      const isFailed = reader.uint8() !== 0;
      const rates = readNumbers(reader);
      return isFailed ? { kind: 'close', clock, rates, isFailed } : { kind: 'close', clock, rates };
    }
    case RECORD_KINDS.consistency: {
      const model = checkConsistency('consistency', readJson(reader));
      return { kind: 'consistency', model, rates: readNumbers(reader) };
    }
    case RECORD_KINDS.optimizer:
      return readOptimizer(reader, known);
    case RECORD_KINDS.settings: {
      const { optimizers, configured } = readJson(reader) as {
        optimizers: readonly OptimizerImage[];
        configured: SettingsImage;
      };
      return {
        kind: 'settings',
        optimizers: optimizers.map((each) => optimizerOfImage(each, known)),
        configured: settingsOfImage(configured, known),
      };
    }
    case RECORD_KINDS.load:
      return { kind: 'load', values: payload, ...readLoadedRows(reader) };
    case LOAD_WITH_STATE: {
      const state = readJson(reader) as OptimizerState;
      return { kind: 'load', values: payload, state, ...readLoadedRows(reader) };
    }
    case RECORD_KINDS.dataSet:
      return readDataSet(reader);
    case RECORD_KINDS.epoch:
      return readEpoch(reader);
    case RECORD_KINDS.lease:
      return { kind: 'lease', worker: reader.text(), lease: reader.uint53(), dataShard: reader.uint53() };
    case RECORD_KINDS.release:
      return { kind: 'release', worker: reader.text(), leases: readLeases(reader) };
    default:
      throw new PsError('PS_VERSION', `a record of kind ${kind} was written by a newer version of pslib`);
  }
}

function readPush(reader: ByteReader, gradient: Float32Array): PushRecord {
  const [worker, epoch, seq, clock, delay] = [
    reader.text(),
    reader.uint53(),
    reader.uint53(),
    reader.uint53(),
    reader.uint53(),
  ];
  const outcome = OUTCOMES[reader.uint8()];
  if (outcome === undefined) throw corrupt('a push has no outcome');
  const [factor, clipValue] = [reader.float64(), reader.float64()];
  const flags = reader.uint8();
  const fault = (flags & HAS_FAULT) === 0 ? undefined : readFault(reader, (flags & HAS_FAULT_TENSOR) !== 0);
  const tick = (flags & HAS_TICK) === 0 ? undefined : reader.uint53();
  const tensors = (flags & HAS_TENSORS) === 0 ? undefined : readIndices(reader);
  const data = (flags & HAS_DATA) === 0 ? undefined : readCountedData(reader);
  const rows = (flags & HAS_ROWS) === 0 ? undefined : readRowCounts(reader);
  const rates = readNumbers(reader);
  return {
    ...{ kind: 'push', worker, epoch, seq, clock, outcome },
    ...(fault === undefined ? {} : { fault }),
    ...{ delay, tick, tensors, rows, gradient, factor, clipValue, rates },
    ...(data === undefined ? {} : { data }),
  };
}

function readRowCounts(reader: ByteReader): RowCount[] {
  const count = reader.uint32();
  if (count * 12 > reader.left) throw corrupt('numbers of rows are missing');
  return Array.from({ length: count }, () => ({ table: reader.uint32(), count: reader.uint53() }));
}

function readFault(reader: ByteReader, hasTensor: boolean): NonNullable<PushRecord['fault']> {
  const code = reader.text();
  const message = reader.text();
  const known = Object.hasOwn(ERROR_KINDS, code) ? (code as PsErrorCode) : 'PS_INTERNAL';
  return hasTensor ? { code: known, message, tensor: reader.text() } : { code: known, message };
}

function readOptimizer(reader: ByteReader, known: readonly Optimizer[]): JournalRecord {
  const { optimizer, learningRate } = readJson(reader) as {
    optimizer?: OptimizerImage;
    learningRate?: number | null;
  };
  return {
    kind: 'optimizer',
    ...(optimizer === undefined ? {} : { optimizer: optimizerOfImage(optimizer, known) }),
    // What a schedule gave stands in the records of pushes.
    ...(learningRate === undefined ? {} : { learningRate: learningRate ?? unknownSchedule }),
  };
}

/** Records of before there were tables have none. */
function readLoadedRows(reader: ByteReader): Pick<LoadRecord, 'rows'> {
  return reader.left === 0 ? {} : { rows: readRowCounts(reader) };
}

function readNumbers(reader: ByteReader): number[] {
  const count = reader.uint32();
  if (count * 8 > reader.left) throw corrupt('numbers are missing');
  return Array.from({ length: count }, () => reader.float64());
}

function readIndices(reader: ByteReader): number[] {
  const count = reader.uint32();
  if (count * 4 > reader.left) throw corrupt('positions are missing');
  return Array.from({ length: count }, () => reader.uint32());
}

function readJson(reader: ByteReader): unknown {
  try {
    return JSON.parse(reader.text());
  } catch (cause) {
    throw new PsError('PS_CORRUPT', 'a record holds text that is not JSON', { cause });
  }
}

function corrupt(what: string): PsError {
  return new PsError('PS_CORRUPT', what);
}
