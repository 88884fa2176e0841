/**
 * From a data directory to a state: the newest checkpoint that is whole, then every record of the journal
 * behind it, through the same `apply` as live. A torn end of the journal is cut off; damage anywhere else
 * refuses, and nothing is changed. A damaged checkpoint is put aside, and the one before it is used.
 */
import { PsError } from '../../core/base/errors.js';
import type { Optimizer } from '../../core/optim/optimizer.js';
import { decodeRecord } from '../../core/server/recordCodec.js';
import type { ServerState } from '../../core/server/state.js';
import { commitAll, restoreState, restoreTables } from '../../core/server/stateImage.js';
import { runToEnd } from '../../core/table/job.js';
import { type Catalogue, heldShape } from '../../core/tensor/catalogue.js';
import {
  type CheckpointInfo,
  infoOf,
  prefixFor,
  tensorsOfState,
  unflattenScalars,
} from './checkpointFormat.js';
import { type CheckpointFile, withCheckpoint } from './checkpointReader.js';
import { putAside } from './checkpointStore.js';
import type { DataDirectory } from './dataDirectory.js';
import type { DiskFile } from './disk.js';
import { readSegment, type SegmentReport, type StoredRecord } from './journalReader.js';
import { checkpointPath, contentOf, type DirectoryContent, segmentPath } from './names.js';
import { readInto, wholeTables } from './rowFiles.js';
import { isSegmentHeader, segmentHeaderLength } from './segmentFormat.js';
import { inFile, isDamage } from './storageError.js';
import { completion, result, type Task } from './task.js';

/** What a recovery needs beside the directory. */
export interface RecoveryOptions {
  /** A state in which nothing has happened yet. */
  readonly state: ServerState;
  /** Optimizers that code is taken from. */
  readonly known: readonly Optimizer[];
  readonly shard: { readonly index: number; readonly count: number };
  readonly now: number;
  /** The owner may want to know. */
  readonly onWarning: (message: string) => void;
}

/** What was recovered. */
export interface Recovered {
  readonly lineage: string;
  /** Number of the last record. */
  readonly position: number;
  /** Position of the checkpoint that was used. */
  readonly checkpoint: number;
  /** The durability under which what followed it was written, if not 'journal'. */
  readonly durability: string | undefined;
}

/**
 * Recovers; undefined if the directory is empty. Throws `PS_CORRUPT`, `PS_VERSION` for files of another
 * version of pslib, `PS_INVALID_ARGUMENT` if the options don't fit the state.
 */
export function* recover(place: DataDirectory, options: RecoveryOptions): Task<Recovered | undefined> {
  const { disk, directory } = place;
  const content = contentOf(yield* result<readonly string[]>((done) => disk.list(directory, done)));
  if (isFresh(content, directory)) return undefined;
  const info = yield* restoreNewest(place, content, options);
  const { position: checkpoint, lineage, durability } = info;
  const replay = new Replay(place, options, checkpoint, lineage);
  yield* replay.run(content.segments);
  // The process before may have died between giving a file its name and making the name durable.
  yield* completion((done) => disk.syncDirectory(directory, done));
  commitAll(options.state);
  return { lineage, position: replay.position, checkpoint, durability };
}

/**
 * Whether a directory is empty. Throws `PS_CORRUPT` if it is one of pslib's without a checkpoint,
 * `PS_INVALID_ARGUMENT` if it is not pslib's.
 */
export function isFresh(
  { checkpoints, segments, putAside: aside, foreign }: DirectoryContent,
  directory: string,
): boolean {
  if (checkpoints.length > 0) return false;
  if (segments.length > 0 || aside.length > 0) {
    throw new PsError(
      'PS_CORRUPT',
      `${directory}: there is no checkpoint that is whole; nothing was changed`,
    );
  }
  if (foreign.length === 0) return true;
  const text = `dataDir must be empty or a directory of pslib's; "${directory}" has "${foreign[0]}"`;
  throw new PsError('PS_INVALID_ARGUMENT', text, { details: { option: 'dataDir' } });
}

function* restoreNewest(
  place: DataDirectory,
  { checkpoints }: DirectoryContent,
  options: RecoveryOptions,
): Task<CheckpointInfo> {
  for (const position of checkpoints) {
    const path = checkpointPath(place.directory, position);
    try {
      return yield* withCheckpoint(place.disk, path, (open) => restore(place, open, options));
    } catch (error) {
      if (!isDamage(error)) throw inFile(error, path);
      const aside = yield* putAside(place, path);
      options.onWarning(
        `a checkpoint is damaged and was put aside as ${aside}: ${(error as PsError).message}`,
      );
    }
  }
  const text = `${place.directory}: none of ${checkpoints.length} checkpoints is whole`;
  throw new PsError('PS_CORRUPT', text);
}

function* restore(
  place: DataDirectory,
  open: CheckpointFile,
  options: RecoveryOptions,
): Task<CheckpointInfo> {
  const { state, shard } = options;
  const { catalogue } = state.table;
  const info = infoOf(open.header);
  if (info.shard.index !== shard.index || info.shard.count !== shard.count) {
    throw unfit('shard', `it is shard ${info.shard.index} of ${info.shard.count}`);
  }
  const difference = differenceOf(open, catalogue);
  if (difference !== undefined) throw unfit('parameters', difference);
  const arrays = restoreState(state, info.meta, options);
  const scalars = new Float64Array(arrays.scalars.reduce((sum, each) => sum + each.length, 0));
  yield* readInto(open, tensorsOfState(catalogue, info.meta, arrays, scalars));
  unflattenScalars(scalars, arrays.scalars);
  const tables = yield* wholeTables(place, catalogue, info, arrays.tables);
  restoreTables(state, info.meta, { ...arrays, tables });
  return info;
}

