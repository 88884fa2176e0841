/**
 * What a journal costs: pushes per second with each durability, beside those that are only in memory, and
 * beside what the disk takes in one stream with a sync after each write of a push's size.
 */
import { closeSync, constants, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type Arrangement, measureInTurn, type Sample } from '../driver.js';
import { scratchRoot } from '../peers/pslibPush.js';
import type { Row } from '../report.js';
import { spreadOf } from '../statistics.js';
import { availablePeers, type Context, KIB, MIB, medianOf, rowsOf, type Suite, sizeText } from '../suite.js';

const PEERS = ['pslibPush', 'pslibPushJournal', 'pslibPushJournalAsync'];

/** Pushes per second of all workers together, by durability. */
export const durability: Suite = {
  name: 'durability',
  about: 'pushes with and without a journal: 4 KB with 8 workers, 16 MB with 1 and 4',
  async run(context) {
    const isAsked = (bytes: number): boolean => context.sizes?.includes(bytes) ?? true;
    if (isAsked(4 * KIB)) await compare(context, 4 * KIB, 8, 2);
    if (!isAsked(16 * MIB)) return;
    for (const workers of context.isQuick ? [1] : [1, 4]) await compare(context, 16 * MIB, workers, workers);
  },
};

async function compare(context: Context, bytes: number, workers: number, processes: number): Promise<void> {
  const peers = await availablePeers(context, PEERS);
  const arrangements = peers.map(
    (peer): Arrangement => ({
      peer,
      model: { bytes },
      workers: Array.from({ length: processes }, () => ({
        connections: workers / processes,
        operation: 'round',
      })),
    }),
  );
  const outcomes = await measureInTurn(context.ground, arrangements, context.timing);
  const name = `${sizeText(bytes)}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
  const reading = {
    suite: 'durability',
    case: name,
    unit: 'pushes/s',
    of: (sample: Sample) => sample.rate,
    base: 0,
    ratioTo: 'memory',
    more: (_: Arrangement, samples: readonly Sample[]) => ({
      'MB/s': (medianOf(samples, ({ rate }) => rate) * bytes) / 1e6,
      'p50 ms': medianOf(samples, ({ reports }) => (reports[0]?.p50Us ?? 0) / 1e3),
      'p99 ms': medianOf(samples, ({ reports }) => (reports[0]?.p99Us ?? 0) / 1e3),
      'server CPU': medianOf(samples, ({ serverLoad }) => serverLoad),
    }),
  };
  const rows = rowsOf(
    reading,
    peers.map(({ title }) => title),
    arrangements,
    outcomes,
  );
  context.report([...rows, diskRow(name, bytes, context.timing.repetitions)]);
}

/** Writes of `bytes` to a new file, one behind the other, each synced: through the page cache or past it, whichever is faster. */
function diskRow(name: string, bytes: number, repetitions: number): Row {
  const rates = Array.from({ length: repetitions }, () =>
    Math.max(syncedWritesPerSecond(bytes, 0), directWritesPerSecond(bytes)),
  );
  const value = spreadOf(rates);
  const more = { 'MB/s': (value.median * bytes) / 1e6 };
  return {
    suite: 'durability',
    case: name,
    subject: 'the disk alone, write and sync',
    unit: 'pushes/s',
    value,
    more,
    isChecked: true,
  };
}

/** 0 where the system or the file system can't write past its cache. */
function directWritesPerSecond(bytes: number): number {
  try {
    return syncedWritesPerSecond(bytes, constants.O_DIRECT ?? 0);
  } catch {
    return 0;
  }
}

function syncedWritesPerSecond(bytes: number, flags: number): number {
  const directory = mkdtempSync(join(scratchRoot(), 'pslib-bench-'));
  try {
    return writesPerSecond(join(directory, 'file'), bytes, flags);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function writesPerSecond(path: string, bytes: number, flags: number): number {
  // Memory that begins with a page, as writes past the cache need it.
  const pages = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65_536) });
  const content = new Uint8Array(pages.buffer, 0, bytes).fill(7);
  const count = Math.max(8, Math.min(500, Math.floor((256 * MIB) / bytes)));
  const file = openSync(path, constants.O_CREAT | constants.O_WRONLY | flags);
  try {
    const begin = performance.now();
    for (let i = 0; i < count; i++) {
      for (let at = 0; at < bytes; ) at += writeSync(file, content, at, Math.min(4 * MIB, bytes - at));
      fdatasyncSync(file);
    }
    return count / ((performance.now() - begin) / 1e3);
  } finally {
    closeSync(file);
  }
}
