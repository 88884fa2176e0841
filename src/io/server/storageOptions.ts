/**
 * Where and how a server keeps its state: `dataDir`, `durability`, `checkpoint`, and their checks. What
 * each mode promises is in `docs/guides/durability.md`.
 */
import { resolve } from 'node:path';
import { invalidArgument } from '../../core/base/errors.js';
import { SETS_NAME } from '../storage/names.js';
import type { CheckpointSchedule } from '../storage/storageParts.js';

/**
 * What an acknowledged push survives. `memory`: nothing but time; `journal`: a killed process and a loss of
 * power; `journal-async`: a killed process, and a loss of power but for the last second; `checkpoint`: what
 * is in the last checkpoint.
 */
export type Durability = 'memory' | 'journal' | 'journal-async' | 'checkpoint';

/** When checkpoints are taken and how many are kept. */
export interface CheckpointOptions {
  /** One is taken after so many milliseconds with changes; Infinity: not by time. Default 300,000. */
  readonly intervalMs?: number;
  /** One is taken after so many bytes of journal; Infinity: not by size. Default max(1 GiB, 4 × (parameters + slots)). */
  readonly journalBytes?: number;
  /** How many are kept, from 1. The last that is whole and finite is kept anyway. Default 3. */
  readonly keep?: number;
  /**
   * Directory of the checkpoints that an admin asks for over the wire (`pslib checkpoint`), each in one of its own; of a
   * group, best one that all shards share. Default `sets` in `dataDir`, or none.
   */
  readonly directory?: string;
}

/** The options about durable state. */
export interface StorageSettings {
  /** Directory of the server's state, which it alone uses; made if it is not there. Default none. */
  readonly dataDir?: string;
  /** Default `'journal'` with `dataDir`, else `'memory'`. */
  readonly durability?: Durability;
  readonly checkpoint?: CheckpointOptions;
}

/** The same after the checks; undefined: nothing is kept. */
export interface CheckedStorage {
  readonly directory: string;
  readonly durability: Exclude<Durability, 'memory'>;
  readonly checkpoint: CheckpointSchedule;
}

const MODES: readonly Durability[] = ['memory', 'journal', 'journal-async', 'checkpoint'];
const GIB = 2 ** 30;

/** Checks the options about durable state. `stateBytes`: of parameters and slots. Throws `PS_INVALID_ARGUMENT`. */
export function checkStorage(options: StorageSettings, stateBytes: number): CheckedStorage | undefined {
  const { dataDir, checkpoint } = options;
  const durability = options.durability ?? (dataDir === undefined ? 'memory' : 'journal');
  if (!MODES.includes(durability)) {
    throw invalidArgument('durability', durability, MODES.map((mode) => `'${mode}'`).join(', '));
  }
  if (dataDir === undefined) {
    if (durability !== 'memory') throw invalidArgument('dataDir', dataDir, `a directory for '${durability}'`);
    const isOnlySets = checkpoint !== undefined && Object.keys(checkpoint).join() === 'directory';
    if (checkpoint !== undefined && !isOnlySets) {
      throw invalidArgument('dataDir', dataDir, 'a directory for checkpoints');
    }
    return undefined;
  }
  if (typeof dataDir !== 'string' || dataDir === '' || dataDir.includes('\0')) {
    throw invalidArgument('dataDir', dataDir, 'the path of a directory');
  }
  if (durability === 'memory') {
    throw invalidArgument(
      'durability',
      durability,
      "'journal', 'journal-async' or 'checkpoint' with dataDir",
    );
  }
  return {
    directory: resolve(dataDir),
    durability,
    checkpoint: checkSchedule(checkpoint === undefined ? {} : checkpoint, stateBytes),
  };
}

/** Where sets of checkpoints go that are asked for over the wire; undefined: nowhere. Throws `PS_INVALID_ARGUMENT`. */
export function checkSetsDirectory({ dataDir, checkpoint }: StorageSettings): string | undefined {
  const directory = checkpoint?.directory;
  if (directory === undefined) return dataDir === undefined ? undefined : resolve(dataDir, SETS_NAME);
  if (typeof directory === 'string' && directory !== '' && !directory.includes('\0'))
    return resolve(directory);
  throw invalidArgument('checkpoint.directory', directory, 'the path of a directory');
}

function checkSchedule(given: CheckpointOptions, stateBytes: number): CheckpointSchedule {
  if (given === null || typeof given !== 'object') throw invalidArgument('checkpoint', given, 'an object');
  for (const key of Object.keys(given)) {
    if (!['intervalMs', 'journalBytes', 'keep', 'directory'].includes(key)) {
      throw invalidArgument(`checkpoint.${key}`, key, 'one of intervalMs, journalBytes, keep, directory');
    }
  }
  const { intervalMs = 300_000, journalBytes = Math.max(GIB, 4 * stateBytes), keep = 3 } = given;
  for (const [name, value] of Object.entries({ intervalMs, journalBytes })) {
    if (typeof value !== 'number' || !(value > 0)) {
      throw invalidArgument(`checkpoint.${name}`, value, 'a number > 0, or Infinity');
    }
  }
  if (!Number.isSafeInteger(keep) || keep < 1)
    throw invalidArgument('checkpoint.keep', keep, 'an integer from 1');
  return { intervalMs, journalBytes, keep };
}