/** How the parameters in a file differ from those of `catalogue`, or undefined. */
function differenceOf({ header }: CheckpointFile, catalogue: Catalogue): string | undefined {
  const prefix = prefixFor(catalogue);
  const kept = header.entries.filter(({ name }) => !name.startsWith(prefix));
  for (const [i, entry] of catalogue.entries.entries()) {
    const { name } = entry;
    const shape = heldShape(entry);
    const there = kept[i];
    if (there?.name === name && there.shape.join() === shape.join()) continue;
    const found = there === undefined ? 'nothing' : `"${there.name}" [${there.shape.join(', ')}]`;
    return `it has ${found} where the options have "${name}" [${shape.join(', ')}]`;
  }
  const more = kept[catalogue.entries.length];
  return more === undefined ? undefined : `it has "${more.name}", which the options lack`;
}

function unfit(option: string, what: string): PsError {
  const text = `the state in dataDir is of another model than the options: ${what}`;
  return new PsError('PS_INVALID_ARGUMENT', text, { details: { option } });
}

/** Carries out the journal behind a checkpoint. */
class Replay {
  position: number;
  readonly #place: DataDirectory;
  readonly #options: RecoveryOptions;
  readonly #lineage: string;

  constructor(place: DataDirectory, options: RecoveryOptions, position: number, lineage: string) {
    this.#place = place;
    this.#options = options;
    this.position = position;
    this.#lineage = lineage;
  }

  /** Carries out the records behind the position. */
  *run(segments: readonly number[]): Task<void> {
    const { table } = this.#options.state;
    table.isUnread = true;
    try {
      for (const [i, first] of segments.entries()) {
        const next = segments[i + 1];
        if (next !== undefined && next <= this.position + 1) continue;
        if (first > this.position + 1) throw this.#missing(first);
        yield* this.#segment(first, next);
      }
    } finally {
      table.isUnread = false;
    }
  }

  /**
   * `next`: where the next segment begins. What stands in this one from there on was written by a life that had
   * lost the directory, or was torn: nobody was told of it.
   */
  *#segment(first: number, next: number | undefined): Task<void> {
    const { disk, directory } = this.#place;
    const path = segmentPath(directory, first);
    const isLast = next === undefined;
    if (isLast && (yield* this.#isUnfinished(path))) return;
    let report: SegmentReport;
    try {
      report = yield* readSegment(disk, path, (record) => this.#apply(record), isLast ? undefined : next - 1);
    } catch (error) {
      throw inFile(error, path);
    }
    const { header, damage } = report;
    if (header.first !== first || header.lineage !== this.#lineage) {
      throw new PsError('PS_CORRUPT', `${path}: it belongs to another history`);
    }
    if (damage !== undefined && !(isLast && damage.isTorn)) {
      throw new PsError('PS_CORRUPT', `${path}: ${damage.reason}; the file was left as it is`);
    }
    if (isLast) yield* this.#settle(path, report);
  }

  /** Whether the file is a segment whose creation was cut short: no record was ever in it. Removes it then. */
  *#isUnfinished(path: string): Task<boolean> {
    const { disk, directory } = this.#place;
    const length = segmentHeaderLength(this.#lineage);
    const file = yield* result<DiskFile>((done) => disk.open(path, 'read', done));
    let bytes: Uint8Array;
    try {
      bytes = yield* result<Uint8Array>((done) => file.read(0, length + 1, done));
    } finally {
      yield* completion((done) => file.close(done));
    }
    if (bytes.length > length || isSegmentHeader(bytes, (part, sum) => disk.checksum(part, sum)))
      return false;
    this.#options.onWarning(`${path} was cut short in its header and holds no record; it is made anew`);
    yield* completion((done) => disk.remove(path, done));
    yield* completion((done) => disk.syncDirectory(directory, done));
    return true;
  }

  #apply({ number, head, payload }: StoredRecord): void {
    if (number <= this.position) return;
    const { state, known, now } = this.#options;
    let failure: unknown;
    const onFailure = state.onFailure;
    state.onFailure = (error) => {
      failure = error;
    };
    const record = decodeRecord(head, payload, known);
    try {
      const job = state.apply(record, now);
      if (job !== undefined) runToEnd(job);
    } finally {
      state.onFailure = onFailure;
    }
    // Of what BSP had buffered, the sums at which the user's optimizer fails are left out, as they were at first.
    if (failure !== undefined && record.kind !== 'consistency') throw cannotReplay(number, failure);
    this.position = number;
  }

  /** Makes what was read durable: it may have been in memory only. The file stays as it is. */
  *#settle(path: string, { size, goodBytes, last, damage }: SegmentReport): Task<void> {
    if (damage !== undefined) {
      this.#options.onWarning(
        `${path}: the end is torn, and ${size - goodBytes} bytes behind record ${last} are left out (${damage.reason})`,
      );
    }
    const file = yield* result<DiskFile>((done) => this.#place.disk.open(path, 'modify', done));
    try {
      yield* completion((done) => file.sync(done));
    } finally {
      yield* completion((done) => file.close(done));
    }
  }

  #missing(first: number): PsError {
    const text = `${this.#place.directory}: records ${this.position + 1} to ${first - 1} are missing`;
    return new PsError('PS_CORRUPT', text);
  }
}

function cannotReplay(number: number, cause: unknown): PsError {
  const text = `record ${number} can't be carried out again: ${String(cause)}`;
  return new PsError('PS_INVALID_ARGUMENT', text, { cause, details: { option: 'optimizer' } });
}
