/**
 * Checkpoints that an admin asks for over the wire: parts of a set that several shards take at one clock, and then its
 * manifest. Only names cross the wire: where a set lies, the server's own options say.
 */
import { join } from 'node:path';
import { invalidArgument } from '../../core/base/errors.js';
import { integer } from '../../core/base/optionObject.js';
import type { CheckpointReport } from '../storage/checkpointTurns.js';
import { isPart, type ManifestPart, writeManifest } from '../storage/groupManifest.js';
import { NodeDisk } from '../storage/nodeDisk.js';
import { asStorageError } from '../storage/storageError.js';
import { completion, runTask, type Task } from '../storage/task.js';
import type { CheckpointMoment } from './persistence.js';

/** A part of a set, as it was taken. */
export interface PartReport extends CheckpointReport {
  /** Name of the file within the set's directory. */
  readonly file: string;
}

type Argument = Readonly<Record<string, unknown>>;

/** What sets are made with. */
export interface CheckpointSetsParts {
  /** The directory that holds the sets; undefined: there is none. */
  readonly directory: string | undefined;
  readonly shard: { readonly index: number; readonly count: number };
  checkpoint(path: string | undefined, at?: CheckpointMoment): Promise<CheckpointReport>;
}

/** A name within a directory: never a way out of it. */
const NAME = /^[\w-][\w.-]{0,99}$/;

/** The sets of one server. */
export class CheckpointSets {
  readonly #parts: CheckpointSetsParts;

  constructor(parts: CheckpointSetsParts) {
    this.#parts = parts;
  }

  /**
   * A checkpoint in the data directory; with `{ set, name, clock, timeoutMs? }` one in the directory of that set, when
   * minClock reaches `clock`. Rejects with `PS_INVALID_ARGUMENT`, `PS_CLOCK_TIMEOUT`, `PS_STORAGE`.
   */
  async take(argument: Argument): Promise<CheckpointReport | PartReport> {
    if (Object.keys(argument).length === 0) return this.#parts.checkpoint(undefined);
    const { clock, timeoutMs } = argument;
    const directory = this.#directoryOf(argument);
    const { index, count } = this.#parts.shard;
    const file = `${nameOf('name', argument.name)}.shard-${index}-of-${count}.safetensors`;
    const at = {
      atClock: integer('clock', clock, 0),
      ...(timeoutMs === undefined ? {} : { timeoutMs: integer('timeoutMs', timeoutMs, 1) }),
    };
    await run(`${directory} can't be made`, (disk) => makeDirectory(disk, directory));
    return { ...(await this.#parts.checkpoint(join(directory, file), at)), file };
  }

  /** Writes the manifest of `{ set, clock, shards }`: from now on that is the set. Rejects with `PS_INVALID_ARGUMENT`, `PS_STORAGE`. */
  async complete(argument: Argument): Promise<{ path: string }> {
    const { clock, shards } = argument;
    const directory = this.#directoryOf(argument);
    const { index, count } = this.#parts.shard;
    if (!Array.isArray(shards) || shards.length !== count || !shards.every(isPart)) {
      throw invalidArgument('shards', shards, `{ file, bytes, version } of each of ${count} shards`);
    }
    const parts = shards.map(({ file, bytes, version }: ManifestPart) => ({ file, bytes, version }));
    const manifest = { clock: integer('clock', clock, 0), shards: parts };
    let path = '';
    await run(`the manifest in ${directory} can't be written`, function* (disk): Task<void> {
      path = yield* writeManifest(disk, directory, manifest, index);
    });
    return { path };
  }

  #directoryOf({ set }: Argument): string {
    const { directory } = this.#parts;
    if (directory === undefined) {
      throw invalidArgument('set', set, 'left out: this server has neither dataDir nor checkpoint.directory');
    }
    return join(directory, nameOf('set', set));
  }
}

function nameOf(option: string, given: unknown): string {
  if (typeof given === 'string' && NAME.test(given)) return given;
  throw invalidArgument(option, given, 'letters, digits, "-", "_" and ".", not beginning with "."');
}

function* makeDirectory(disk: NodeDisk, directory: string): Task<void> {
  yield* completion((done) => disk.makeDirectory(directory, done));
}

function run(what: string, task: (disk: NodeDisk) => Task<void>): Promise<void> {
  return new Promise((fulfil, reject) => {
    runTask(task(new NodeDisk()), (error) =>
      error === null ? fulfil() : reject(asStorageError(error, what)),
    );
  });
}
