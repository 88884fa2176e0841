/** What a server counts, for `stats()`. */
import type { ServerCore } from '../../core/server/serverCore.js';
import type { CoreRunner } from './coreRunner.js';

/** Counts of a server, as `stats()` gives them. */
export interface ServerStats {
  /** Updates applied. */
  readonly version: number;
  readonly minClock: number;
  /** Workers in the clock table. */
  readonly training: number;
  /** Open connections. */
  readonly connections: number;
  /** Pulls that wait. */
  readonly waitingPulls: number;
  /** Versions held for readers. */
  readonly pinnedVersions: number;
  /** Bytes of staging areas in use. */
  readonly stagingBytes: number;
  readonly receivedBytes: number;
  readonly receivedMessages: number;
}

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
