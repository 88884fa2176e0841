/** What a server counts, for `stats()`. */
import type { ServerCore } from '../../core/server/serverCore.js';
import type { ServerStats } from '../serverReport.js';
import type { CoreRunner } from './coreRunner.js';

/** The counts now. */
export function statsOf({ state, view }: ServerCore, runner: CoreRunner): ServerStats {
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
  };
}
