/**
 * pslib with pushes alone, so that what a journal costs is not hidden behind pulls: a round is one push
 * and its acknowledgement. The data directory is made where `PSLIB_BENCH_DIR` says, or among temporary
 * files, and removed with the server.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Durability } from '../../src/io/server/storageOptions.js';
import type { Peer } from '../peer.js';
import { PslibWorker, servePslib } from './pslib.js';

/** Where data directories of benchmarks are made. */
export function scratchRoot(): string {
  return process.env.PSLIB_BENCH_DIR ?? tmpdir();
}

/** The peer whose server keeps its state as `durability` says. */
export function pushing(name: string, title: string, durability: Durability): Peer {
  return {
    name,
    title,
    applies: true,
    async serve(plan) {
      if (durability === 'memory') return servePslib(plan);
      const dataDir = mkdtempSync(join(scratchRoot(), 'pslib-bench-'));
      const server = await servePslib(plan, { dataDir, durability });
      return { ...server, close: () => rmSync(dataDir, { recursive: true, force: true }) };
    },
    async connect(plan) {
      const connected = await PslibWorker.connect(plan);
      return {
        ...connected.operations(),
        async round() {
          await connected.worker.push(connected.gradients);
        },
      };
    },
  };
}

/** Nothing is kept. */
export const peer: Peer = pushing('pslibPush', 'memory', 'memory');
