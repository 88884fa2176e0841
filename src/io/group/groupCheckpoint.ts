/**
 * A checkpoint of a whole group: the shards agree on a clock that none has reached, each takes its part when it gets
 * there, and the manifest makes a set of them. Training goes on meanwhile.
 */
import { join, resolve } from 'node:path';
import type { PsError } from '../../core/base/errors.js';
import { verify } from '../storage/checkpointStore.js';
import type { CheckpointReport } from '../storage/checkpointTurns.js';
import { filesAt, writeManifest } from '../storage/groupManifest.js';
import { NodeDisk } from '../storage/nodeDisk.js';
import { asStorageError, isDamage } from '../storage/storageError.js';
import { completion, runTask, type Task } from '../storage/task.js';
import { clockToAgreeOn, nameAt } from './agreedClock.js';
import type { ShardChild } from './shardChild.js';

/** A checkpoint of a group, as it was taken. */
export interface GroupCheckpointReport {
  /** The directory; undefined: the parts are in the shards' own. */
  readonly path: string | undefined;
  /** All updates of earlier clocks are in it. */
  readonly clock: number;
  /** In the order of shards. */
  readonly shards: readonly CheckpointReport[];
}

/** Takes a checkpoint of `shards`, at `path` or in their own directories. */
export async function takeCheckpoint(
  shards: readonly ShardChild[],
  path: string | undefined,
  timeoutMs: number | undefined,
): Promise<GroupCheckpointReport> {
  const directory = path === undefined ? undefined : resolve(path);
  if (directory !== undefined) {
    await run(`${directory} can't be made`, (disk) => makeDirectory(disk, directory));
  }
  const clock = clockToAgreeOn(await Promise.all(shards.map((shard) => shard.call('stats', []))));
  const name = nameAt(clock);
  const fileOf = (index: number): string => `${name}.shard-${index}-of-${shards.length}.safetensors`;
  const moment = { atClock: clock, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
  const taken = await Promise.allSettled(
    shards.map((shard, i) =>
      shard.call('checkpoint', [directory === undefined ? undefined : join(directory, fileOf(i)), moment]),
    ),
  );
  const failed = taken.find((each) => each.status === 'rejected');
  if (failed !== undefined) throw failed.reason as PsError;
  const reports = taken.map((each) => (each as PromiseFulfilledResult<CheckpointReport>).value);
  if (directory !== undefined) {
    const parts = reports.map(({ bytes, version }, i) => ({ file: fileOf(i), bytes, version }));
    await run(`the manifest in ${directory} can't be written`, (disk) =>
      writeManifest(disk, directory, { clock, shards: parts }),
    );
  }
  return { path: directory, clock, shards: reports };
}

/**
 * Reads every part of the group's checkpoint at `path`, if there is one. Rejects with `PS_CORRUPT` for a damaged one: a
 * shard that needs nothing of it would not see that. What all shards see, each says itself.
 */
export function verifyParts(path: string): Promise<void> {
  return run(`"${path}" can't be read`, function* (disk): Task<void> {
    for (const file of yield* filesAt(disk, path)) {
      if (file === path) return;
      try {
        yield* verify(disk, file);
      } catch (error) {
        if (isDamage(error)) throw error;
      }
    }
  });
}

function* makeDirectory(disk: NodeDisk, directory: string): Task<void> {
  yield* completion((done) => disk.makeDirectory(directory, done));
}

function run(what: string, task: (disk: NodeDisk) => Task<unknown>): Promise<void> {
  return new Promise((fulfil, reject) => {
    runTask(task(new NodeDisk()), (error) =>
      error === null ? fulfil() : reject(asStorageError(error, what)),
    );
  });
}
