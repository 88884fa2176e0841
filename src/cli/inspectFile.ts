/**
 * Reads a checkpoint, another safetensors file, or a journal segment, from its first byte to its last, and
 * says in lines of text what it holds. Secrets of sessions are not shown.
 */
import { basename } from 'node:path';
import type { PsError } from '../core/base/errors.js';
import { decodeRecord } from '../core/server/recordCodec.js';
import type { JournalRecord } from '../core/server/records.js';
import type { StateMeta } from '../core/server/stateImage.js';
import { type CheckpointInfo, infoOf, isCheckpoint, versionOf } from '../io/storage/checkpointFormat.js';
import { type CheckpointFile, readData, withCheckpoint } from '../io/storage/checkpointReader.js';
import type { Disk, DiskFile } from '../io/storage/disk.js';
import { readSegment, type SegmentReport } from '../io/storage/journalReader.js';
import { checkpointPath } from '../io/storage/names.js';
import { NodeDisk } from '../io/storage/nodeDisk.js';
import type { SafetensorsHeader } from '../io/storage/safetensors.js';
import { isSegmentStart } from '../io/storage/segmentFormat.js';
import { asStorageError } from '../io/storage/storageError.js';
import { completion, result, runTask, type Task } from '../io/storage/task.js';
import { table } from './table.js';

/** What a file holds. */
export interface Inspection {
  readonly lines: readonly string[];
  /** Whether every checksum in it is right. */
  readonly isWhole: boolean;
}

/** More sessions and tensors than these are counted, not listed. */
const MAX_LISTED = 200;

/** Inspects the file at `path`. Never rejects: what is wrong is said. */
export function inspectFile(path: string, withRecords: boolean): Promise<Inspection> {
  const disk = new NodeDisk();
  return new Promise((fulfil) => {
    runTask(inspect(disk, path, withRecords), (error, inspection) => {
      fulfil(inspection ?? { lines: [asStorageError(error, path).message], isWhole: false });
    });
  });
}

function* inspect(disk: Disk, path: string, withRecords: boolean): Task<Inspection> {
  const file = yield* result<DiskFile>((done) => disk.open(path, 'read', done));
  const start = yield* result<Uint8Array>((done) => file.read(0, 8, done));
  yield* completion((done) => file.close(done));
  if (isSegmentStart(start)) return yield* inspectSegment(disk, path, withRecords);
  const { lines, isWhole } = yield* withCheckpoint(disk, path, inspectTensors);
  return { lines: [`file         ${path}`, ...lines], isWhole };
}

function* inspectSegment(disk: Disk, path: string, withRecords: boolean): Task<Inspection> {
  const counts = new Map<string, number>();
  const listed: string[][] = [];
  const report = yield* readSegment(disk, path, ({ number, head, payload }) => {
    const record = decodeRecord(head, payload, []);
    counts.set(record.kind, (counts.get(record.kind) ?? 0) + 1);
    if (withRecords) listed.push([String(number), record.kind, describeRecord(record)]);
  });
  const { header, size, damage } = report;
  const kinds = [...counts].map(([kind, count]) => `${count} ${kind}`).join(', ');
  const facts = table([
    ['file', path],
    ['holds', `a journal segment of pslib, format version ${header.version}`],
    ['verifies', damage === undefined ? 'yes' : `NO: ${damage.reason}`],
    ['lineage', header.lineage],
    ['records', describeRange(report, kinds)],
    ['bytes', number(size)],
    ...(damage === undefined ? [] : [['damage', describeDamage(report)]]),
  ]);
  const lines = listed.length === 0 ? facts : [...facts, '', ...table(listed)];
  return { lines, isWhole: damage === undefined };
}

function describeRange({ header, last }: SegmentReport, kinds: string): string {
  if (last < header.first) return `none yet; the first will be ${header.first}`;
  return `${header.first} to ${last}: ${kinds}`;
}

function describeDamage({ size, goodBytes, last, damage }: SegmentReport): string {
  const bytes = number(size - goodBytes);
  return damage?.isTorn === true
    ? `a torn end: ${bytes} bytes behind record ${last}; a server cuts them off if this is its last segment`
    : `${bytes} bytes behind record ${last} were durable once: a server refuses to start with this file`;
}

