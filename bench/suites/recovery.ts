/**
 * How long a server takes to listen again: a model of 100 MB from its checkpoint, and 256 MB of journal
 * behind it, as large pushes, as whole-model pushes, and as many small ones. The journal is written by the
 * journal's own writer; what was recovered is compared with the closed form.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ParameterServer, sgd } from 'pslib';
import type { JournalRecord } from '../../src/core/server/records.js';
import { verify } from '../../src/io/storage/checkpointStore.js';
import { JournalWriter } from '../../src/io/storage/journalWriter.js';
import { checkpointPath } from '../../src/io/storage/names.js';
import { NodeDisk } from '../../src/io/storage/nodeDisk.js';
import { runTask } from '../../src/io/storage/task.js';
import { scratchRoot } from '../peers/pslibPush.js';
import { spreadOf } from '../statistics.js';
import { KIB, MIB, type Suite, sizeText } from '../suite.js';

const MODEL_BYTES = 100 * MIB;
const JOURNAL_BYTES = 256 * MIB;
const RATE = 2 ** -10;

/** The part of the model that pushes of `bytes` are for. */
function parametersOf(bytes: number): Record<string, { shape: number[] }> {
  const rest = (MODEL_BYTES - bytes) / 4;
  return rest > 0
    ? { pushed: { shape: [bytes / 4] }, rest: { shape: [rest] } }
    : { pushed: { shape: [bytes / 4] } };
}

function serverOn(dataDir: string, bytes: number): ParameterServer {
  return new ParameterServer({
    parameters: parametersOf(bytes),
    optimizer: sgd({ learningRate: RATE }),
    dataDir,
    noServer: true,
  });
}

/** Milliseconds from `listen` to its end. */
export const recovery: Suite = {
  name: 'recovery',
  about: 'a model of 100 MB and 256 MB of journal: milliseconds until it listens',
  async run(context) {
    const sizes = context.isQuick ? [16 * MIB] : [4 * KIB, 16 * MIB, MODEL_BYTES];
    const rows = [];
    for (const bytes of sizes) {
      const dataDir = mkdtempSync(join(scratchRoot(), 'pslib-bench-'));
      const count = Math.floor(JOURNAL_BYTES / bytes);
      const times: number[] = [];
      try {
        await prepare(dataDir, bytes, count);
        for (let i = 0; i < context.timing.repetitions; i++) times.push(await timed(dataDir, bytes, count));
      } finally {
        rmSync(dataDir, { recursive: true, force: true });
      }
      rows.push({
        suite: 'recovery',
        case: '100 MB model, 256 MB of journal',
        subject: `${count.toLocaleString('en')} pushes of ${sizeText(bytes)}`,
        unit: 'ms',
        value: spreadOf(times),
        isChecked: true,
      });
    }
    context.report(rows);
  },
};

/** A first checkpoint, and `count` pushes of `bytes` behind it. */
async function prepare(dataDir: string, bytes: number, count: number): Promise<void> {
  const server = serverOn(dataDir, bytes);
  await server.listen();
  await server.close();
  const disk = new NodeDisk();
  const info = await new Promise<{ lineage: string }>((resolve, reject) => {
    runTask(verify(disk, checkpointPath(dataDir, 0)), (error, found) =>
      found === undefined ? reject(error) : resolve(found),
    );
  });
  await new Promise<void>((resolve, reject) => {
    let last = 0;
    const writer = new JournalWriter({
      ...{ disk, directory: dataDir, lineage: info.lineage, mode: 'journal-async', newSalt: () => 1 },
      onPersisted: () => (last === count + 2 ? writer.close(resolve) : more()),
      onFull: reject,
      onFailed: reject,
    });
    const gradient = new Float32Array(bytes / 4).fill(1);
    const add = (record: JournalRecord): void => writer.append(++last, record);
    const more = (): void => {
      for (let i = 0; i < 64 && last < count + 2; i++) add(pushRecord(last - 1, gradient));
      writer.flush();
    };
    add({ kind: 'session', worker: 'w', key: 'key', epoch: 1 });
    add({ kind: 'enter', worker: 'w' });
    more();
  });
}

function pushRecord(seq: number, gradient: Float32Array): JournalRecord {
  return {
    ...{ kind: 'push', worker: 'w', epoch: 1, seq, clock: 0, outcome: 'applied', delay: 0, tick: undefined },
    ...{ tensors: [0], gradient, factor: 1, clipValue: Number.POSITIVE_INFINITY, rates: [RATE] },
  };
}

async function timed(dataDir: string, bytes: number, count: number): Promise<number> {
  const server = serverOn(dataDir, bytes);
  const begin = performance.now();
  await server.listen();
  const ms = performance.now() - begin;
  const { version, tensors } = await server.parameters();
  await server.close();
  const values = tensors.pushed?.data as Float32Array;
  if (version !== count || values.some((value) => value !== -count * RATE)) {
    throw new Error(`recovered version ${version} with ${values[0]}, not ${count} with ${-count * RATE}`);
  }
  return ms;
}
