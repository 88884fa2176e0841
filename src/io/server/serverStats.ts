/** What a server counts, for `stats()`. */
import type { ServerCore } from '../../core/server/serverCore.js';
import type { ServerStats } from '../serverReport.js';
import { monotonicNow } from '../time.js';
import type { CoreRunner } from './coreRunner.js';

/** The counts now. */
export function statsOf(core: ServerCore, runner: CoreRunner): ServerStats {
  const { state, view } = core;
  const { receivedBytes, receivedMessages } = runner.traffic;
  return {
    version: state.version,
    minClock: state.clocks.minClock,
    training: state.clocks.size,
    connections: runner.connections,
    waitingPulls: view.pulls.waiting,
    pinnedVersions: state.table.versions.pinnedVersions,
    stagingBytes: view.staging.usedBytes,
    receivedBytes,
    receivedMessages,
    sentBytes: runner.sentBytes,
    uncommittedRecords: core.uncommittedRecords,
    failure: (runner.failure ?? core.failure)?.code,
    uptimeMs: Math.round(monotonicNow() - runner.beganAt),
    consistency: state.model,
    optimizer: state.table.groups[0]?.optimizer.name ?? '',
    learningRate: rateNow(core),
    shard: core.shard,
    tables: state.tables.tables.map(({ spec, rows, bytes, counts }) => ({
      name: spec.name,
      ...{ rows, bytes, ...counts },
    })),
    data: dataOf(core),
    tasks: { waiting: view.tasks.generic.pool.waiting, leased: view.tasks.generic.pool.leases.size },
  };
}

function dataOf({ state: { data } }: ServerCore): ServerStats['data'] {
  const { current } = data;
  if (current === undefined) return undefined;
  const { epoch, dataSet, isEnded } = current;
  const { epochs, size } = dataSet;
  const leasedDataShards = data.leases.size;
  return { epoch, epochs, examples: data.countedExamples, size, leasedDataShards, isEnded };
}

function rateNow({ state }: ServerCore): number | null {
  try {
    return state.table.ratesNow(1)[0] ?? null;
  } catch {
    return null;
  }
}