function describeRecord(record: JournalRecord): string {
  switch (record.kind) {
    case 'push': {
      const { worker, seq, clock, outcome, delay, gradient, fault } = record;
      const what = fault === undefined ? `${number(gradient.length)} values` : fault.code;
      return `${worker} push ${seq} of clock ${clock} ${outcome}, delay ${delay}, ${what}`;
    }
    case 'session':
      return `${record.worker} epoch ${record.epoch}`;
    case 'tick':
      return `${record.worker} to clock ${record.clock}`;
    case 'close':
      return `clock ${record.clock}`;
    case 'consistency':
      return JSON.stringify(record.model);
    case 'optimizer':
    case 'settings':
      return '';
    case 'load':
      return `${number(record.values.length)} values`;
    case 'dataSet': {
      const { size, shardSize, epochs } = record.dataSet;
      return `data set ${record.number}: ${number(size)} examples in data shards of ${number(shardSize)}, ${epochs} epochs`;
    }
    case 'epoch':
      return record.isEnd ? 'the data set is over' : `epoch ${record.epoch} begins`;
    case 'lease':
      return `data shard ${record.dataShard} to ${record.worker}, lease ${record.lease}`;
    case 'release':
      return `leases ${record.leases.join(', ')} of ${record.worker}`;
    default:
      return record.worker;
  }
}

function* inspectTensors(open: CheckpointFile): Task<Inspection> {
  const { header } = open;
  let fault: PsError | undefined;
  try {
    yield* readData(open, new Map());
  } catch (error) {
    fault = error as PsError;
  }
  const info = isCheckpoint(header) ? infoOf(header) : undefined;
  const tensors = header.entries
    .slice(0, MAX_LISTED)
    .map(({ name, dtype, shape, begin, end }) => [name, dtype, `[${shape.join(', ')}]`, number(end - begin)]);
  const left = header.entries.length - tensors.length;
  const lines = [
    ...(info === undefined ? describeForeign(header) : describeCheckpoint(info, fault)),
    '',
    ...table([['tensor', 'type', 'shape', 'bytes'], ...tensors]),
    ...(left > 0 ? [`… and ${number(left)} more`] : []),
  ];
  return { lines, isWhole: fault === undefined };
}

function describeForeign({ metadata, dataBytes }: SafetensorsHeader): string[] {
  return table([
    ['holds', 'a safetensors file, not written by pslib'],
    ['verifies', 'it is well formed; it has no checksum'],
    ['bytes', number(dataBytes)],
    ...[...metadata].map(([key, value]) => [key, value.slice(0, 80)]),
  ]);
}

function describeCheckpoint(info: CheckpointInfo, fault: PsError | undefined): string[] {
  const { lineage, position, base, shard, meta } = info;
  const sessions = meta.sessions.slice(0, MAX_LISTED).map(({ id, epoch, clock, decidedSeq }) => {
    const isTraining = meta.clocks.some(([each]) => each === id);
    return [id, `epoch ${epoch}`, `clock ${clock}`, `${decidedSeq} pushes`, isTraining ? 'training' : 'away'];
  });
  const left = meta.sessions.length - sessions.length;
  return [
    ...table([
      ['holds', `a checkpoint of pslib, format version ${versionOf(info)}`],
      ['verifies', fault === undefined ? 'yes' : `NO: ${fault.message}`],
      ['lineage', lineage],
      ['position', `${number(position)} (the last journal record in it)`],
      ...(base === undefined
        ? []
        : [['builds on', `${basename(checkpointPath('', base))}: of tables it has what has changed since`]]),
      ['version', `${number(meta.version)} updates`],
      ['finite', info.isFinite ? 'yes' : 'NO: some parameters are NaN or infinite'],
      ['shard', `${shard.index} of ${shard.count}`],
      ['optimizer', meta.optimizers.map(describeOptimizer).join('; ')],
      ...(meta.tables ?? []).map(({ name, dim, rows, delta }) => {
        const held =
          delta === undefined
            ? ''
            : `, ${number(delta.rows)} of them here, ${number(delta.removed)} evicted since`;
        return [`table`, `"${name}", dim ${dim}: ${number(rows)} rows${held}`];
      }),
      ['consistency', `${JSON.stringify(meta.consistency)}, minClock ${meta.minClock}`],
      ['sessions', `${meta.sessions.length}, ${meta.clocks.length} of them in the clock table`],
    ]),
    ...table(sessions).map((line) => `  ${line}`),
    ...(left > 0 ? [`  … and ${number(left)} more`] : []),
  ];
}

function describeOptimizer({ name, slots, learningRate }: StateMeta['optimizers'][number]): string {
  const rate = learningRate === null ? 'a function' : String(learningRate);
  return `${name}, learning rate ${rate}, slots [${slots.join(', ')}]`;
}

/** 1234567 as 1,234,567. */
function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}
